"""Jobs are run one after another; a film that is there as it is asked is not made again."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from av.video.format import VideoFormat

from kineograph import video
from kineograph.answer import Frame
from kineograph.batch import place as places
from kineograph.batch.burning import finish
from kineograph.batch.jobs import Job
from kineograph.batch.place import Place
from kineograph.verbs import running
from kineograph.verbs.told import Told
from kineograph.video.formats import plan

MADE, KEPT, FAILED, WAITING = "made", "kept", "failed", "waiting"


@dataclass(frozen=True)
class Done:
    """What became of a line: made, kept from an earlier batch, failed, or not begun."""

    line: int
    verb: str
    output: str
    state: str
    seconds: float = 0.0
    frames: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Heard:
    """begun: what is made, and of how many frames. passed: one frame more; what it raises ends."""

    begun: Callable[[str, int | None], None]
    passed: Callable[[], None]


def run(jobs: Sequence[Job], place: Place, font: Path, heard: Heard) -> Iterator[Done]:
    """What becomes of each line, in their order. One that fails does not stop the others."""
    for job in jobs:
        about = places.kept(place, job)
        if about is not None:
            yield done(job, KEPT, **about)
            continue
        began = time.monotonic()
        try:
            film = _made(job, place, font, heard)
            seconds = round(time.monotonic() - began, 3)
            about = {"seconds": seconds, "frames": video.count_frames(film)}
            places.keep(place, job, film, about)
        except Exception as error:
            seconds = round(time.monotonic() - began, 3)
            yield done(job, FAILED, seconds=seconds, error=sentence(error))
        else:
            yield done(job, MADE, **about)


def done(job: Job, state: str, **about: Any) -> Done:
    """What became of a job."""
    return Done(job.line, job.verb, job.out.name, state, **about)


def sentence(error: Exception) -> str:
    """What went wrong, on one line; its kind before it where it is no sentence of ours."""
    text = " ".join(str(error).split())
    known = isinstance(error, ValueError | OSError)
    return text if known and text else f"{type(error).__name__}: {text}"


def _made(job: Job, place: Place, font: Path, heard: Heard) -> Path:
    """The whole film, aside."""
    aside = places.emptied(place)
    film = aside / job.out.name
    told = Told(lambda said: None, heard.begun, lambda frame: _passed(frame, heard))
    if not job.texts and job.sound:
        running.run(replace(job.asked, out=film), told)
        return film
    # Written exactly, so that drawing takes nothing from the picture's quality.
    first = aside / f"made{_exact_suffix(job)}"
    running.run(replace(job.asked, out=first, quality="exact"), told)
    heard.begun("texts" if job.texts else "without sound", video.count_frames(first))
    finish(first, film, job.texts, font, job.asked.quality, job.sound, heard.passed)
    first.unlink()
    return film


def _exact_suffix(job: Job) -> str:
    """The kind of film that holds the answer exactly: the one asked for, if it can."""
    own = job.out.suffix.lower() if job.out.suffix.lower() in video.SOUND_OF else ".mp4"
    film = getattr(job.asked, "video", None)
    if film is None:
        return own
    info = video.probe(film)
    layout = VideoFormat(info.pix_fmt)
    if layout.has_palette or any(part.is_alpha for part in layout.components):
        return ".mkv"
    try:
        plan(Path(f"film{own}"), "exact", None, info, *info.stored_size)
    except video.VideoError:
        return ".mkv"
    return own


def _passed(frame: Frame, heard: Heard) -> None:
    heard.passed()
