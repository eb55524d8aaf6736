"""One attempt at a job: the verb runs in a thread, and stops, stands still or goes on as told."""

import gc
import json
import os
import shutil
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

import cv2
import numpy as np
import sqlalchemy as sa

from kineograph import video
from kineograph.answer import Frame
from kineograph.answer.restoring import picture_of
from kineograph.serve.api import asking, jobs, shelf
from kineograph.serve.api.apart import in_our_words
from kineograph.serve.api.jobs import Job
from kineograph.serve.api.limits import Limits
from kineograph.serve.api.shelf import Shelf
from kineograph.serve.api.watching import tell, tell_error
from kineograph.verbs import running
from kineograph.verbs.told import Told

PREVIEW, PREVIEW_PX, PREVIEW_QUALITY = "preview", 320, 80
WATCHED = "watched"
"""A file that is there once anyone watches."""
PREVIEW_EVERY_SECONDS = 0.1
NUMBER = struct.Struct("<I")
"""Before a preview's JPEG: how many frames are made."""


class StoppedError(Exception):
    """The job is no longer to be done."""


@dataclass(eq=False)
class Attempt:
    """A job in hand. turn: whoever has it may compute."""

    job: Job
    folder: Path
    turn: Lock
    done: int = 0
    total: int | None = None
    stop: Event = field(default_factory=Event)
    go: Event = field(default_factory=Event)
    thread: Thread | None = None
    stopped_at: float | None = None
    shown_at: float = 0.0

    @property
    def is_paused(self) -> bool:
        """Whether it is to stand still."""
        return not self.go.is_set()

    def end(self) -> None:
        """It is to stop at its next frame."""
        self.stop.set()
        self.go.set()
        self.stopped_at = self.stopped_at or time.monotonic()


def begun(
    engine: sa.Engine, store: Shelf, limits: Limits, job: Job, turn: Lock, ended: Callable[[], None]
) -> Attempt:
    """Starts a job in a thread of its own, which calls `ended` last."""
    assert job.lease is not None
    attempt = Attempt(job, shelf.work_of(store, job.id, job.lease), turn, total=job.total)
    attempt.go.set()

    def work() -> None:
        try:
            with turn:
                _worked(engine, store, limits, attempt)
        except Exception:  # what is no sentence is ours to mend, and must not end the worker
            tell_error("job_broke", id=job.id)
            jobs.fail(engine, job, "server_error", "Something went wrong here.")
        finally:
            shutil.rmtree(attempt.folder, ignore_errors=True)
            gc.collect()  # PyAV holds a film's first frame, with its decoder's, in a cycle
            ended()

    attempt.thread = Thread(target=work, daemon=True, name=job.id)
    attempt.thread.start()
    return attempt


def _worked(engine: sa.Engine, store: Shelf, limits: Limits, attempt: Attempt) -> None:
    job = attempt.job
    attempt.folder.mkdir(parents=True)
    out = attempt.folder / "film.mp4"
    # As seen from here, so that no recipe tells where this machine keeps its files.
    files = {name: Path(os.path.relpath(store.files / file)) for name, file in job.given.items()}
    tell("job_begun", id=job.id, task=job.task, attempt=job.attempts)
    try:
        film = files.get("input_reference")
        count = video.count_frames(film) if film is not None else None
        asked = asking.asked_of(job.task, job.model, json.loads(job.question), files, out, count)
        running.run(asked, _telling(attempt))
        _check(attempt)
        _put(engine, store, limits, attempt, out)
    except StoppedError:
        tell("job_stopped", id=job.id)
    except (ValueError, OSError) as error:
        tell("job_failed", id=job.id, error=type(error).__name__)
        jobs.fail(engine, job, "bad_input", in_our_words(error, out, *files.values()))


def _put(engine: sa.Engine, store: Shelf, limits: Limits, attempt: Attempt, out: Path) -> None:
    """The film in its place, then the row that says so; without the row it is no film of ours."""
    job = attempt.job
    info, count = video.probe(out), video.count_frames(out)
    place = store.films / f"{job.id}-{job.lease}.mp4"
    made = {
        "output": place.name,
        "bytes": out.stat().st_size,
        "done": attempt.done,
        "total": attempt.done,
        "seconds": float(count / info.fps),
        "width": info.width,
        "height": info.height,
        "fps": str(info.fps),
        "expires_at": time.time() + limits.keep_days * 86_400,
    }
    os.replace(out, place)
    if jobs.complete(engine, job, made):
        tell("job_completed", id=job.id, frames=count)
    else:
        place.unlink(missing_ok=True)
        tell("job_lost", id=job.id)


def _telling(attempt: Attempt) -> Told:
    def begun(name: str, total: int | None) -> None:
        attempt.total = total or attempt.total
        _check(attempt)

    def made(frame: Frame) -> None:
        attempt.done += 1
        _check(attempt)
        now = time.monotonic()
        if now - attempt.shown_at >= PREVIEW_EVERY_SECONDS:
            attempt.shown_at = now
            if (attempt.folder / WATCHED).exists():
                _show(attempt, frame)

    return Told(lambda said: None, begun, made)


def _check(attempt: Attempt) -> None:
    """Stands still while paused, leaving the turn to others; StoppedError where it is over."""
    if attempt.is_paused:
        attempt.turn.release()
        try:
            attempt.go.wait()
        finally:
            attempt.turn.acquire()
    if attempt.stop.is_set():
        raise StoppedError


def _show(attempt: Attempt, frame: Frame) -> None:
    """The frame, small, where the server finds it."""
    aside = attempt.folder / f"{PREVIEW}.part"
    aside.write_bytes(NUMBER.pack(attempt.done) + jpeg(picture_of(frame), PREVIEW_PX))
    aside.replace(attempt.folder / PREVIEW)


def fitted(picture: np.ndarray, most_px: int) -> np.ndarray:
    """A picture, made smaller where it is wider or higher than that."""
    share = most_px / max(picture.shape[:2])
    if share >= 1:
        return picture
    size = max(1, round(picture.shape[1] * share)), max(1, round(picture.shape[0] * share))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def jpeg(picture: np.ndarray, most_px: int) -> bytes:
    """A picture as JPEG, no wider or higher than that."""
    bgr = np.ascontiguousarray(fitted(picture, most_px)[..., ::-1])
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, PREVIEW_QUALITY])
    assert done
    return data.tobytes()
