"""Frames that came and are not yet worked on: a bounded queue, which lets the oldest go when late.

Nothing is let go in silence: the tally counts each.
"""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from threading import Condition, Event

from av.video.frame import VideoFrame

from kineograph.answer.live.tally import Tally

POLL_SECONDS = 0.05


@dataclass(frozen=True, eq=False)
class Given:
    """A frame as it came: `at` is its time in the stream, `came` the clock's when it was there."""

    number: int
    at: Fraction
    came: float
    frame: VideoFrame


class Waiting:
    """The queue between the reading thread and the worker.

    most_late_seconds: an older frame than this is let go rather than taken, unless it is the only
    one; None: nothing is let go, and the reading thread waits while `most` frames do.
    """

    def __init__(
        self, most: int, most_late_seconds: float | None, tally: Tally, num_recent: int = 1
    ) -> None:
        self._most, self._most_late, self._tally = most, most_late_seconds, tally
        self._frames: deque[Given] = deque()
        self._recent: deque[VideoFrame] = deque(maxlen=num_recent)
        self._changed, self._ended = Condition(), False
        self.worked_seconds = 0.0
        """How long frames stay with the worker of late: they must be taken so much younger."""

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, given: Given, stop: Event) -> None:
        """Add a frame; waits for room, or makes some, as the policy is."""
        with self._changed:
            while len(self._frames) >= self._most and not stop.is_set():
                if self._most_late is None:
                    self._changed.wait(POLL_SECONDS)
                else:
                    self._let_go()
            self._frames.append(given)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def taken(self, stop: Event) -> Iterator[tuple[Given, list[VideoFrame]]]:
        """Frames as they come, each with the last `num_recent` up to it, let go or not."""
        while (found := self._next(stop)) is not None:
            yield found

    def _next(self, stop: Event) -> tuple[Given, list[VideoFrame]] | None:
        with self._changed:
            while not self._frames and not self._ended and not stop.is_set():
                self._changed.wait(POLL_SECONDS)
            if stop.is_set() or not self._frames:
                return None
            while len(self._frames) > 1 and self._is_late(self._frames[0]):
                self._let_go()
            given = self._frames.popleft()
            self._recent.append(given.frame)
            self._changed.notify_all()
            return given, list(self._recent)

    def _is_late(self, given: Given) -> bool:
        if self._most_late is None:
            return False
        return time.perf_counter() - given.came > self._most_late - self.worked_seconds

    def _let_go(self) -> None:
        self._recent.append(self._frames.popleft().frame)
        self._tally.dropped()
