"""From a film to a film: what every verb does around its task."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from kineograph import video
from kineograph.answer import Frame
from kineograph.answer.tiles import sized
from kineograph.models import weights
from kineograph.verbs.told import Told
from kineograph.video.info import is_standard

Timed = tuple[Fraction, Frame]
NUM_SHOWN = 5
"""Columns of a comparison."""


@dataclass(frozen=True)
class Answer:
    """What a verb makes of a film: frames and their times, and what the file must know of them.

    num_frames is a guess for the progress bar. classical makes of a given frame what a usual tool
    would, for the comparison; name says which.
    """

    frames: Iterator[Timed]
    info: video.VideoInfo
    width: int
    height: int
    fps: Fraction
    num_frames: int | None
    classical: Callable[[Frame], Frame] | None = None
    classical_name: str = ""


@dataclass
class Kept:
    """Frames set aside for the comparison, as they pass: by moment."""

    moments: list[Fraction]
    frames: dict[Fraction, Frame] = field(default_factory=dict)

    def passing(self, film: Iterable[Timed]) -> Iterator[Timed]:
        """The film, of which the last frame up to each moment is kept."""
        for at, frame in film:
            for moment in self.moments:
                if at <= moment:
                    self.frames[moment] = frame
            yield at, frame


def out_of(given: Path, out: Path | None, what: str) -> Path:
    """Where to write: as asked, or beside the film; ValueError where that is the film itself."""
    if out is None:
        if is_standard(given):
            raise ValueError("The film comes from standard input: say --out, or -o - for a pipe.")
        suffix = given.suffix.lower() if given.suffix.lower() in video.CODECS_OF else ".mp4"
        return given.with_name(f"{given.stem}-{what}{suffix}")
    if not is_standard(out) and out.resolve() == given.resolve():
        raise ValueError(f"{out} is the film itself: give another --out.")
    return out


def opened(path: Path, preview: bool) -> tuple[video.Film, Iterator[Timed], int | None]:
    """The film, its frames with their times, and how many; with `preview` one second of it."""
    film = video.open_stream(path)
    frames = ((at, frame) for frame, at in film.rgb())
    total = None if is_standard(path) else video.count_frames(path)
    if preview:
        second = max(1, round(film.info.fps))
        start = 0 if total is None else max(0, total // 2 - second // 2)
        frames = islice(frames, start, start + second)
        total = second if total is None else min(second, total - start)
    return film, frames, total


def write(
    answer: Answer,
    given: Kept | None,
    out: Path,
    quality: str,
    recipe: dict[str, Any],
    sound: bool,
    compare: Path | None,
    told: Told,
) -> None:
    """Writes the answer whole or not at all, with its recipe, the sound, and a comparison."""
    source = answer.info.path
    heard = source if sound and answer.info.audio_codecs and not is_standard(source) else None
    if heard and out.suffix not in video.SOUND_OF:
        told.say(f"{out.suffix or out} holds no sound: the film's sound is left out.")
        heard = None
    ours = Kept(given.moments if given else [])
    with video.Writer(
        out,
        like=answer.info,
        width=answer.width,
        height=answer.height,
        fps=answer.fps,
        quality=quality,
        audio_from=heard,
        recipe=recipe,
    ) as writer:
        told.begun(recipe["task"], answer.num_frames)
        for at, frame in ours.passing(answer.frames):
            writer.write(frame[None], torch.tensor([float(at)], dtype=torch.float64))
            told.made(frame)
    told.say(f"{out}: {writer.num_frames} frames.")
    if compare and given:
        draw(answer, given, ours, compare)
        told.say(f"{compare}: the comparison.")


def draw(answer: Answer, given: Kept, ours: Kept, path: Path) -> None:
    """Given, classical and our frames at the same moments, as one picture."""
    from kineograph.evaluate import sheet

    moments = [m for m in given.moments if m in given.frames and m in ours.frames]
    before = [given.frames[m] for m in moments]
    rows = {"given": before}
    if answer.classical is not None:
        rows[answer.classical_name] = [answer.classical(frame) for frame in before]
    rows["kineo"] = [ours.frames[m] for m in moments]
    stacked = {
        name: torch.stack([sized(f, answer.height, answer.width) for f in frames])
        for name, frames in rows.items()
    }
    columns = [(f"{float(m):.2f} s", n) for n, m in enumerate(moments)]
    sheet.save_png(sheet.contact_sheet(stacked, columns), path)


def kept_moments(info: video.VideoInfo, num_frames: int | None, preview_start: int = 0) -> Kept:
    """Moments spread over the film, or over its first seconds where its length is not known."""
    total = num_frames or round(4 * info.fps)
    step = Fraction(max(1, total - 1), NUM_SHOWN)
    return Kept(
        [(preview_start + step * (n + Fraction(1, 2))) / info.fps for n in range(NUM_SHOWN)]
    )


def recipe_of(task: str, given: Path, model: str, facts: dict[str, Any]) -> dict[str, Any]:
    """What was asked, of what, and which weights answered."""
    about = {"name": model, "sha256": weights.digest(model)}
    return {"task": task, "given": given.name, **facts, "model": about}
