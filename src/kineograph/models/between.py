"""What lies between two frames: both, moved to the moment along every path that motion allows.

Motion is measured both ways, and onwards to the frames beyond, so that paths may bend: through
three moments lies one parabola (Xu et al., arXiv 1911.00627). Each path brings a picture from
either side; where the two agree the path is believed. What one side alone shows (the other hides
it) is left to the network.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from kineograph.models.aligned import (
    UNLIKE,
    Picture,
    difference,
    enlarged_motion,
    grey_within,
    places,
    pulled,
)
from kineograph.models.motion import Dis, dense_inverse_search

SEARCH = Dis(finest_scale=1, stride_px=4, smoothness=10.0)
NUM_BETWEEN = 2
"""What each side shows of the moment."""
NUM_ROUNDS = 3
FINE_MOTION_PX, ENLARGED = 288, 2.0
"""The short side at which motion is measured, where it decides all: small pictures are enlarged."""
BEND, BELIEF, AGREED = 1.3, 0.7, 0.2
"""How far a bend is followed; the power of agreement that weighs a path; what agrees wholly, in
squared levels. Tuned on training shots."""
Motion = Float[np.ndarray, "h w 2"]


@dataclass(frozen=True)
class Between:
    """A moment as each side shows it, by how many levels these differ, and their mean."""

    made: UInt8[np.ndarray, "k h w 3"]
    doubt: UInt8[np.ndarray, "k h w"]
    blend: UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Flows:
    """Motions at frame a to b and at b to a; and at a to the frame before it, at b to the next."""

    onwards: Motion
    back: Motion
    past: Motion | None
    future: Motion | None


def flows_of(frames: Sequence[Picture | None], earlier: Flows | None = None) -> Flows:
    """Of four frames in a row (a and b are the middle ones); the outer two may be missing.

    `earlier` are those of the four frames one before; half of what is asked is in them.
    """
    before, a, b, after = (
        None if f is None else grey_within(f, FINE_MOTION_PX, ENLARGED) for f in frames
    )
    assert a is not None
    assert b is not None
    assert frames[1] is not None
    h, w = frames[1].shape[:2]

    def found(here: np.ndarray, there: np.ndarray) -> Motion:
        return enlarged_motion(dense_inverse_search(here, there, SEARCH), h, w)

    onwards = earlier.future if earlier is not None else None
    past = earlier.back if earlier is not None else None
    if past is None and before is not None:
        past = found(a, before)
    return Flows(
        found(a, b) if onwards is None else onwards,
        found(b, a),
        past,
        None if after is None else found(b, after),
    )


def between(a: Picture, b: Picture, flows: Flows, t: float) -> Between:
    """What lies at the moment `t` (0 is a, 1 is b)."""
    start, end = a.astype(np.float32), b.astype(np.float32)
    here = places(*a.shape[:2])
    near, far = np.zeros_like(start), np.zeros_like(start)
    weights = np.zeros_like(start[..., :1])
    for at_a, at_b in _paths(flows, t, here):
        pair = pulled(start, at_a, sharp=True), pulled(end, at_b, sharp=True)
        error = cv2.GaussianBlur(((pair[0] - pair[1]) ** 2).mean(-1), (0, 0), 3)[..., None]
        weight = (error + np.float32(AGREED)) ** -np.float32(BELIEF)
        near += weight * pair[0]
        far += weight * pair[1]
        weights += weight
    near, far = near / weights, far / weights
    doubt = np.minimum(np.rint(difference(near, far)), UNLIKE).astype(np.uint8)
    return Between(
        _levels(np.stack([near, far])), np.stack([doubt, doubt]), _levels((1 - t) * near + t * far)
    )


def _paths(flows: Flows, t: float, here: Motion) -> Iterator[tuple[Motion, Motion]]:
    """Places in a and in b of what is here at the moment: unmoved, along straight paths as either
    sees them, and along bent ones where a frame beyond tells how they bend."""
    yield here, here
    yield _path(flows.onwards, None, t, here)
    yield _swapped(_path(flows.back, None, 1 - t, here))
    if flows.past is not None:
        yield _path(flows.onwards, flows.past, t, here)
    if flows.future is not None:
        yield _swapped(_path(flows.back, flows.future, 1 - t, here))


def _swapped(pair: tuple[Motion, Motion]) -> tuple[Motion, Motion]:
    return pair[1], pair[0]


def _levels(values: np.ndarray) -> UInt8[np.ndarray, "..."]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _path(across: Motion, away: Motion | None, share: float, here: Motion) -> tuple[Motion, Motion]:
    """Places in the near frame and in the far one of what is here when that share has passed."""
    gone = share * across
    if away is not None:
        gone = gone + np.float32(BEND * share * (share - 1) / 2) * (across + away)
    found = gone
    for _ in range(NUM_ROUNDS):
        found = pulled(gone, here - found)
    near = here - found
    return near, near + pulled(across, near)
