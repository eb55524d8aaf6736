"""The verbs whose film is made of a picture or a clip: stills moved, clips imagined and edited."""

from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kineograph import regions, tasks, video
from kineograph.answer.tiles import sized
from kineograph.imagine import Imagining
from kineograph.models import eulerian, weights
from kineograph.models.net import Kineo
from kineograph.verbs import asked as verbs
from kineograph.verbs.films import out_of
from kineograph.verbs.told import Told
from kineograph.video.levels import from_levels

MOST_MOTION = 240
"""So many frames of a film say enough of how it moves."""


def animate(asked: verbs.Animate, told: Told) -> None:
    """Moves a still."""
    still = video.read(asked.picture, num_frames=1).frames[0]
    height, width = still.shape[-2:]
    out = asked.out or asked.picture.with_name(f"{asked.picture.stem}-animated.mp4")
    num = tasks.frames_in(asked.seconds, video.checked_fps(asked.fps, "--fps"))
    field, loop = _field(asked, height, width)
    recipe = {"task": "animate", "given": asked.picture.name, "frames": num, "loop": loop}
    frames = tasks.animate(still, field, num, loop)
    _written(frames, num, (width, height), asked.fps, out, asked.quality, recipe, told)


def _field(asked: verbs.Animate, height: int, width: int) -> tuple[eulerian.Field, bool]:
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


LARGEST = (256, 144)
"""Width and height of what is imagined, unless a size is asked for."""


def generate(asked: verbs.Generate, told: Told) -> None:
    """Imagines a film like a clip."""
    like, fps, name = _liked(asked)
    height, width = _imagined_size(asked, *like.shape[-2:])
    num = tasks.frames_in(asked.seconds, fps)
    out = asked.out or Path("generated.mp4")
    how = Imagining(asked.seed, asked.variety)
    frames = tasks.generate(like, num, height, width, asked.loop, how)
    recipe = {"task": "generate", "like": name, "loop": asked.loop, **asdict(how)}
    _written(frames, num, (width, height), fps, out, asked.quality, recipe, told)
    if asked.compare:
        film = video.read(out).frames
        _drawn({"clip": like, "generated": film}, asked.compare, told)


def _liked(asked: verbs.Generate) -> tuple[Tensor, Fraction, str]:
    """The clip that is imagined after, its rate and name. ValueError where a model has none."""
    if asked.like is None and asked.model is not None:
        model = weights.load(asked.model)
        if not isinstance(model, Kineo) or model.example is None:
            raise ValueError(
                f"{asked.model} holds no example of what it learned: give a clip, too, or a model "
                "that was learned with --example."
            )
        fps = Fraction(weights.card(asked.model).get("fps", "24"))
        return from_levels(model.example), fps, asked.model
    path = asked.like or weights.ASSETS / "clip.mp4"
    clip = video.read(path, num_frames=min(MOST_MOTION, video.count_frames(path)))
    return clip.frames, clip.fps, path.name


def _imagined_size(asked: verbs.Generate, height: int, width: int) -> tuple[int, int]:
    tall, wide = smaller(height, width)
    return asked.height or tall, asked.width or wide


def smaller(height: int, width: int) -> tuple[int, int]:
    """The even size of a clip's shape that is imagined by default, no larger than LARGEST."""
    ratio = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
    return 2 * max(1, round(height * ratio / 2)), 2 * max(1, round(width * ratio / 2))


def edit(asked: verbs.Edit, told: Told) -> None:
    """Remakes a film in another look."""
    info = video.probe(asked.video)
    clip = video.read(asked.video)
    out = out_of(asked.video, asked.out, "edited")
    region = None
    if asked.region is not None:
        region = torch.stack(list(regions.named(asked.region, clip.frames)))
    look = None if asked.reference is None else look_of(asked.reference)
    frames = tasks.edit(clip.frames, asked.strength, region, look, asked.seed)
    said = {"strength": asked.strength, "region": asked.region, "seed": asked.seed}
    named = {"reference": asked.reference.name if asked.reference else None}
    recipe = {"task": "edit", "given": asked.video.name, **said, **named}
    size = (info.width, info.height)
    heard = asked.video if info.audio_codecs and out.suffix in video.SOUND_OF else None
    _written(frames, clip.num_frames, size, info.fps, out, asked.quality, recipe, told, info, heard)
    if asked.compare:
        rows = {"given": clip.frames, "edited": video.read(out).frames}
        _drawn(rows, asked.compare, told)


def look_of(path: Path) -> Tensor:
    """The frames of a picture or film that are to be looked like."""
    return video.read(path, num_frames=min(MOST_MOTION, video.count_frames(path))).frames


def _written(
    frames: Iterator[Any],
    num_frames: int,
    size: tuple[int, int],
    fps: Any,
    out: Path,
    quality: str,
    recipe: dict[str, Any],
    told: Told,
    like: video.VideoInfo | None = None,
    sound: Path | None = None,
) -> None:
    with video.Writer(
        out,
        like=like,
        width=size[0],
        height=size[1],
        fps=fps,
        quality=quality,
        audio_from=sound,
        recipe=recipe,
    ) as writer:
        told.begun(recipe["task"], num_frames)
        for frame in frames:
            writer.write(frame[None])
            told.made(frame)
    told.say(f"{out}: {writer.num_frames} frames.")


def _drawn(rows: dict[str, Any], path: Path, told: Told) -> None:
    from kineograph.evaluate import sheet

    height, width = rows["clip" if "clip" in rows else "given"].shape[-2:]
    count = min(len(frames) for frames in rows.values())
    columns = [(str(n), n) for n in sorted({0, count // 4, count // 2, 3 * count // 4, count - 1})]
    alike = {
        name: torch.stack([sized(f, height, width) for f in frames[:count]])
        for name, frames in rows.items()
    }
    sheet.save_png(sheet.contact_sheet(alike, columns), path)
    told.say(f"{path}: the comparison.")
