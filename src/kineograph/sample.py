"""A sampler lowers the noise level of each cell to 0; a cell that is known it cannot move.

What comes back where `known.sigma` is 0 equals what was given bit for bit (a zero may lose its
sign), whatever finite values the velocity has there: the step is 0 times them. 0 times NaN is not
0, so a velocity that is not finite, in any cell, ends in a ValueError and never in a video.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from kineograph.flow import Velocity, noised
from kineograph.known import Known

Progress = Callable[[int, int], None]
"""(steps done, steps in all), told after each step; what it raises stops the sampler."""


def euler(
    velocity: Velocity,
    known: Known,
    noise: Float[Tensor, "b t c h w"],
    schedule: Float[Tensor, "s t"],
    progress: Progress | None = None,
) -> Float[Tensor, "b t c h w"]:
    """One call of `velocity` a step; the error falls with the number of steps."""
    latents = _begin(known, noise)
    for sigma, next_sigma in _steps(schedule, known, progress):
        latents = _finite(latents + (next_sigma - sigma) * velocity(latents, sigma))
    return latents


def heun(
    velocity: Velocity,
    known: Known,
    noise: Float[Tensor, "b t c h w"],
    schedule: Float[Tensor, "s t"],
    progress: Progress | None = None,
) -> Float[Tensor, "b t c h w"]:
    """Up to two calls a step; the error falls with the square of the number of steps.

    Karras et al., arXiv 2206.00364, algorithm 1, cell by cell: a cell that arrives at 0 keeps its
    first slope, since no velocity is learned there.
    """
    latents = _begin(known, noise)
    for sigma, next_sigma in _steps(schedule, known, progress):
        slope = velocity(latents, sigma)
        half = 0.5 * ((next_sigma > 0) & (next_sigma < sigma)).to(sigma.dtype)
        if half.any():
            ahead = velocity(_finite(latents + (next_sigma - sigma) * slope), next_sigma)
            slope = (1 - half) * slope + half * ahead
        latents = _finite(latents + (next_sigma - sigma) * slope)
    return latents


def _steps(
    schedule: Float[Tensor, "s t"], known: Known, progress: Progress | None
) -> Iterator[tuple[Float[Tensor, "b t 1 h w"], Float[Tensor, "b t 1 h w"]]]:
    """The level of each cell before and after each step that moves any cell."""
    _check(schedule, known.num_frames)
    levels = rearrange(schedule.to(known.sigma.device), "s t -> s 1 t 1 1 1")
    for step, (level, next_level) in enumerate(pairwise(levels), start=1):
        sigma = torch.minimum(level, known.sigma)
        next_sigma = torch.minimum(next_level, known.sigma)
        # Blocks of known frames and levels above an edit's strength would be calls for nothing.
        if not torch.equal(sigma, next_sigma):
            yield sigma, next_sigma
        if progress is not None:
            progress(step, len(levels) - 1)


def _begin(known: Known, noise: Tensor) -> Tensor:
    if noise.shape != known.frames.shape:
        raise ValueError(
            f"The noise is {tuple(noise.shape)}, but the video is {tuple(known.frames.shape)}."
        )
    return noised(known.frames, noise, known.sigma)


def _check(schedule: Tensor, num_frames: int) -> None:
    if schedule.shape[1] != num_frames:
        raise ValueError(
            f"The schedule is for {schedule.shape[1]} frames, but the video has {num_frames}."
        )
    falls = (schedule[0] == 1).all() and (schedule[-1] == 0).all()
    if not (falls and (schedule.diff(dim=0) <= 0).all()):
        raise ValueError(
            "A schedule falls from 1 to 0 in every frame and never rises; to start from less "
            "noise, say so in known.sigma."
        )


def _finite(latents: Tensor) -> Tensor:
    if latents.sum().isfinite():  # one pass instead of three, where all is well
        return latents
    num_bad = int((~latents.isfinite()).sum())
    if num_bad:
        raise ValueError(
            f"The model's velocity left {num_bad} of {latents.numel()} values NaN or infinite: "
            f"try float32, or other weights."
        )
    return latents
