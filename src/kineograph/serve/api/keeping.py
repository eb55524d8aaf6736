"""The store stays as small as it was told to: what is old goes, and then the oldest."""

import time
from dataclasses import dataclass, field
from threading import Event, Thread

from kineograph.serve.api import jobs, shelf, uploads
from kineograph.serve.api.jobs import Film
from kineograph.serve.api.service import Service
from kineograph.serve.api.watching import tell, tell_error

EVERY_SECONDS = 60.0
JUST_MADE_SECONDS = 600.0
"""So long a film stays, though the store be too large, for who asked it to fetch it; and an upload,
to be asked about."""


def kept(service: Service, now: float) -> None:
    """Drops films and uploads that are too old, then the oldest until the rest is small enough.

    Of jobs whose film is gone nothing is read: there are ever more of them.
    """
    for film in jobs.films(service.engine):
        if film.expires_at is not None and film.expires_at < now:
            _drop(service, film)
    oldest = now - service.limits.keep_days * 86_400
    for upload in uploads.everything(service.engine):
        if upload.created_at < oldest:
            uploads.drop(service.engine, service.store, upload.id)
    _shrunk(service, now)
    films = [film.output for film in jobs.films(service.engine)]
    shelf.swept(service.store, films, [one.id for one in uploads.everything(service.engine)])


def _shrunk(service: Service, now: float) -> None:
    """Films first, oldest first, and then uploads that nothing in the queue needs; nothing that was
    just made or has just come."""
    left = shelf.size_of(service.store) - service.limits.keep_bytes
    for film in jobs.films(service.engine):
        if left <= 0:
            return
        if (film.completed_at or 0.0) < now - JUST_MADE_SECONDS:
            left -= film.bytes or 0
            _drop(service, film)
    for upload in uploads.everything(service.engine):
        if left <= 0:
            return
        is_new = upload.created_at >= now - JUST_MADE_SECONDS
        if not is_new and uploads.drop(service.engine, service.store, upload.id):
            left -= upload.bytes


def _drop(service: Service, film: Film) -> None:
    jobs.forget_film(service.engine, film)
    shelf.remove(service.store.films / film.output)
    tell("film_dropped", id=film.id)


@dataclass(eq=False)
class Keeping:
    """Does so every minute, in a thread."""

    service: Service
    _over: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> None:
        """From now on."""
        self._thread = Thread(target=self._kept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _kept(self) -> None:
        while True:
            try:
                kept(self.service, time.time())
            except Exception:  # a full disk or a locked database passes
                tell_error("keeping_failed")
            if self._over.wait(EVERY_SECONDS):
                return
