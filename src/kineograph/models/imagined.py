"""What is never in sight is imagined once, and moves with the picture from then on.

The picture lies on a larger canvas, so that what comes in from its sides was imagined too. Places,
not colours, are followed (`uncover.Trace`): nothing is softened on the way, however long it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from kineograph.models.aligned import QUICK, Picture, places, read_at, small_grey, trusted
from kineograph.models.completed import completed
from kineograph.models.cuts import around
from kineograph.models.motion import dense_inverse_search
from kineograph.models.uncover import Trace, followed, hidden_from, spread

Hole = Bool[np.ndarray, "h w"]
MARGIN = 0.06
"""The canvas goes on by so much of the longer side, all around."""
THIN = 0.03
"""Holes of less than so much of the short side are no matter of patches."""
MAX_KEYS = 48
"""Pictures that places are read from; what was only seen before is read once more."""
NEAR = 0.25
"""Motion counts by how near it is to what is imagined, e times less after so much of the side."""
NUM_FITS, EVERY = 8, 11
"""Motion is fitted so many times anew, to every so many-th pixel."""
LEAST_PX = 0.1
NUM_AROUND, ALONE_PX, CLOSED_PX, RIM_PX = 6, 1.0, 6, 3
"""What moves otherwise than the picture, by so much in so many frames, is not made twice."""
MOST_LIVELY = 0.6
AMID = 0.5
"""Tuned on watched shots: at 0, 0.25, 0.5, 0.75 and 1 the bench's holes have 22.91, 23.06, 22.94,
22.57 and 22.00 dB, and ST-LPIPS of 0.0524, 0.0485, 0.0467, 0.0464 and 0.0473."""
SEEN_ENOUGH, HARDLY_SEEN = 0.5, 0.9
"""Where more of a hole than the first was never in sight, that rises to 1 at the second: so large
a guess is a blur, and half of it a ghost."""


def thick(hole: Hole) -> Hole:
    """The hole without its thin parts; the sides of the picture do not make it thin."""
    width = 2 * round(THIN * min(hole.shape)) + 1
    square = np.ones((width, width), np.uint8)
    wide = np.pad(hole, width, mode="edge").astype(np.uint8)
    return cv2.morphologyEx(wide, cv2.MORPH_OPEN, square)[width:-width, width:-width] > 0


class Guessed(NamedTuple):
    """A frame whose hole (True) is filled somehow, and what of the hole was never in sight."""

    picture: Picture
    hole: Hole
    never: Hole


@dataclass
class Memory:
    """A canvas as it was last: where each place was known or imagined.

    Kept with it are the pictures of then, and where those show nothing.
    What was made of other frames' sight is not remembered: a figure may have run into the hole.
    """

    margin: int
    number: int = -1
    trace: Trace | None = None
    keys: dict[int, Picture] = field(default_factory=dict)
    blanks: dict[int, Hole] = field(default_factory=dict)
    grey: UInt8[np.ndarray, "h2 w2"] | None = None
    hole: Hole | None = None


def imagined(frames: Iterable[Guessed], seed: int = 0) -> Iterator[Picture]:
    """Frames of one shot, what was never seen of them imagined; everything else bit for bit.

    Looks 6 frames ahead for what moves by itself.
    """
    memory: Memory | None = None
    for window, now in around(frames, NUM_AROUND, NUM_AROUND):
        memory = memory or Memory(round(MARGIN * max(window[now].hole.shape)))
        yield _next(memory, window, now, seed)


def _next(memory: Memory, window: Sequence[Guessed], now: int, seed: int) -> Picture:
    """The frame, and the canvas one frame on."""
    frame, m = window[now], memory.margin
    h, w = frame.hole.shape
    inner, unknown = (slice(m, m + h), slice(m, m + w)), _border(frame.hole, m, True)
    canvas = _wide(frame.picture, m)
    memory.number += 1
    trace = Trace.of(memory.number, unknown)
    grey = small_grey(frame.picture)
    if memory.trace is not None:
        motion = _motion(memory, grey, frame.hole, (h + 2 * m, w + 2 * m))
        trace = followed(memory.trace, motion, memory.number, unknown)
        _looked_up(memory, trace, unknown)
        _caught_up(trace, memory.trace, motion, memory.number)
        _read(memory, trace, canvas, unknown)
    blank = _border(frame.never, m, True)
    missing = blank & (trace.frame < 0)
    if missing[inner].any():
        wanted = missing & _near(_border(missing[inner], m, False), m)
        context = np.where((unknown & ~blank)[..., None], _wide(frame.picture, m), canvas)
        made = _completed(context, missing, wanted, _border(lively(window, now), m, False), seed)
        canvas = np.where(wanted[..., None], made, canvas)
        trace.frame[wanted], trace.at[wanted] = memory.number, places(*unknown.shape)[wanted]
    _kept(memory, trace, canvas)
    memory.grey, memory.hole = grey, frame.hole
    share = _share(frame.never, frame.hole)[..., None]
    return np.rint(
        frame.picture + share * (canvas[inner].astype(np.float32) - frame.picture)
    ).astype(np.uint8)


def _looked_up(memory: Memory, trace: Trace, unknown: Hole) -> None:
    """A place that has come to where its picture shows nothing is lost."""
    h, w = unknown.shape
    y, x = np.nonzero(unknown & (trace.frame >= 0))
    source, near = trace.frame[y, x], np.rint(trace.at[y, x]).astype(np.int32)
    near = near.clip(0, np.array([w - 1, h - 1]))
    for number in np.unique(source):
        here = source == number
        lost = memory.blanks[int(number)][near[here, 1], near[here, 0]]
        trace.frame[y[here], x[here]] = np.where(lost, -1, number)


def _caught_up(
    trace: Trace, before: Trace, motion: Float[np.ndarray, "h w 2"], number: int
) -> None:
    """What is lost because its place left an old picture is where the last picture shows it."""
    h, w = trace.frame.shape
    y, x = np.nonzero(trace.frame < 0)
    to = places(h, w)[y, x] + motion[y, x]
    low, high = np.floor(to).astype(np.int32), np.ceil(to).astype(np.int32)
    inside = (low >= 0).all(1) & (high < np.array([w, h])).all(1)
    y, x, to, low, high = (part[inside] for part in (y, x, to, low, high))
    rows, columns = np.stack([low, high], -1)[:, 1], np.stack([low, high], -1)[:, 0]
    shown = (before.frame[rows[:, :, None], columns[:, None]] >= 0).all((1, 2))
    trace.frame[y[shown], x[shown]] = number - 1
    trace.at[y[shown], x[shown]] = to[shown]


def _share(never: Hole, hole: Hole) -> Float[np.ndarray, "h w"]:
    """All of what is imagined at the picture's sides; amid it, so much that on average it is right.

    There the guess, the mean of what may be, is held from all around, and often better.
    """
    parts, wholes = (
        np.asarray(cv2.connectedComponents(mask.astype(np.uint8))[1], np.int32)
        for mask in (never, hole)
    )
    sizes = np.bincount(wholes.ravel())
    unseen = np.bincount(wholes[never], minlength=len(sizes)) / np.maximum(sizes, 1)
    hardly = np.clip((unseen - SEEN_ENOUGH) / (HARDLY_SEEN - SEEN_ENOUGH), 0, 1)
    shares = (AMID + (1 - AMID) * hardly).astype(np.float32)[wholes]
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    return np.where(never, np.where(np.isin(parts, rim), np.float32(1), shares), np.float32(0))


def _border(hole: Hole, margin: int, value: bool) -> Bool[np.ndarray, "h2 w2"]:
    return np.pad(hole, margin, constant_values=value)


def lively(window: Sequence[Guessed], now: int) -> Hole:
    """What moves by itself in a frame, seen from the first and the last frame of a window.

    Nowhere, if most does: then it is the picture itself that lives.
    """
    grey, hole = small_grey(window[now].picture), window[now].hole
    found = np.zeros(grey.shape, np.uint8)
    hidden = hidden_from(hole, grey.shape)
    for other in (window[0], window[-1]):
        motion = dense_inverse_search(grey, small_grey(other.picture), QUICK)
        fit = similarity(motion, hidden | hidden_from(other.hole, grey.shape))
        alone = np.hypot(*np.moveaxis(motion - _field(fit, places(*grey.shape)), -1, 0))
        found |= (alone > ALONE_PX).astype(np.uint8)
    found = cv2.morphologyEx(found, cv2.MORPH_CLOSE, _square(CLOSED_PX))
    found = cv2.dilate(found, _square(RIM_PX)) * ~hidden
    if found.sum() > MOST_LIVELY * (~hidden).sum():
        return np.zeros_like(hole)
    return cv2.resize(found, hole.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def _square(half_px: int) -> UInt8[np.ndarray, "n n"]:
    return np.ones((2 * half_px + 1, 2 * half_px + 1), np.uint8)


def _wide(picture: Picture, margin: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    return np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), mode="edge")


def _near(hole: Hole, margin: int) -> Hole:
    return cv2.dilate(hole.astype(np.uint8), _square(margin)) > 0


def _completed(canvas: Picture, missing: Hole, wanted: Hole, shunned: Hole, seed: int) -> Picture:
    """The canvas with what is wanted; from the smallest frame around that and what is known."""
    rows, columns = (np.flatnonzero((wanted | ~missing).any(axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    if missing[box].all():
        return canvas
    guess = np.rint(spread(canvas[box], missing[box])).clip(0, 255).astype(np.uint8)
    barred = shunned[box] | missing[box]
    made = canvas.copy()
    worth = thick(wanted[box]).any()
    made[box] = completed(guess, wanted[box], guess, seed, barred) if worth else guess
    return made


def _read(memory: Memory, trace: Trace, canvas: Picture, unknown: Hole) -> None:
    """Colours of what was in sight before, into the canvas."""
    y, x = np.nonzero(unknown & (trace.frame >= 0))
    source, at = trace.frame[y, x], trace.at[y, x]
    for number in np.unique(source):
        here = source == number
        canvas[y[here], x[here]] = read_at(memory.keys[int(number)], at[here], sharp=True)


def _kept(memory: Memory, trace: Trace, canvas: Picture) -> None:
    memory.keys[memory.number] = canvas
    memory.blanks[memory.number] = trace.frame < 0
    while len(memory.keys) > MAX_KEYS:
        oldest = min(memory.keys)
        del memory.keys[oldest], memory.blanks[oldest]
        late = trace.frame == oldest
        trace.frame[late], trace.at[late] = memory.number, places(*trace.frame.shape)[late]
    memory.trace = trace


def _motion(
    memory: Memory, grey: UInt8[np.ndarray, "h2 w2"], hole: Hole, size: tuple[int, int]
) -> Float[np.ndarray, "h3 w3 2"]:
    """Motion of the canvas to the one before: moved, turned and enlarged as a whole."""
    assert memory.grey is not None
    assert memory.hole is not None
    motion = trusted(dense_inverse_search(grey, memory.grey, QUICK), grey, memory.grey)
    hidden = hidden_from(hole | memory.hole, grey.shape)
    ratio = np.array(hole.shape, np.float32) / np.array(grey.shape, np.float32)
    fit = similarity(motion, hidden)
    at = (places(size[0], size[1]) - memory.margin) / ratio[::-1]
    return _field(fit, at) * ratio[::-1]


def _field(
    fit: Float[np.ndarray, "4"], at: Float[np.ndarray, "h w 2"]
) -> Float[np.ndarray, "h w 2"]:
    """The motion of `similarity` at places (x, y)."""
    a, c, across, down = fit.astype(np.float32)
    x, y = at[..., 0], at[..., 1]
    return np.stack([a * x - c * y + across, c * x + a * y + down], -1)


def similarity(motion: Float[np.ndarray, "h w 2"], hidden: Hole) -> Float[np.ndarray, "4"]:
    """(a, c, dx, dy): the motion at (x, y) is (a x - c y + dx, c x + a y + dy), robustly.

    Least squares, weighted anew by what they leave (Cauchy), and by nearness to what is hidden.
    """
    known = ~hidden
    if not known.any():
        return np.zeros(4)
    away = np.asarray(cv2.distanceTransform(known.astype(np.uint8), cv2.DIST_L2, 5))
    near = np.exp(-away / (NEAR * min(hidden.shape))) * known
    y, x = (axis[::EVERY] for axis in np.nonzero(known))
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
