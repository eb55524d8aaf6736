"""What a hole hides was seen before it or will be seen after it: places are followed along motion.

Not pictures but places are carried from frame to frame, and colours read once, where the place
was last in sight: nothing is softened on the way, however long it is. Motion inside a hole is
completed from outside.
"""

from collections.abc import Iterable, Sequence
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
AGED = 4
"""Levels of doubt for each frame that a place was out of sight."""
RIM_PX = 4
"""Motion this near a hole is disturbed by it."""
TRUSTED_PX, NOTHING = 7, 2.0
"""Motion must explain a place of that size, by more than so many squared levels."""
LONGEST = 60


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


def motion_between(now: Picture, other: Picture, hole: Hole) -> Float[np.ndarray, "h w 2"]:
    """Motion from one frame to another, completed in the hole (of either) from its surroundings.

    The holes of both are expected to be filled smoothly (`spread`).
    """
    here, there = small_grey(now), small_grey(other)
    h, w = here.shape
    small = _trusted(dense_inverse_search(here, there, QUICK), here, there)
    hidden = cv2.resize(hole.astype(np.uint8), (w, h), interpolation=cv2.INTER_AREA) > 0
    width = 2 * RIM_PX + 1
    hidden = cv2.dilate(hidden.astype(np.uint8), np.ones((width, width), np.uint8)) > 0
    return enlarged_motion(spread(small, hidden), *now.shape[:2])


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


def passed(
    frames: Sequence[Picture], holes: Sequence[Hole], order: Iterable[int], moving: bool = True
) -> dict[int, Trace]:
    """The traces along an order of frames, each met from the one before it."""
    traces: dict[int, Trace] = {}
    last: int | None = None
    for n in order:
        if last is None:
            traces[n] = Trace.of(n, holes[n])
        else:
            still = np.zeros((*holes[n].shape, 2), np.float32)
            hidden = holes[n] | holes[last]
            motion = motion_between(frames[n], frames[last], hidden) if moving else still
            traces[n] = followed(traces[last], motion, n, holes[n])
        last = n
    return traces


def read(
    trace: Trace, frames: Sequence[Picture], number: int, hole: Hole
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """The colours at the places, and the doubt of each; where nothing was seen the frame's own."""
    made = frames[number].copy()
    doubt = np.zeros(hole.shape, np.uint8)
    y, x = np.nonzero(hole)
    source, at = trace.frame[y, x], trace.at[y, x]
    found = source >= 0
    age = np.minimum(np.abs(source - number), LONGEST)
    doubt[y, x] = np.where(found, np.minimum(AGED * age, UNLIKE), UNLIKE)
    y, x, source, at = y[found], x[found], source[found], at[found]
    for n in np.unique(source):
        here = source == n
        made[y[here], x[here]] = pulled(frames[n], at[here][None])[0]
    return made, doubt


def uncovered(
    frames: Sequence[Picture],
    holes: Sequence[Hole],
    wanted: Iterable[int],
) -> dict[int, tuple[UInt8[np.ndarray, "k h w 3"], UInt8[np.ndarray, "k h w"]]]:
    """For each wanted frame what was seen of its hole before, after, and around, with doubts."""
    filled = [np.rint(spread(f, o)).astype(np.uint8) for f, o in zip(frames, holes, strict=True)]
    onwards, back = range(len(frames)), range(len(frames) - 1, -1, -1)
    passes = [
        passed(filled, holes, way, moving) for moving in (True, False) for way in (onwards, back)
    ]
    answers = {}
    for n in wanted:
        pairs = [read(traces[n], filled, n, holes[n]) for traces in passes]
        pictures, doubts = (np.stack(parts) for parts in zip(*pairs, strict=True))
        seen = doubts.min(0) < UNLIKE
        best = np.take_along_axis(pictures, doubts.argmin(0)[None, ..., None], 0)[0]
        # What was never in sight is spread inwards from what was, not from the hole's rim alone.
        rest = np.rint(spread(best, holes[n] & ~seen)).astype(np.uint8)
        unlike = np.where(holes[n] & seen, UNLIKE, 0)[None].astype(np.uint8)
        answers[n] = np.concatenate([pictures, rest[None]]), np.concatenate([doubts, unlike])
    return answers
