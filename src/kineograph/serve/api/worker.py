"""The worker is a process of its own, which ends with the server that started it.

`python -m kineograph.serve.api.worker` reads its settings as a line of JSON from standard input;
each line after it says that there may be something new to do.
"""

import json
import logging
import os
import signal
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from kineograph.serve.api import database, jobs, shelf, watching
from kineograph.serve.api.limits import Limits
from kineograph.serve.api.shelf import Shelf
from kineograph.serve.api.watching import tell, warn
from kineograph.serve.api.working import Attempt, begun
from kineograph.train import machine

BEAT_SECONDS, BUSY_SECONDS = 1.0, 0.3
"""How often a worker looks up: with nothing to do, and with something; and whenever it is told."""
MOST_STOPPING_SECONDS = 5.0
"""What has not stopped after this is ended together with the worker, which is started anew."""
MOST_HELD = 2
"""So many paused jobs keep what they have; others are queued again, and begin anew later."""


@dataclass(frozen=True)
class Settings:
    """What a worker must know. level: events below it are not told."""

    store: str
    database: str
    limits: Limits
    level: int = logging.INFO
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))


def settings_of(text: str) -> Settings:
    """The inverse of `Settings.text`."""
    said = json.loads(text)
    return Settings(**{**said, "limits": Limits(**said["limits"])})


@dataclass(eq=False)
class Worker:
    """What one worker has in hand."""

    settings: Settings
    engine: sa.Engine
    store: Shelf
    events: SimpleQueue[str] = field(default_factory=SimpleQueue)
    turn: Lock = field(default_factory=Lock)
    held: list[Attempt] = field(default_factory=list)


def main() -> None:
    """Works until the server ends, or asks for the end by SIGTERM."""
    settings = settings_of(sys.stdin.readline())
    watching.settle(level=settings.level)
    machine.one_heap()  # each film is made by a thread of its own
    engine, store = database.opened(settings.database), shelf.opened(Path(settings.store))
    os.chdir(store.work)
    worker = Worker(settings, engine, store)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal, meant for the server
    signal.signal(signal.SIGTERM, lambda *_: worker.events.put("end"))
    Thread(target=_listened, args=(worker,), daemon=True).start()
    tell("worker_begun", worker=settings.name)
    while _round(worker):
        pass
    for attempt in worker.held:
        jobs.let_go(engine, attempt.job)
    os._exit(0)  # a thread that computes would be waited for


def _listened(worker: Worker) -> None:
    """The server's wishes; when its end of the pipe closes, it is gone, and so is this process."""
    for _ in sys.stdin:
        worker.events.put("new")
    os._exit(0)


def _round(worker: Worker) -> bool:
    """Looks up once: renews leases, begins what is next. Whether to go on."""
    try:
        event = worker.events.get(timeout=BUSY_SECONDS if worker.held else BEAT_SECONDS)
    except Empty:
        event = ""
    if event == "end":
        return False
    worker.held = [one for one in worker.held if one.thread is not None and one.thread.is_alive()]
    for attempt in worker.held:
        _beat(worker, attempt)
    _let_go_of_most(worker)
    if all(one.is_paused for one in worker.held):
        _begin(worker)
    return True


def _beat(worker: Worker, attempt: Attempt) -> None:
    """Tells how far the job is; hears whether it is paused or over."""
    if attempt.stopped_at is not None:
        if time.monotonic() - attempt.stopped_at > MOST_STOPPING_SECONDS:
            warn("worker_stuck", id=attempt.job.id)
            os._exit(3)
        return
    lease = worker.settings.limits.lease_seconds
    paused = jobs.beat(worker.engine, attempt.job, attempt.done, attempt.total, lease)
    if paused is None:
        attempt.end()
    elif paused:
        attempt.go.clear()
    else:
        attempt.go.set()


def _let_go_of_most(worker: Worker) -> None:
    for attempt in [one for one in worker.held if one.is_paused][MOST_HELD:]:
        jobs.let_go(worker.engine, attempt.job)
        attempt.end()


def _begin(worker: Worker) -> None:
    limits = worker.settings.limits
    name = worker.settings.name
    job = None
    with suppress(IntegrityError):  # another machine's worker was faster with this client
        job = jobs.claim(worker.engine, name, limits.lease_seconds, limits.attempts)
    if job is None:
        return
    ended = lambda: worker.events.put("ended")  # noqa: E731
    attempt = begun(worker.engine, worker.store, limits, job, worker.turn, ended)
    worker.held.append(attempt)


if __name__ == "__main__":
    main()
