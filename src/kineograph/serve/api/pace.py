"""So many requests a second, and no more: a bucket of tokens for each client."""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

MOST_CLIENTS = 4096


@dataclass(eq=False)
class Pace:
    """a_second refill a bucket of burst; clients that were not heard for longest are forgotten."""

    a_second: float
    burst: int
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def wait(self, client: str, now: float | None = None) -> int:
        """0 where the client may ask now; else after how many seconds."""
        now = time.monotonic() if now is None else now
        with self._lock:
            left, then = self._buckets.pop(client, (float(self.burst), now))
            left = min(float(self.burst), left + (now - then) * self.a_second)
            granted = left >= 1
            self._buckets[client] = (left - granted, now)
            while len(self._buckets) > MOST_CLIENTS:
                self._buckets.popitem(last=False)
        return 0 if granted else max(1, math.ceil((1 - left) / self.a_second))
