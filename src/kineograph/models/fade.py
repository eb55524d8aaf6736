"""A fade changes the light of the whole picture by equal steps, and ends where it would clip.

It is divided out before motion is measured, and put back into what was foretold: motion then
meets pictures of one brightness, and the fade is one number a frame, which can be reasoned about.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

NUM_STEPS = 3
"""The fade is seen in so many of the newest changes, or it is none."""
LEAST_STEP = 0.008
"""Two levels of 255 at full light: less is measured too roughly to be carried on."""
UNEVEN, UNEXPLAINED = 0.35, 0.15
"""How far a step may be from their mean; how much of the change of large patches may be left."""
DARKEST = 0.2
"""Frames darker than this share of the last one are brightened no further: they hold too little."""
WHITE, ROUGHLY = 0.995, 0.1
"""The brightest 0.5 % of values say where the film clips; that much of a step may go beyond."""


@dataclass(frozen=True, eq=False)
class Fade:
    """light: of each known frame, as a share of the last one's. step: what a frame adds to it.

    num_steps: how many more it can take until the picture would clip or is black; it is taken to
    end with the last of them.
    """

    light: Float[Tensor, " t"]
    step: float
    num_steps: float

    def evened(self, frames: Float[Tensor, "t c h w"]) -> Float[Tensor, "t c h w"]:
        """The known frames, or the newest of them, in the light of the last one."""
        light = self.light[-len(frames) :].clamp(min=DARKEST).view(-1, 1, 1, 1)
        return ((frames + 1) / light - 1).clamp(-1, 1)

    def shown(self, frame: Float[Tensor, "c h w"], horizon: int | float) -> Float[Tensor, "c h w"]:
        """A foretold frame in the light that it will have; horizon 1 is the next one."""
        light = max(0.0, 1 + self.step * min(horizon, self.num_steps))
        return (frame + 1) * light - 1


def found(known: Float[Tensor, "t 3 h w"]) -> Fade | None:
    """The fade that the newest frames are in, if they are in one.

    All of the picture must change by one ratio, by steps that are alike; a lamp, a passing
    shadow or a cut does neither.
    """
    seen = (known.double() + 1) / 2
    means = seen.mean((1, 2, 3))
    if len(known) <= NUM_STEPS or means[-1] < 1e-3:
        return None
    light = means / means[-1]
    steps = light.diff()[-NUM_STEPS:]
    step = float(steps.mean())
    if abs(step) < LEAST_STEP or ((steps - step).abs() > UNEVEN * abs(step)).any():
        return None
    patches = F.adaptive_avg_pool2d(seen[-NUM_STEPS - 1 :], 8)
    for (before, now), rise in zip(pairwise(patches), steps, strict=True):
        left = (now - before - patches[-1] * rise).square().mean()
        if left > UNEXPLAINED * (now - before).square().mean():
            return None
    return Fade(light.to(known), step, _steps_left(seen[-1], step))


def _steps_left(last: Float[Tensor, "3 h w"], step: float) -> float:
    """Whole steps until the brightest would pass white, or until black, which may be passed."""
    if step < 0:
        return float("inf")
    white = float(torch.quantile(last.flatten(), WHITE))
    return max(0.0, ((1 / max(white, 1e-3) - 1) / step + ROUGHLY) // 1)
