"""What a live stream tells of itself: rates, latency, and every frame accounted for."""

import time
from collections import deque
from dataclasses import dataclass, field
from threading import Lock

RECENT_SECONDS, LATE_SECONDS = 3.0, 30.0
MOST_KEPT, FEW = 2048, 10


@dataclass(frozen=True)
class Figures:
    """Counts from the start; rates of the last 3 seconds, or 10 frames if that is longer; latencies
    of the last 30 seconds, or of all.

    read = shown + dropped + what is still waiting or being worked on.
    """

    seconds: float
    read: int
    shown: int
    dropped: int
    source_fps: float
    shown_fps: float
    median_seconds: float
    p99_seconds: float

    @property
    def unfinished(self) -> int:
        """Frames that wait, or are being worked on."""
        return self.read - self.shown - self.dropped


def _stamps() -> deque[float]:
    return deque(maxlen=MOST_KEPT)


@dataclass(eq=False)
class Tally:
    """Counts kept by the reading thread and the worker, told to whoever asks."""

    began: float = field(default_factory=time.perf_counter)
    num_read: int = 0
    num_shown: int = 0
    num_dropped: int = 0
    when_read: deque[float] = field(default_factory=_stamps)
    when_shown: deque[float] = field(default_factory=_stamps)
    latencies: deque[float] = field(default_factory=_stamps)
    """Of the frames of `when_shown`; of all means of no more than are kept."""
    lock: Lock = field(default_factory=Lock)

    def begin(self) -> None:
        """Time counts from now on."""
        self.began = time.perf_counter()

    def read(self) -> None:
        """A frame came."""
        with self.lock:
            self.num_read += 1
            self.when_read.append(time.perf_counter())

    def shown(self, latency_seconds: float) -> None:
        """A frame left, so long after it came."""
        with self.lock:
            self.num_shown += 1
            self.when_shown.append(time.perf_counter())
            self.latencies.append(latency_seconds)

    def dropped(self, count: int = 1) -> None:
        """Frames were let go."""
        with self.lock:
            self.num_dropped += count

    def figures(self, late_seconds: float = LATE_SECONDS) -> Figures:
        """All of it, now; latencies of so many seconds."""
        with self.lock:
            now = time.perf_counter()
            stamped = zip(self.when_shown, self.latencies, strict=True)
            late = sorted(s for at, s in stamped if now - at <= late_seconds)
            return Figures(
                now - self.began,
                self.num_read,
                self.num_shown,
                self.num_dropped,
                self._rate(self.when_read, now),
                self._rate(self.when_shown, now),
                part(late, 0.5),
                part(late, 0.99),
            )

    def _rate(self, stamps: deque[float], now: float) -> float:
        since = stamps[-FEW] if len(stamps) >= FEW else self.began
        since = max(self.began, min(since, now - RECENT_SECONDS))
        if len(stamps) == stamps.maxlen:
            since = max(since, stamps[0])
        return sum(stamp >= since for stamp in stamps) / max(now - since, 1e-3)


def part(ordered: list[float], share: float) -> float:
    """The value that this share of the values does not exceed; 0 for none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
