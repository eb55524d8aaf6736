"""Black bars are dark in nearly every frame and end in a straight edge, as no dark scene does."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from kineograph.data.folder.found import Crop

Grey = UInt8[np.ndarray, "h w"]

DARK_LEVELS = 28
"""Bars of 0 are lifted by coding, and logos or subtitles may stand in them at times."""
MOST_TIMES = 80
"""The percentile over time that must be dark."""
EDGE, EDGE_PX, EMPTY = 0.5, 3, 0.02
"""Within so many pixels of a bar, half as much is lit as in any row; in the bar almost nothing."""
LEAST_BAR = 0.01
MOST_BARS = 0.75


def crop_of(pictures: Sequence[Grey], width: int, height: int) -> Crop:
    """The part of a film of this size that is no bar, from some of its pictures, of one size.

    Goes by rows and columns; a pixel (of the pictures given) is taken away inside each bar's edge.
    """
    seen = [p for p in pictures if p.max() > 2 * DARK_LEVELS]
    if not seen:
        return 0, 0, width, height
    usual = np.percentile(np.stack(seen), MOST_TIMES, axis=0)
    lit = (usual > DARK_LEVELS).astype(np.float64)
    top, bottom = _bars(lit.mean(1))
    left, right = _bars(lit.mean(0))
    across, down = width / lit.shape[1], height / lit.shape[0]
    x, y = round(left * across), round(top * down)
    return x, y, width - x - round(right * across), height - y - round(bottom * down)


def _bars(lit: Float[np.ndarray, " n"]) -> tuple[int, int]:
    """How wide the bars at both ends are, given the lit share of each row."""
    if lit.max() <= EMPTY:
        return 0, 0
    before, after = _bar(lit / lit.max()), _bar(lit[::-1] / lit.max())
    return (before, after) if before + after <= MOST_BARS * len(lit) else (0, 0)


def _bar(lit: Float[np.ndarray, " n"]) -> int:
    edge = int(np.argmax(lit >= EDGE))
    dark = lit[: max(0, edge - EDGE_PX + 1)]
    if edge < max(2, LEAST_BAR * len(lit)) or (dark > EMPTY).any():
        return 0
    return edge + 1


def grey_of(picture: UInt8[np.ndarray, "h w 3"]) -> Grey:
    """The brightest channel: bars are dark in all."""
    return np.asarray(picture.max(-1))


def cropped(picture: Grey, crop: Crop, width: int, height: int) -> UInt8[np.ndarray, "h2 w2"]:
    """The crop of a film of this size, taken from a smaller picture of it."""
    across, down = picture.shape[1] / width, picture.shape[0] / height
    x, y = int(crop[0] * across), int(crop[1] * down)
    wide, tall = max(1, round(crop[2] * across)), max(1, round(crop[3] * down))
    return np.ascontiguousarray(picture[y : y + tall, x : x + wide])
