"""The server keeps a worker alive: where it dies, its jobs wait again and another is started."""

import logging
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

import sqlalchemy as sa

from kineograph.serve.api import jobs, shelf
from kineograph.serve.api.limits import Limits
from kineograph.serve.api.shelf import Shelf
from kineograph.serve.api.watching import LOGGER, Figures, warn
from kineograph.serve.api.worker import Settings

COMMAND = (sys.executable, "-m", "kineograph.serve.api.worker")
LEAST_LIFE_SECONDS, MOST_PAUSE_SECONDS = 5.0, 30.0
GOODBYE_SECONDS = 3.0


@dataclass(eq=False)
class Keeper:
    """Whoever keeps the worker; `process` is the worker that lives now."""

    engine: sa.Engine
    store: Shelf
    limits: Limits
    figures: Figures
    database: str
    process: subprocess.Popen[str] | None = None
    _over: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)
    _thread: Thread | None = None

    def start(self) -> None:
        """Starts a worker, and another whenever it dies."""
        self._thread = Thread(target=self._kept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the worker; what it had in hand is queued again."""
        self._over.set()
        process = self.process
        if process is not None and process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(GOODBYE_SECONDS)
            process.kill()
        if self._thread is not None:
            self._thread.join()

    def wake(self) -> None:
        """There is something new for the worker."""
        self._say("")

    def _kept(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            began = time.monotonic()
            level = logging.getLogger(LOGGER).level or logging.INFO  # it tells what its server does
            settings = Settings(str(self.store.folder), self.database, self.limits, level)
            with self._lock:
                self.process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, text=True)
            self.figures.workers.inc()
            self._say(settings.text())
            code = self.process.wait()
            if self.process.stdin is not None:
                with suppress(OSError):
                    self.process.stdin.close()
            if not self._over.is_set():
                warn("worker_died", code=code)
            jobs.orphaned(self.engine, self.limits.attempts, settings.name)
            shelf.cleared(self.store)
            lived = time.monotonic() - began
            pause = 0.0 if lived > LEAST_LIFE_SECONDS else min(2 * pause + 0.1, MOST_PAUSE_SECONDS)

    def _say(self, line: str) -> None:
        """To the worker, if there is one that listens."""
        with self._lock, suppress(OSError, ValueError):
            if self.process is not None and self.process.stdin is not None:
                self.process.stdin.write(line + "\n")
                self.process.stdin.flush()
