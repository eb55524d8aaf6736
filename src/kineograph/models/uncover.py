"""What a hole hides was seen before it or will be seen after it: places are followed along motion.

Not pictures but places are carried from frame to frame, and colours read once, where the place
was last in sight: nothing is softened on the way, however long it is. Motion inside a hole is
completed from outside.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Int32, Shaped, UInt8

from kineograph.models.aligned import (
    QUICK,
    UNLIKE,
    Picture,
    enlarged_motion,
    places,
    pulled,
    read_at,
    small_grey,
    trusted,
)
from kineograph.models.motion import dense_inverse_search
from kineograph.models.restorer import doubt_of

Hole = Bool[np.ndarray, "h w"]
NUM_UNCOVERED = 6
"""Seen before and after, along the motion and at the same place; and what was never in sight,
spread smoothly from what was, and drawn on from it."""
RIM_PX = 4
"""Motion this near a hole is disturbed by it."""
REACHES = (16, 4)
"""Motion inside a hole is the mean of what surrounds it, near by the first of these parts of the
picture where that reaches, else by the next."""
NEVER = 1000
"""An age that no place comes to."""
SQUARE = np.ones((3, 3), np.uint8)
"""What is seen next to a hole may have a share of it."""
DRAWN_PX, REACH_PX = 180, 10.0
"""Lines are drawn on at no more than this short side, from so many pixels around."""


@dataclass(frozen=True)
class Trace:
    """For each pixel the place where it was last in sight: frame number (-1: none), and (x, y)."""

    frame: Int32[np.ndarray, "h w"]
    at: Float[np.ndarray, "h w 2"]

    @staticmethod
    def of(number: int, hole: Hole) -> "Trace":
        """What one frame shows."""
        frame = np.where(hole, -1, number).astype(np.int32)
        return Trace(frame, places(*hole.shape))


def followed(trace: Trace, motion: Float[np.ndarray, "h w 2"], number: int, hole: Hole) -> Trace:
    """The trace one frame on: what that frame shows, and where it shows nothing, what was known.

    `motion` leads from this frame to the trace's. A place keeps its fraction of a pixel.
    """
    fresh = Trace.of(number, hole)
    if not hole.any():
        return fresh
    h, w = hole.shape
    y, x = np.nonzero(hole)
    to = fresh.at[y, x] + motion[y, x]
    near = np.rint(to).astype(np.int32)
    x2, y2 = np.clip(near[:, 0], 0, w - 1), np.clip(near[:, 1], 0, h - 1)
    at = trace.at[y2, x2] + (to - near)
    # Slow motion never leaves the pixel it is at; the place that it adds up to leaves the picture.
    inside = np.all([_within(place, w, h) for place in (near, at)], 0)
    fresh.frame[y, x] = np.where(inside, trace.frame[y2, x2], -1)
    fresh.at[y, x] = at
    return fresh


def _within(at: Shaped[np.ndarray, "n 2"], width: int, height: int) -> Bool[np.ndarray, " n"]:
    return np.asarray(((at > -0.5) & (at < np.array([width, height]) - 0.5)).all(1))


def motion_between(
    now: UInt8[np.ndarray, "h w"], other: UInt8[np.ndarray, "h w"], hidden: Hole, coarse: int = 1
) -> Float[np.ndarray, "h w 2"]:
    """Motion from one grey picture to another; where hidden, the mean of what surrounds it.

    coarse: so many times fewer pixels a side will do for that mean.
    """
    motion = trusted(dense_inverse_search(now, other, QUICK), now, other)
    seen = (~hidden).astype(np.float32)[..., None]
    known, size = np.concatenate([motion * seen, seen], -1), now.shape[::-1]
    if coarse > 1:
        small = (max(1, size[0] // coarse), max(1, size[1] // coarse))
        known = np.asarray(cv2.resize(known, small, interpolation=cv2.INTER_AREA))
    for part in REACHES:
        near = cv2.GaussianBlur(known, (0, 0), min(now.shape) / part / coarse)
        near = cv2.resize(near, size) if coarse > 1 else near
        found = hidden & (near[..., 2] > 0.02)
        motion[found] = near[found, :2] / near[found, 2:]
        hidden = hidden & ~found
    return motion


def spread(picture: Shaped[np.ndarray, "h w c"], hole: Hole) -> Float[np.ndarray, "h w c"]:
    """The hole filled smoothly from its rim: push and pull over a pyramid (Gortler et al. 1996)."""
    if not hole.any():
        return picture.astype(np.float32)
    if hole.all():
        return np.zeros_like(picture, np.float32)
    seen = (~hole).astype(np.float32)
    values = [picture.astype(np.float32) * seen[..., None]]
    weights = [seen]
    while min(weights[-1].shape) > 2 and (weights[-1] < 1e-3).any():
        values.append(np.asarray(cv2.pyrDown(values[-1]), np.float32))
        weights.append(np.asarray(cv2.pyrDown(weights[-1]), np.float32))
    filled = values[-1] / np.maximum(weights[-1], 1e-6)[..., None]
    for value, weight in zip(values[-2::-1], weights[-2::-1], strict=True):
        h, w = weight.shape
        coarse = cv2.resize(filled, (w, h), interpolation=cv2.INTER_LINEAR)
        share = np.clip(weight, 0, 1)[..., None]
        filled = (
            np.where(share > 1e-3, value / np.maximum(weight, 1e-3)[..., None] * share, 0)
            + (1 - share) * coarse
        )
    return np.where(hole[..., None], filled, picture).astype(np.float32)


Told = tuple[Picture, UInt8[np.ndarray, "h w"]]
"""What a pass from one side says of a frame: in the hole what was seen there, and how doubtful it
is; elsewhere the frame that the pass came from, so that it can be seen how well that fits."""


def stood(
    frames: Sequence[Picture], holes: Sequence[Hole], order: Iterable[int]
) -> Iterator[tuple[int, Told]]:
    """Each frame along an order, as if nothing had moved since it was in sight."""
    seen = last = None
    for n in order:
        hole = holes[n]
        if seen is None or last is None:
            seen, age, last = frames[n], np.where(hole, NEVER, 0), frames[n]
        else:
            seen, age = np.where(hole[..., None], seen, frames[n]), np.where(hole, age + 1, 0)
        yield n, (np.where(hole[..., None], seen, last), doubt_at(age))
        last = frames[n]


def moved(
    frames: Sequence[Picture],
    holes: Sequence[Hole],
    greys: Sequence[UInt8[np.ndarray, "h2 w2"]],
    order: Sequence[int],
    wanted: Collection[int],
) -> dict[int, Told]:
    """The wanted frames along an order; places are followed from each frame to the next.

    The frames are filled already, somehow; motion is measured on `greys` of them.
    """
    found: dict[int, Told] = {}
    wide = {n: cv2.dilate(holes[n].astype(np.uint8), SQUARE) > 0 for n in order}
    trace = Trace.of(order[0], wide[order[0]])
    for last, n in zip([order[0], *order], order, strict=False):
        h, w = holes[n].shape
        here = places(h, w)
        motion = np.zeros_like(here)
        if n != last:
            hidden = hidden_from(holes[n] | holes[last], greys[n].shape)
            motion = enlarged_motion(motion_between(greys[n], greys[last], hidden), h, w)
            trace = followed(trace, motion, n, wide[n])
        if n in wanted:
            before = pulled(frames[last], here + motion)
            found[n] = read(trace, frames, n, holes[n], before)
    return found


def hidden_from(hole: Hole, size: tuple[int, ...]) -> Bool[np.ndarray, "h2 w2"]:
    """Where motion on a smaller picture cannot be believed."""
    small = cv2.resize(hole.astype(np.uint8), size[::-1], interpolation=cv2.INTER_AREA)
    width = 2 * RIM_PX + 1
    return cv2.dilate(small, np.ones((width, width), np.uint8)) > 0


def read(
    trace: Trace, frames: Sequence[Picture], number: int, hole: Hole, elsewhere: Picture
) -> Told:
    """The colours in the hole at the places where they were in sight."""
    made = elsewhere.copy()
    age = np.zeros(hole.shape, np.int32)
    y, x = np.nonzero(hole)
    source, at = trace.frame[y, x], trace.at[y, x]
    found = source >= 0
    age[y, x] = np.where(found, np.maximum(np.abs(source - number), 1), NEVER)
    y, x, source, at = y[found], x[found], source[found], at[found]
    for n in np.unique(source):
        here = source == n
        made[y[here], x[here]] = read_at(frames[n], at[here])
    return made, doubt_at(age)


def doubt_at(age: Int[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """How doubtful what was seen so many frames ago is; `NEVER` ago tells nothing."""
    doubt = doubt_of(np.maximum(age, 1).astype(np.float64))
    return np.where(age >= NEVER, UNLIKE, doubt).astype(np.uint8)


def uncovered(
    frames: Sequence[Picture],
    holes: Sequence[Hole],
    wanted: Collection[int],
) -> dict[int, tuple[UInt8[np.ndarray, "k h w 3"], UInt8[np.ndarray, "k h w"]]]:
    """For each wanted frame what was seen of its hole before, after, and around, with doubts."""
    if not wanted:
        return {}
    before = dict(stood(frames, holes, range(len(frames))))
    still: dict[int, list[Told]] = {}
    filled = list(frames)
    for n, after in stood(frames, holes, range(len(frames) - 1, -1, -1)):
        both = [before.pop(n), after]
        filled[n] = _nearest(both, frames[n], holes[n])
        if n in wanted:
            still[n] = both
    greys = [small_grey(picture) for picture in filled]
    ways = range(max(wanted) + 1), range(len(frames) - 1, min(wanted) - 1, -1)
    moving = [moved(filled, holes, greys, way, wanted) for way in ways]
    answers = {}
    for n in wanted:
        told = [*(way[n] for way in moving), *still[n]]
        pictures, doubts = (np.stack(parts) for parts in zip(*told, strict=True))
        rest = _nearest(told, frames[n], holes[n])
        never = holes[n] & (doubts.min(0) == UNLIKE)
        rests = np.stack([rest, drawn_on(rest, never)])
        unlike = np.where(holes[n] & ~never, UNLIKE, 0)[None].astype(np.uint8)
        answers[n] = np.concatenate([pictures, rests]), np.concatenate([doubts, unlike, unlike])
    return answers


def drawn_on(
    picture: Picture, hole: Hole, short_px: int = DRAWN_PX, reach_px: float = REACH_PX
) -> Picture:
    """Lines of the rim go on into the hole (Telea 2004), at a working size if it is large."""
    if not hole.any() or hole.all():
        return picture
    h, w = hole.shape
    ratio = min(1.0, short_px / min(h, w))
    size = (round(w * ratio), round(h * ratio))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    where = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    made = cv2.inpaint(small, where, reach_px, cv2.INPAINT_TELEA)
    return np.where(hole[..., None], cv2.resize(made, (w, h)), picture)


def _nearest(told: Sequence[Told], frame: Picture, hole: Hole) -> Picture:
    """The least doubted picture in the hole; what was never in sight is spread from what was."""
    pictures, doubts = (np.stack(parts) for parts in zip(*told, strict=True))
    best = np.take_along_axis(pictures, doubts.argmin(0)[None, ..., None], 0)[0]
    never = hole & (doubts.min(0) == UNLIKE)
    return np.rint(spread(np.where(hole[..., None], best, frame), never)).astype(np.uint8)
