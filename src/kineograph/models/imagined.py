"""What is never in sight is imagined once, and moves with the picture from then on.

The picture lies on a larger canvas, so that what comes in from its sides was imagined too. Places,
not colours, are followed (`uncover.Trace`): nothing is softened on the way, however long it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from kineograph.models.aligned import QUICK, Picture, places, pulled, small_grey
from kineograph.models.completed import completed
from kineograph.models.motion import dense_inverse_search
from kineograph.models.uncover import Trace, followed, hidden_from, spread, trusted

Hole = Bool[np.ndarray, "h w"]
MARGIN = 0.06
"""The canvas goes on by so much of the longer side, all around."""
THIN = 0.03
"""Holes of less than so much of the short side are no matter of patches."""
MAX_KEYS = 48
"""Pictures that places are read from; what was only seen before is read once more."""
NEAR = 0.25
"""Motion counts by how near it is to what is imagined, e times less after so much of the side."""
NUM_FITS = 8
LEAST_PX = 0.1


def thick(hole: Hole) -> Hole:
    """The hole without its thin parts; the sides of the picture do not make it thin."""
    width = 2 * round(THIN * min(hole.shape)) + 1
    square = np.ones((width, width), np.uint8)
    wide = cv2.copyMakeBorder(hole.astype(np.uint8), *(width,) * 4, cv2.BORDER_REPLICATE)
    return cv2.morphologyEx(wide, cv2.MORPH_OPEN, square)[width:-width, width:-width] > 0


@dataclass
class Memory:
    """A canvas as it was last: what it shows, where that was in sight, and pictures of then."""

    margin: int
    number: int = -1
    trace: Trace | None = None
    keys: dict[int, Picture] = field(default_factory=dict)
    grey: UInt8[np.ndarray, "h2 w2"] | None = None
    hole: Hole | None = None


def imagined(pictures: Iterable[tuple[Picture, Hole]], seed: int = 0) -> Iterator[Picture]:
    """Pictures of one shot with their holes (True) imagined; everything else bit for bit.

    In the holes they are a first guess, smooth for example.
    """
    memory: Memory | None = None
    for picture, hole in pictures:
        memory = memory or Memory(round(MARGIN * max(hole.shape)))
        yield _next(memory, picture, hole, seed)


def _next(memory: Memory, picture: Picture, hole: Hole, seed: int) -> Picture:
    m = memory.margin
    canvas = cv2.copyMakeBorder(picture, m, m, m, m, cv2.BORDER_REPLICATE)
    unknown = cv2.copyMakeBorder(hole.astype(np.uint8), m, m, m, m, cv2.BORDER_CONSTANT, value=1) > 0
    inner = slice(m, m + hole.shape[0]), slice(m, m + hole.shape[1])
    grey = small_grey(picture)
    memory.number += 1
    trace = Trace.of(memory.number, unknown)
    if memory.trace is not None:
        motion = _motion(memory, grey, hole, unknown.shape)
        trace = followed(memory.trace, motion, memory.number, unknown)
    _read(memory, trace, canvas, unknown)
    missing = trace.frame < 0
    if missing[inner].any():
        wanted = _wanted(missing, inner, m)
        canvas = _completed(canvas, missing, wanted, seed)
        trace.frame[wanted], trace.at[wanted] = memory.number, places(*unknown.shape)[wanted]
    _kept(memory, trace, canvas)
    memory.grey, memory.hole = small_grey(canvas[inner]), hole
    return np.where(hole[..., None], canvas[inner], picture)


def _wanted(missing: Hole, inner: tuple[slice, slice], margin: int) -> Hole:
    """What is missing in the picture, and around that in the margin."""
    visible = np.zeros(missing.shape, np.uint8)
    visible[inner] = missing[inner]
    width = 2 * margin + 1
    return missing & (cv2.dilate(visible, np.ones((width, width), np.uint8)) > 0)


def _completed(canvas: Picture, missing: Hole, wanted: Hole, seed: int) -> Picture:
    """The canvas with what is wanted; from the smallest frame around that and what is known."""
    rows, columns = (np.flatnonzero((wanted | ~missing).any(axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    hole = missing[box]
    if hole.all():
        return canvas
    guess = np.rint(spread(canvas[box], hole)).clip(0, 255).astype(np.uint8)
    made = canvas.copy()
    made[box] = completed(canvas[box], hole, guess, seed)
    return made


def _read(memory: Memory, trace: Trace, canvas: Picture, unknown: Hole) -> None:
    """Colours of what was in sight before, into the canvas."""
    y, x = np.nonzero(unknown & (trace.frame >= 0))
    source, at = trace.frame[y, x], trace.at[y, x]
    for number in np.unique(source):
        here = source == number
        found = pulled(memory.keys[int(number)], at[here][None], sharp=True)
        canvas[y[here], x[here]] = found[0]


def _kept(memory: Memory, trace: Trace, canvas: Picture) -> None:
    memory.keys[memory.number] = canvas
    while len(memory.keys) > MAX_KEYS:
        oldest = min(memory.keys)
        del memory.keys[oldest]
        late = trace.frame == oldest
        trace.frame[late], trace.at[late] = memory.number, places(*trace.frame.shape)[late]
    memory.trace = trace


def _motion(
    memory: Memory, grey: UInt8[np.ndarray, "h2 w2"], hole: Hole, size: tuple[int, ...]
) -> Float[np.ndarray, "h w 2"]:
    """Motion of the canvas to the one before: moved, turned and enlarged as a whole."""
    assert memory.grey is not None
    assert memory.hole is not None
    motion = trusted(dense_inverse_search(grey, memory.grey, QUICK), grey, memory.grey)
    hidden = hidden_from(hole | memory.hole, grey.shape)
    ratio = np.array(hole.shape, np.float32) / np.array(grey.shape, np.float32)
    fit = similarity(motion, hidden)
    at = (places(*size) - memory.margin) / ratio[::-1]
    x, y = at[..., 0], at[..., 1]
    a, c, across, down = fit
    moved = np.stack([a * x - c * y + across, c * x + a * y + down], -1)
    return (moved * ratio[::-1]).astype(np.float32)


def similarity(motion: Float[np.ndarray, "h w 2"], hidden: Hole) -> Float[np.ndarray, "4"]:
    """(a, c, dx, dy): the motion at (x, y) is (a x - c y + dx, c x + a y + dy), robustly.

    Least squares, weighted anew by what they leave (Cauchy), and by nearness to what is hidden.
    """
    known = ~hidden
    if not known.any():
        return np.zeros(4)
    away = np.asarray(cv2.distanceTransform(known.astype(np.uint8), cv2.DIST_L2, 5))
    near = np.exp(-away / (NEAR * min(hidden.shape))) * known
    y, x = np.nonzero(known[::3, ::3])
    y, x = 3 * y, 3 * x
    one, none = np.ones(len(x)), np.zeros(len(x))
    rows = np.concatenate([np.stack([x, -y, one, none], 1), np.stack([y, x, none, one], 1)])
    goal, share = motion[y, x].astype(np.float64), near[y, x].astype(np.float64)
    weights, fit = share, np.zeros(4)
    for _ in range(NUM_FITS):
        root = np.sqrt(np.tile(weights, 2))
        fit = np.linalg.lstsq(rows * root[:, None], goal.T.ravel() * root, rcond=None)[0]
        left = np.hypot(*(goal.T.ravel() - rows @ fit).reshape(2, -1))
        scale = max(LEAST_PX, float(np.median(left)))
        weights = share / (1 + (left / scale) ** 2)
    return fit
