"""A cut is where the colours change and motion explains nothing, amid frames that it explains."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from kineograph.models.aligned import moved
from kineograph.models.motion import Dis, dense_inverse_search

AHEAD = 3
"""How many frames beyond the one in question are looked at."""
WIDTH_PX = 160
LEAST, NOISE_LEVELS = 1.5, 2.0
"""Tuned on training shots: true cuts score above 4.6, and 2.0 in a quarter of the contrast; the
rest below 0.93."""
AGREE = 0.4
"""Frames on both sides of a flash or a broken frame differ by less than this share of it."""
FAST = Dis(finest_scale=1)
Item = TypeVar("Item")
Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, eq=False)
class Change:
    """A small picture, its colours, and how it differs from the one before.

    counts: the share of pixels of each colour. unexplained: mean levels that motion leaves.
    recoloured: the share of pixels whose colour was not there before.
    """

    picture: Picture
    counts: Float32[np.ndarray, " n"]
    unexplained: float
    recoloured: float


def cuts(frames: Iterable[Float[Tensor, "3 h w"]]) -> Iterator[bool]:
    """Whether each frame of a film (RGB in [-1, 1]) begins a shot; the first one does.

    Looks `AHEAD` frames ahead. A flash or a broken frame or two is no cut; neither is a dissolve.
    """
    return cuts_of(changes(shrunk(frame, WIDTH_PX) for frame in frames))


def shrunk(frame: Float[Tensor, "3 h w"], width_px: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The frame in 8 bits, at most so wide, each pixel a mean."""
    planes = frame.detach().float().cpu().numpy()
    height, width = planes.shape[1:]
    if width > width_px:
        size = (width_px, max(1, round(height * width_px / width)))
        planes = np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in planes])
    held = np.clip(planes * 127.5 + 128, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(held.transpose(1, 2, 0))


def changes(pictures: Iterable[Picture]) -> Iterator[Change]:
    """What changes from each picture to the next."""
    before = None
    for picture in pictures:
        before = change(picture, before)
        yield before


def change(picture: Picture, before: Change | None) -> Change:
    """What changes from the picture before to this one; nothing does at the first."""
    counts = _counts(picture)
    if before is None:
        return Change(picture, counts, 0.0, 0.0)
    recoloured = float(np.abs(counts - before.counts).sum()) / 2
    return Change(picture, counts, _unexplained(picture, before.picture), recoloured)


def cuts_of(found: Iterable[Change]) -> Iterator[bool]:
    """`cuts`, of changes already measured."""
    for window, now in around(found, AHEAD, AHEAD):
        yield now == 0 or (_score(window, now) > LEAST and not _returns(window, now))


def cuts_at_once(found: Iterable[Change]) -> Iterator[bool]:
    """`cuts_of` from what has come alone: a flash or a broken frame is taken for a cut."""
    for window, now in around(found, AHEAD, 0):
        yield now == 0 or _score(window, now) > LEAST


def around(items: Iterable[Item], behind: int, ahead: int) -> Iterator[tuple[list[Item], int]]:
    """Each item among its neighbours, as (neighbours and itself, its place among them).

    Fewer neighbours at both ends of the film; at its start, and only there, place 0 (if behind
    is 1 or more).
    """
    window: deque[Item] = deque()
    now = 0
    for item in items:
        window.append(item)
        if len(window) - now > ahead:
            yield list(window), now
            now += 1
            if now > behind:
                window.popleft()
                now -= 1
    while now < len(window):
        yield list(window), now
        now += 1
        if now > behind:
            window.popleft()
            now -= 1


def grey_of(picture: Picture) -> UInt8[np.ndarray, "h w"]:
    """How bright it is."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))


def _unexplained(now: Picture, before: Picture) -> float:
    """Mean levels that motion leaves, of the channel that differs most."""
    motion = dense_inverse_search(grey_of(now), grey_of(before), FAST)
    return float(cv2.absdiff(now, moved(before, motion)).max(-1).mean())


def _counts(picture: Picture) -> Float32[np.ndarray, " n"]:
    """The share of pixels of each of 8 x 8 x 8 colours."""
    counts = cv2.calcHist([picture], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3).ravel()
    return counts / counts.sum()


def _score(window: list[Change], now: int) -> float:
    """How far the change stands out from those around it (Boreczky and Rowe, 1996, compare)."""
    usual = median(change.unexplained for k, change in enumerate(window) if k != now)
    here = window[now]
    return here.recoloured * here.unexplained / (usual + NOISE_LEVELS)


def _returns(window: list[Change], now: int) -> bool:
    """Whether the picture before comes back within `AHEAD` frames, or this one had been there."""
    size = window[now].unexplained
    for first in range(max(0, now - AHEAD), now):
        for last in range(max(now, first + 2), min(len(window), first + AHEAD + 1)):
            if _unexplained(window[last].picture, window[first].picture) < AGREE * size:
                return True
    return False
