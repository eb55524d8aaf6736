"""The verbs that do not turn a film into a film: maps learned, stills moved, data continued."""

from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from kineograph import arrays, regions, tasks, video
from kineograph.answer import Sampling
from kineograph.answer.restoring import picture_of
from kineograph.cli import commands
from kineograph.cli.films import bar
from kineograph.models import eulerian, weights

MOST_MOTION = 240
"""So many frames of a film say enough of how it moves."""


def learn_map(asked: commands.Transfer, console: Console) -> None:
    """Learns the map from a pair of films, beside where it will be; goes on where it stopped."""
    from kineograph.train import transfer

    assert asked.pair is not None
    if asked.map.suffix != ".safetensors":
        raise ValueError(f"{asked.map} is no place for a map: give a name ending in .safetensors.")
    if not 0 < asked.minutes <= 10_000:
        raise ValueError(f"--minutes is {asked.minutes}: give more than 0, and at most 10,000.")
    source, target = (_pictures(path) for path in asked.pair)
    run = asked.map.with_name(f"{asked.map.stem}-run")
    net, result = transfer.learn(source, target, run, asked.minutes, seed=asked.seed)
    transfer.save(net, asked.map, result, (asked.pair[0].name, asked.pair[1].name))
    console.print(f"{asked.map}: a map learned in {result.step} steps, {result.seconds:.0f} s.")


def _pictures(path: Path) -> Any:
    import numpy as np

    return np.stack([picture_of(frame) for frame in video.read(path).frames])


def animate(asked: commands.Animate, console: Console) -> None:
    """Moves a still."""
    still = video.read(asked.picture, num_frames=1).frames[0]
    height, width = still.shape[-2:]
    out = asked.out or asked.picture.with_name(f"{asked.picture.stem}-animated.mp4")
    num = tasks.frames_in(asked.seconds, video.checked_fps(asked.fps, "--fps"))
    field, loop = _field(asked, height, width)
    recipe = {"task": "animate", "given": asked.picture.name, "frames": num, "loop": loop}
    with (
        bar(console) as progress,
        video.Writer(
            out, width=width, height=height, fps=asked.fps, quality=asked.quality, recipe=recipe
        ) as writer,
    ):
        task = progress.add_task("animate", total=num)
        for frame in tasks.animate(still, field, num, loop):
            writer.write(frame[None])
            progress.advance(task)
    console.print(f"{out}: {writer.num_frames} frames.")


def _field(asked: commands.Animate, height: int, width: int) -> tuple[eulerian.Field, bool]:
    blank = [torch.zeros(3, height, width)]
    region = next(regions.named(asked.region, blank)) if asked.region is not None else None
    if asked.like is not None:
        film = video.open_stream(asked.like)
        with film:
            frames = (frame for frame, _ in islice(film.rgb(), MOST_MOTION))
            field = eulerian.moving_as(frames, height, width)
        return field * (1.0 if region is None else region), asked.loop
    if asked.flow is not None:
        return eulerian.flowing(height, width, asked.flow, region), asked.loop
    if not -0.05 <= asked.zoom <= 0.05:
        raise ValueError(f"--zoom is {asked.zoom}: give -0.05 to 0.05.")
    return eulerian.zooming(height, width, asked.zoom), False


def forecast(asked: commands.Forecast, console: Console) -> None:
    """Continues a stack of data."""
    stack = arrays.read(asked.stack, asked.variable, asked.layout)
    out = asked.out or asked.stack.with_name(f"{asked.stack.stem}-forecast{asked.stack.suffix}")
    model = weights.load(asked.model)

    def predict(frames: torch.Tensor, num_frames: int, seed: int | None) -> torch.Tensor:
        how = Sampling(1) if seed is None else Sampling(2, seed)
        return tasks.predict(frames, num_frames, model, how)

    with bar(console) as progress:
        task = progress.add_task("forecast", total=None)
        found = arrays.forecast(
            stack,
            asked.num_frames,
            predict,
            asked.samples,
            asked.seed,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    arrays.write(out, found)
    console.print(f"{out}: {asked.num_frames} steps foretold.")
    if asked.film:
        arrays.save_film(asked.film, found)
        console.print(f"{asked.film}: the forecast with its spread.")
