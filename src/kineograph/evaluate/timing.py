"""How long frames took, and what that comes to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timed:
    """How long frames took, in ms: the median, and what 99 of 100 stay within."""

    num_frames: int
    fps: float
    median_ms: float
    p99_ms: float


def timed_of(seconds: Sequence[float]) -> Timed:
    """What the times of frames come to."""
    median, p99 = 1000 * np.percentile(seconds, [50, 99])
    return Timed(len(seconds), len(seconds) / sum(seconds), float(median), float(p99))


def said(timed: Timed) -> str:
    """As a line for people."""
    return (
        f"{timed.fps:.1f} frames a second; median {timed.median_ms:.1f} ms, 99 of 100 within "
        f"{timed.p99_ms:.1f} ms"
    )
