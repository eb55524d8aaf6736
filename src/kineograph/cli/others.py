"""The verbs that make no film: maps learned, data continued."""

from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from kineograph import arrays, tasks, video
from kineograph.answer import Sampling
from kineograph.answer.restoring import picture_of
from kineograph.cli import commands
from kineograph.cli.films import bar
from kineograph.models import weights


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
