"""Motion between known frames: measured by dense inverse search, trusted, bent, and carried on."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from kineograph.models.kept import Kept
from kineograph.models.layers import nearby, warped

NUM_KNOWN = 8
FIRST_FLOW = 1
"""Flows are measured at the known frames from this one on."""
DAMPING = 0.84
"""Motion fades: at horizon h it has gone d + d^2 + ... + d^h steps. Tuned on training shots."""
TRUST, FLOOR = 0.3, 1e-5
BENDS = (0.0, 1.0, -0.5)
"""Paths: the last motion goes on, or its last change does too, or it is averaged over two steps."""


@dataclass(frozen=True)
class Dis:
    """Dense inverse search flow (Kroeger 2016), the options of cv2.DISOpticalFlow."""

    finest_scale: int = 0
    patch_px: int = 8
    stride_px: int = 3
    num_descents: int = 25
    num_refinements: int = 5
    smoothness: float = 20.0
    smallest_px: int = 12


def flow(
    now: UInt8[np.ndarray, "h w 3"], before: UInt8[np.ndarray, "h w 3"]
) -> Float[np.ndarray, "2 h w"]:
    """Backward motion between colour pictures, as two planes."""
    grey, grey_before = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (now, before))
    motion = dense_inverse_search(np.asarray(grey), np.asarray(grey_before))
    return np.ascontiguousarray(motion.transpose(2, 0, 1))


def dense_inverse_search(
    now: UInt8[np.ndarray, "h w"], before: UInt8[np.ndarray, "h w"], how: Dis | None = None
) -> Float[np.ndarray, "h w 2"]:
    """Backward motion: now(x) = before(x + motion(x)) (Kroeger et al., arXiv 1603.03590).

    Pictures that have no room for its patches stand still.
    """
    how = how or Dis()
    if min(now.shape) < how.smallest_px:
        return np.zeros((*now.shape, 2), np.float32)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(how.finest_scale)
    search.setPatchSize(how.patch_px)
    search.setPatchStride(how.stride_px)
    search.setGradientDescentIterations(how.num_descents)
    search.setVariationalRefinementIterations(how.num_refinements)
    search.setVariationalRefinementAlpha(how.smoothness)
    return search.calc(now, before, None)  # pyright: ignore[reportCallIssue, reportArgumentType]


def flows(known: UInt8[np.ndarray, "t h w 3"]) -> Float[np.ndarray, "n 2 h w"]:
    """The motion at each known frame from `FIRST_FLOW` on."""
    return np.stack([flow(known[t], known[t - 1]) for t in range(FIRST_FLOW, NUM_KNOWN)])


def flows_between(
    known: UInt8[Tensor, "b 8 3 h w"], kept: Kept | None = None
) -> Float[Tensor, "b n 2 h w"]:
    """`flows` of each clip, on the device of the clips."""
    pictures = np.ascontiguousarray(rearrange(known, "b t c h w -> b t h w c").cpu().numpy())
    kept = kept or Kept(range(NUM_KNOWN))

    def to(t: int) -> Float[np.ndarray, "b 2 h w"]:
        return np.stack([flow(clip[t], clip[t - 1]) for clip in pictures])

    found = [kept.once("flow", (t - 1, t), partial(to, t)) for t in range(FIRST_FLOW, NUM_KNOWN)]
    return torch.from_numpy(np.stack(found, 1)).to(known.device)


def trusted(motion: Tensor, now: Tensor, before: Tensor) -> Float[Tensor, "b 2 h w"]:
    """The motion, less where moving explains the frame no better than standing still does."""
    still = nearby((now - before).square().mean(1, keepdim=True))
    moved = nearby((now - warped(before, motion)).square().mean(1, keepdim=True))
    return motion * still / (still + TRUST * moved + FLOOR)


def motions_of(
    known: Tensor, found: Tensor, kept: Kept | None = None
) -> dict[int, Float[Tensor, "b 3 2 h w"]]:
    """At each known frame but the first two, the motion with each of `BENDS` of its last change."""
    kept = kept or Kept(range(NUM_KNOWN))

    def straight(t: int) -> Float[Tensor, "b 2 h w"]:
        return trusted(found[:, t - FIRST_FLOW], known[:, t], known[:, t - 1])

    times = range(FIRST_FLOW, NUM_KNOWN)
    each = [kept.once("trusted", (t - 1, t), partial(straight, t)) for t in times]
    pairs = zip(times[1:], pairwise(each), strict=True)
    return {
        t: kept.once("bent", (t - 2, t - 1, t), partial(_bent, before, now))
        for t, (before, now) in pairs
    }


def _bent(
    before: Float[Tensor, "b 2 h w"], now: Float[Tensor, "b 2 h w"]
) -> Float[Tensor, "b 3 2 h w"]:
    change = now - warped(before, now)
    return torch.stack([now + bend * change for bend in BENDS], 1)


def reach(horizon: int | float) -> float:
    """How many steps the motion has gone at a horizon (1 is the next frame)."""
    return DAMPING * (1 - DAMPING**horizon) / (1 - DAMPING)


def carried(motion: Float[Tensor, "b 2 h w"], steps: float) -> Float[Tensor, "b 2 h w"]:
    """Motion `steps` ahead, read where what arrives here has come from."""
    found = motion
    for _ in range(2):
        found = warped(motion, found * steps)
    return found * steps


def paths_of(motions: Float[Tensor, "b 3 2 h w"], steps: float) -> Float[Tensor, "b 3 2 h w"]:
    """Where the motions lead, `steps` ahead."""
    return carried(motions.flatten(0, 1), steps).unflatten(0, motions.shape[:2])
