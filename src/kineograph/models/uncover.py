"""What a hole hides was seen before it or will be seen after it: places are followed along motion.

Not pictures but places are carried from frame to frame, and colours read once, where the place
was last in sight: nothing is softened on the way, however long it is. Motion inside a hole is
completed from outside.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int32, Shaped, UInt8

from kineograph.models.aligned import (
    QUICK,
    UNLIKE,
    Picture,
    enlarged_motion,
    places,
    pulled,
    small_grey,
)
from kineograph.models.motion import dense_inverse_search

Hole = Bool[np.ndarray, "h w"]
NUM_UNCOVERED = 5
"""Seen before and after, along the motion and at the same place; spread inwards from the rim."""
LEVELS = 16
"""Doubt grows by so many levels where a place was out of sight for e times as long."""
RIM_PX = 4
"""Motion this near a hole is disturbed by it."""
REACHES = (16, 4)
"""Motion inside a hole is the mean of what surrounds it, near by the first of these parts of the
picture where that reaches, else by the next."""
TRUSTED_PX, NOTHING = 7, 2.0
"""Motion must explain a place of that size, by more than so many squared levels."""


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
    inside = (near >= 0).all(1) & (near[:, 0] < w) & (near[:, 1] < h)
    nx, ny = np.clip(near[:, 0], 0, w - 1), np.clip(near[:, 1], 0, h - 1)
    fresh.frame[y, x] = np.where(inside, trace.frame[ny, nx], -1)
    fresh.at[y, x] = trace.at[ny, nx] + (to - near)
    return fresh


def motion_between(
    now: UInt8[np.ndarray, "h w"], other: UInt8[np.ndarray, "h w"], hidden: Hole
) -> Float[np.ndarray, "h w 2"]:
    """Motion from one grey picture to another; where hidden, the mean of what surrounds it."""
    motion = _trusted(dense_inverse_search(now, other, QUICK), now, other)
    seen = (~hidden).astype(np.float32)[..., None]
    known = np.concatenate([motion * seen, seen], -1)
    for part in REACHES:
        near = cv2.GaussianBlur(known, (0, 0), min(now.shape) / part)
        found = hidden & (near[..., 2] > 0.02)
        motion[found] = near[found, :2] / near[found, 2:]
        hidden = hidden & ~found
    return motion


def _trusted(
    motion: Float[np.ndarray, "h w 2"],
    here: UInt8[np.ndarray, "h w"],
    there: UInt8[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w 2"]:
    """Less motion where it explains the frame no better than standing still does."""
    now, before = here.astype(np.float32), there.astype(np.float32)
    width = (TRUSTED_PX, TRUSTED_PX)
    still = cv2.blur((now - before) ** 2, width)
    moved = cv2.blur((now - pulled(before, places(*here.shape) + motion)) ** 2, width)
    return motion * np.clip(1.2 - (moved + NOTHING) / (still + NOTHING), 0, 1)[..., None]


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


@dataclass(frozen=True)
class Way:
    """What a pass through the frames, from one side, left at a frame."""

    trace: Trace
    before: Picture
    """The frame that the pass came from, moved to this one: how well that fits can be seen."""


def passed(
    frames: Sequence[Picture],
    holes: Sequence[Hole],
    order: Sequence[int],
    wanted: Collection[int],
    greys: Sequence[UInt8[np.ndarray, "h2 w2"]] | None = None,
) -> dict[int, Way]:
    """The wanted frames' traces along an order of frames, each met from the one before it.

    Without `greys`, on which motion is measured, nothing moves.
    """
    found: dict[int, Way] = {}
    trace = Trace.of(order[0], holes[order[0]])
    for last, n in zip([order[0], *order], order, strict=False):
        h, w = holes[n].shape
        motion = np.zeros((h, w, 2), np.float32)
        if greys is not None and n != last:
            hidden = _hidden(holes[n] | holes[last], greys[n].shape)
            motion = enlarged_motion(motion_between(greys[n], greys[last], hidden), h, w)
        if n != last:
            trace = followed(trace, motion, n, holes[n])
        if n in wanted:
            before = frames[last] if greys is None else pulled(frames[last], places(h, w) + motion)
            found[n] = Way(trace, before)
    return found


def _hidden(hole: Hole, size: tuple[int, ...]) -> Hole:
    """Where motion on a smaller picture cannot be believed."""
    small = cv2.resize(hole.astype(np.uint8), size[::-1], interpolation=cv2.INTER_AREA)
    width = 2 * RIM_PX + 1
    return cv2.dilate(small, np.ones((width, width), np.uint8)) > 0


def read(
    way: Way, frames: Sequence[Picture], number: int, hole: Hole
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """The colours at the places, and the doubt of each; the frame before, where nothing is hidden.

    Where nothing was seen the doubt is `UNLIKE`.
    """
    made = way.before.copy()
    doubt = np.zeros(hole.shape, np.uint8)
    y, x = np.nonzero(hole)
    source, at = way.trace.frame[y, x], way.trace.at[y, x]
    found = source >= 0
    age = np.maximum(np.abs(source - number), 1)
    doubt[y, x] = np.where(found, np.minimum(np.rint(LEVELS * np.log(age)), UNLIKE), UNLIKE)
    y, x, source, at = y[found], x[found], source[found], at[found]
    for n in np.unique(source):
        here = source == n
        made[y[here], x[here]] = pulled(frames[n], at[here][None])[0]
    return made, doubt


def uncovered(
    frames: Sequence[Picture],
    holes: Sequence[Hole],
    wanted: Collection[int],
) -> dict[int, tuple[UInt8[np.ndarray, "k h w 3"], UInt8[np.ndarray, "k h w"]]]:
    """For each wanted frame what was seen of its hole before, after, and around, with doubts."""
    ways = range(len(frames)), range(len(frames) - 1, -1, -1)
    still = [passed(frames, holes, way, range(len(frames))) for way in ways]
    filled = [
        _nearest([read(way[n], frames, n, hole) for way in still], frames[n], hole)
        for n, hole in enumerate(holes)
    ]
    greys = [small_grey(picture) for picture in filled]
    wide = [cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for hole in holes]
    moving = [passed(filled, wide, way, wanted, greys) for way in ways]
    answers = {}
    for n in wanted:
        pairs = [read(way[n], filled, n, holes[n]) for way in (*moving, *still)]
        pictures, doubts = (np.stack(parts) for parts in zip(*pairs, strict=True))
        rest = _nearest(pairs, frames[n], holes[n])
        unlike = np.where(holes[n] & (doubts.min(0) < UNLIKE), UNLIKE, 0)[None].astype(np.uint8)
        answers[n] = np.concatenate([pictures, rest[None]]), np.concatenate([doubts, unlike])
    return answers


def _nearest(
    pairs: Sequence[tuple[Picture, UInt8[np.ndarray, "h w"]]], frame: Picture, hole: Hole
) -> Picture:
    """The least doubted picture in the hole; what was never in sight is spread from what was."""
    pictures, doubts = (np.stack(parts) for parts in zip(*pairs, strict=True))
    best = np.take_along_axis(pictures, doubts.argmin(0)[None, ..., None], 0)[0]
    never = hole & (doubts.min(0) == UNLIKE)
    return np.rint(spread(np.where(hole[..., None], best, frame), never)).astype(np.uint8)
