"""The classical answer: motion by optical flow, carried on, and tried on the past first."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from kineograph.video.levels import levels

NUM_KNOWN = 8
REHEARSED_FROM = 3
"""The guess is tried from this known frame on: frames 4 to 7 are foretold from frames 0 to 3."""
DAMPING = 0.9
"""Motion fades: at horizon h it has gone d + d^2 + ... + d^h steps. Tuned on training shots."""


@dataclass(frozen=True, eq=False)
class Guess:
    """Backward motion per frame, in pixels, at the last known frame and at the rehearsed one."""

    motion: Float[Tensor, "b 2 h w"]
    rehearsed: Float[Tensor, "b 2 h w"]


def reach(horizon: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """How many steps the motion has gone at each horizon (1 is the next frame)."""
    return DAMPING * (1 - DAMPING**horizon) / (1 - DAMPING)


def flow(
    now: UInt8[np.ndarray, "h w 3"], before: UInt8[np.ndarray, "h w 3"]
) -> Float[np.ndarray, "2 h w"]:
    """Backward motion by dense inverse search (Kroeger et al., arXiv 1603.03590)."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    pictures = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (now, before)]
    motion = search.calc(*pictures, None)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return np.ascontiguousarray(motion.transpose(2, 0, 1))


def flows(known: UInt8[np.ndarray, "t h w 3"]) -> dict[str, np.ndarray]:
    """The two motions that a guess holds, of eight known frames."""
    return {
        "motion": flow(known[NUM_KNOWN - 1], known[NUM_KNOWN - 2]),
        "rehearsed": flow(known[REHEARSED_FROM], known[REHEARSED_FROM - 1]),
    }


def guess_of(known: Float[Tensor, "b 8 3 h w"]) -> Guess:
    """The guess for frames in [-1, 1]; measured on the CPU, on 8-bit pictures."""
    pictures = levels(known).to(torch.uint8).permute(0, 1, 3, 4, 2).cpu().numpy()
    found = [flows(np.ascontiguousarray(clip)) for clip in pictures]
    motion, rehearsed = (
        torch.from_numpy(np.stack([one[name] for one in found])).to(known)
        for name in ("motion", "rehearsed")
    )
    return Guess(motion, rehearsed)
