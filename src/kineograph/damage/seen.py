"""What every detector looks at is measured once a frame: small pictures, and how they changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from kineograph.models import cuts
from kineograph.models.cuts import FAST, WIDTH_PX, Change, grey_of, shrunk
from kineograph.models.motion import dense_inverse_search

WORK_PX, MOTION_PX, COLUMNS_PX = 640, 320, 1280
"""Widths: spots are sought at the first, motion at the second, scratches at the last."""
CELL_PX = 8
NUM_BANDS = 24
Motion = Float32[np.ndarray, "h w 2"]
Mask = Bool[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Seen:
    """A frame at its work size, and how it changed from the one before.

    steps: motion since then in pixels of `grey`, the mean of each cell of 8 px. most: mean levels
    by which the cell (of 16 x 9) changed that changed most. bands: the brightness of `NUM_BANDS`
    rows, in levels, as wide as the frame or `COLUMNS_PX`.
    """

    size: tuple[int, int]
    picture: UInt8[np.ndarray, "h w 3"]
    grey: UInt8[np.ndarray, "h2 w2"]
    bands: Float32[np.ndarray, "bands columns"]
    steps: Float32[np.ndarray, "h8 w8 2"]
    most: float
    change: Change


def seen_of(frames: Iterable[Float[Tensor, "3 h w"]]) -> Iterator[Seen]:
    """The measures of every frame."""
    before = None
    for frame in frames:
        before = seen(frame, before)
        yield before


def seen(frame: Float[Tensor, "3 h w"], before: Seen | None) -> Seen:
    """The measures of one frame, `before` being those of the frame before."""
    size = (int(frame.shape[1]), int(frame.shape[2]))
    if before is not None and before.size != size:
        raise ValueError(
            f"a frame of {size[1]}x{size[0]} follows one of {before.size[1]}x{before.size[0]}; "
            "give frames of one size"
        )
    picture = shrunk(frame, WORK_PX)
    grey = grey_of(resized(picture, MOTION_PX))
    change = cuts.change(resized(picture, WIDTH_PX), before and before.change)
    if before is None:
        steps, most = _cells(motion_between(grey, grey)), float("inf")
    else:
        steps = _cells(motion_between(grey, before.grey))
        most = _most(picture, before.picture)
    return Seen(size, picture, grey, bands_of(frame), steps, most, change)


def motion_between(now: UInt8[np.ndarray, "h w"], before: UInt8[np.ndarray, "h w"]) -> Motion:
    """Backward motion; none in pictures that are too small to tell."""
    if min(now.shape) < FAST.smallest_px:
        return np.zeros((*now.shape, 2), np.float32)
    return dense_inverse_search(now, before, FAST)


def bands_of(frame: Float[Tensor, "3 h w"]) -> Float32[np.ndarray, "bands columns"]:
    """The mean brightness of rows, in levels."""
    planes = frame.detach().float().cpu().numpy()
    size = (min(COLUMNS_PX, planes.shape[2]), NUM_BANDS)
    rows = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes]
    return np.asarray((np.mean(rows, 0) + 1) * 127.5, np.float32)


def resized(picture: UInt8[np.ndarray, "h w 3"], width_px: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """At most so wide."""
    height, width = picture.shape[:2]
    if width <= width_px:
        return picture
    size = (width_px, max(1, round(height * width_px / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def enlarged(mask: Mask, size: tuple[int, int]) -> Bool[np.ndarray, "h2 w2"]:
    """A mask at the size of the film."""
    if mask.shape == size:
        return mask
    whole = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(whole) > 0


def odd(px: float) -> int:
    """The nearest odd number of pixels, 1 or more."""
    return 2 * max(0, round((px - 1) / 2)) + 1


def _cells(motion: Motion) -> Float32[np.ndarray, "h2 w2 2"]:
    height, width = motion.shape[:2]
    size = (max(1, width // CELL_PX), max(1, height // CELL_PX))
    return np.asarray(cv2.resize(motion, size, interpolation=cv2.INTER_AREA), np.float32)


def _most(now: UInt8[np.ndarray, "h w 3"], before: UInt8[np.ndarray, "h w 3"]) -> float:
    change = cv2.absdiff(now, before).astype(np.float32)
    return float(cv2.resize(change, (16, 9), interpolation=cv2.INTER_AREA).max())
