"""What lies between two frames: both, moved to the moment along every path that motion allows.

Motion is measured both ways, and onwards to the frames beyond, so that paths may bend: through
three moments lies one parabola (Xu et al., arXiv 1911.00627). Each path brings a picture from
either side; where the two agree the path is believed.
"""

from collections.abc import Sequence
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

SEARCH = Dis(finest_scale=1, smoothness=10.0)
NUM_BETWEEN = 10
"""Both frames unmoved, along both straight paths, and along both bent ones."""
NUM_ROUNDS = 3
FINE_MOTION_PX, ENLARGED = 288, 2.0
"""The short side at which motion is measured, where it decides all: small pictures are enlarged."""
BEND, BELIEF, AGREED = 1.3, 0.7, 0.2
"""How far a bend is followed; the power of agreement that weighs a path; what agrees wholly, in
squared levels. Tuned on training shots."""
Motion = Float[np.ndarray, "h w 2"]


@dataclass(frozen=True)
class Between:
    """Pictures of a moment, by how many levels each is doubted, and their weighed mean."""

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


def flows_of(frames: Sequence[Picture | None]) -> Flows:
    """Of four frames in a row (a and b are the middle ones); the outer two may be missing."""
    before, a, b, after = (
        None if f is None else grey_within(f, FINE_MOTION_PX, ENLARGED) for f in frames
    )
    assert a is not None
    assert b is not None
    assert frames[1] is not None
    h, w = frames[1].shape[:2]

    def found(here: np.ndarray, there: np.ndarray | None) -> Motion | None:
        if there is None:
            return None
        return enlarged_motion(dense_inverse_search(here, there, SEARCH), h, w)

    onwards, back = found(a, b), found(b, a)
    assert onwards is not None
    assert back is not None
    return Flows(onwards, back, found(a, before), found(b, after))


def between(a: Picture, b: Picture, flows: Flows, t: float) -> Between:
    """What lies at the moment `t` (0 is a, 1 is b)."""
    start, end = a.astype(np.float32), b.astype(np.float32)
    here = places(*a.shape[:2])
    still = here, here
    from_a = _path(flows.onwards, None, t, here)
    from_b = _path(flows.back, None, 1 - t, here)[::-1]
    bent_a = _path(flows.onwards, flows.past, t, here) if flows.past is not None else from_a
    bent_b = _path(flows.back, flows.future, 1 - t, here)[::-1]
    bent_b = bent_b if flows.future is not None else from_b
    made, doubt, total, weights = [], [], np.zeros_like(start), np.zeros_like(start[..., :1])
    for at_a, at_b in (still, from_a, from_b, bent_a, bent_b):
        pair = pulled(start, at_a, sharp=True), pulled(end, at_b, sharp=True)
        made += pair
        doubt += [difference(*pair)] * 2
        error = cv2.GaussianBlur(((pair[0] - pair[1]) ** 2).mean(-1), (0, 0), 3)[..., None]
        weight = (error + np.float32(AGREED)) ** -np.float32(BELIEF)
        total += weight * ((1 - t) * pair[0] + t * pair[1])
        weights += weight
    return Between(
        _levels(np.stack(made)),
        np.minimum(np.rint(np.stack(doubt)), UNLIKE).astype(np.uint8),
        _levels(total / weights),
    )


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
