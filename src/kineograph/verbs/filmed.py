"""Each verb that turns a film into a film: what it asks of its task, what the file must know."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import tee
from typing import Any

import cv2
import numpy as np

from kineograph import regions, tasks, video
from kineograph.answer import Frame
from kineograph.answer.restoring import frame_of, picture_of
from kineograph.damage import Damage, listed
from kineograph.models import weights
from kineograph.models.window import Predictor
from kineograph.verbs import asked as verbs
from kineograph.verbs import bounds
from kineograph.verbs.films import Answer, Timed, kept_moments, opened, out_of, recipe_of, write
from kineograph.verbs.told import Told

Made = tuple[Answer, dict[str, Any]]


def run(asked: verbs.Filmed, told: Told) -> None:
    """Opens the film, asks the verb's task, writes."""
    make, said, what = _verb(asked)
    out = out_of(asked.video, asked.out, what + ("-preview" if asked.preview else ""))
    film, frames, total = opened(asked.video, asked.preview)
    with film:
        given = kept_moments(film.info, total) if asked.compare else None
        if given:
            frames = given.passing(frames)
        answer, facts = make(asked, film, frames, total, weights.load(asked.model))
        recipe = recipe_of(said, asked.video, asked.model, {**facts, "seed": asked.seed})
        keeps_time = not asked.preview and not (
            isinstance(asked, verbs.Interpolate) and asked.slower > 1
        )
        write(answer, given, out, asked.quality, recipe, keeps_time, asked.compare, told)


def _verb(asked: verbs.Filmed) -> tuple[Any, str, str]:
    found = {
        verbs.Interpolate: (interpolate, "interpolate", "interpolated"),
        verbs.Enhance: (enhance, "enhance", "enhanced"),
        verbs.Inpaint: (inpaint, "inpaint", "inpainted"),
        verbs.Outpaint: (outpaint, "outpaint", "outpainted"),
        verbs.Repair: (repair, "repair", "repaired"),
        verbs.Transfer: (transfer, "transfer", "transferred"),
    }
    return found[type(asked)]


def _like(film: video.Film, frames: Iterator[Timed], total: int | None) -> Answer:
    """An answer of the film's own size, rate and times."""
    info = film.info
    return Answer(frames, info, info.width, info.height, info.fps, total)


def _at_their_times(
    frames: Iterator[Timed], task: Callable[[Iterator[Frame]], Iterator[Frame]]
) -> Iterator[Timed]:
    """What a task makes of each frame, shown when the frame was."""
    first, second = tee(frames)
    return zip((at for at, _ in first), task(frame for _, frame in second), strict=True)


def interpolate(
    asked: verbs.Interpolate,
    film: video.Film,
    frames: Iterator[Timed],
    total: int | None,
    model: Predictor,
) -> Made:
    """Another rate, or slow motion."""
    if not bounds.is_paced(asked.fps, asked.slower):
        raise ValueError("Say either --fps, such as 60, or --slower, such as 4.")
    if not 1 <= asked.slower <= 64:
        raise ValueError(f"--slower is {asked.slower}: give 2 to 64.")
    info = film.info
    fps = info.fps if asked.fps is None else rate(asked.fps)
    slowed = ((at * asked.slower, frame) for at, frame in frames)
    num = None if total is None else round(total * asked.slower * fps / info.fps)
    like = replace(info, num_frames=None)
    answer = Answer(tasks.interpolate(slowed, fps, model), like, info.width, info.height, fps, num)
    return answer, {"fps": str(fps), "slower": asked.slower}


def rate(text: str) -> Fraction:
    """A rate as people write it; 23.976, 29.97 and 59.94 are what they stand for."""
    known = {"23.976": (24000, 1001), "23.98": (24000, 1001), "29.97": (30000, 1001),
             "59.94": (60000, 1001), "119.88": (120000, 1001)}  # fmt: skip
    if text in known:
        return Fraction(*known[text])
    try:
        found = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"The rate {text!r} is no number: write 60 or 60000/1001.") from error
    if not 0 < found <= 1000:
        raise ValueError(f"The rate is {text}: give more than 0, and at most 1000.")
    return found


def enhance(
    asked: verbs.Enhance,
    film: video.Film,
    frames: Iterator[Timed],
    total: int | None,
    model: Predictor,
) -> Made:
    """Less noise, blur and flicker; more pixels; colours."""
    others = asked.deblur or asked.scale > 1 or asked.deflicker or asked.colourise
    denoise = asked.denoise if asked.denoise is not None else float(not others)
    what = tasks.Enhancement(denoise, asked.deblur, asked.scale, asked.deflicker, asked.colourise)
    made = _at_their_times(frames, lambda film: tasks.enhance(film, what, model))
    like = _like(film, made, total)
    answer = replace(
        like,
        width=like.width * asked.scale,
        height=like.height * asked.scale,
        classical=_non_local_means if denoise and asked.scale == 1 else None,
        classical_name="non-local means",
    )
    return answer, {"enhancement": vars(what)}


def _non_local_means(frame: Frame) -> Frame:
    return frame_of(
        np.asarray(cv2.fastNlMeansDenoisingColored(picture_of(frame), None, 10, 10, 7, 15))  # pyright: ignore[reportCallIssue, reportArgumentType]
    )


def inpaint(
    asked: verbs.Inpaint,
    film: video.Film,
    frames: Iterator[Timed],
    total: int | None,
    model: Predictor,
) -> Made:
    """A region taken away."""
    first, second, third = tee(frames, 3)
    holes = regions.named(asked.region, (frame for _, frame in second))
    made = zip(
        (at for at, _ in third), tasks.inpaint((f for _, f in first), holes, model), strict=True
    )
    return _like(film, made, total), {"region": asked.region}


def outpaint(
    asked: verbs.Outpaint,
    film: video.Film,
    frames: Iterator[Timed],
    total: int | None,
    model: Predictor,
) -> Made:
    """A picture of another shape."""
    width, height = reshaped(film.info.width, film.info.height, asked.aspect)
    made = _at_their_times(frames, lambda film: tasks.outpaint(film, height, width, model))
    return replace(_like(film, made, total), width=width, height=height), {"aspect": asked.aspect}


def reshaped(width: int, height: int, aspect: str) -> tuple[int, int]:
    """The smallest even size of that aspect which holds the picture."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", aspect)
    if match is None or not 0.1 <= (shape := float(match[1]) / max(float(match[2]), 1e-9)) <= 10:
        raise ValueError(f"The aspect {aspect!r} is none: write 16:9, or 2.39:1.")
    if shape > width / height:
        return 2 * round(height * shape / 2), height
    return width, 2 * round(width / shape / 2)


def repair(
    asked: verbs.Repair,
    film: video.Film,
    frames: Iterator[Timed],
    total: int | None,
    model: Predictor,
) -> Made:
    """Damage made good; where frames were put back, they follow one another at the film's rate."""
    kinds = {"dropped", "frozen", "glitch", "scratch", "dust"}
    if unknown := set(asked.only) - kinds:
        raise ValueError(f"There is no damage {sorted(unknown)[0]!r}: use {', '.join(kinds)}.")
    wanted = set(asked.only) or kinds
    what = Damage(**{kind: kind in wanted for kind in kinds})
    numbers = listed(asked.frames) if asked.frames else frozenset[int]()
    lines = listed(asked.lines, "column") if asked.lines else frozenset[int]()
    repaired = tasks.repair((f for _, f in frames), what, numbers, model, lines)
    timed = ((n / film.info.fps, frame) for n, (frame, _) in enumerate(repaired))
    recipe = {"sought": sorted(wanted), "listed": sorted(numbers), "lines": sorted(lines)}
    return _like(film, timed, total), recipe


def transfer(
    asked: verbs.Transfer,
    film: video.Film,
    frames: Iterator[Timed],
    total: int | None,
    model: Predictor,
) -> Made:
    """Another domain, by a map."""
    net = weights.load_map(str(asked.map))
    made = _at_their_times(frames, lambda film: tasks.transfer(film, net))
    return _like(film, made, total), {"map": weights.digest(str(asked.map))}
