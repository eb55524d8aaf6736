"""Guidance makes one velocity out of several; a sampler cannot tell it from a plain one."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from kineograph import flow
from kineograph.flow import Velocity
from kineograph.known import Known


def classifier_free(with_: Velocity, without: Velocity, scale: float) -> Velocity:
    """`without` at scale 0, `with_` at 1, beyond it above 1 (Ho and Salimans, arXiv 2207.12598).

    >>> one, two = lambda x, sigma: x + 1, lambda x, sigma: x + 2
    >>> cell = torch.zeros(1, 1, 1, 1, 1)
    >>> classifier_free(two, one, scale=3.0)(cell, cell).item()
    4.0
    """
    return history(without, [with_], [scale])


def history(
    without: Velocity, by_history: Sequence[Velocity], weights: Sequence[float]
) -> Velocity:
    """without + sum of weight * (velocity - without): history guidance (Song et al., arXiv
    2502.06764), where each velocity remembers another part of what is known, or as it was
    through more noise; `forgetting` makes them. One weight of 1 is that velocity itself.
    """
    if len(by_history) != len(weights):
        raise ValueError(f"{len(by_history)} velocities came with {len(weights)} weights.")
    # Summed by weight, not as differences: a term of weight 0 is not even asked for.
    terms = [(1 - sum(weights), without), *zip(weights, by_history, strict=True)]
    asked = [(weight, velocity) for weight, velocity in terms if weight != 0]

    def guided(
        latents: Float[Tensor, "b t c h w"], sigma: Float[Tensor, "b t 1 h w"]
    ) -> Float[Tensor, "b t c h w"]:
        parts = (weight * velocity(latents, sigma) for weight, velocity in asked)
        return sum(parts, torch.zeros_like(latents))

    return guided


def forgetting(
    velocity: Velocity,
    known: Known,
    noise: Float[Tensor, "b t c h w"],
    sigma: float | Float[Tensor, "#b #t 1 #h #w"],
) -> Velocity:
    """`velocity`, asked as if what was given were at least as noisy as `sigma`; 1 forgets it.

    `noise` is the noise that the sampler starts from. Cells of which nothing was known keep their
    level, so their velocity is that of the video given the noisier past.
    """
    least = known.forget(sigma).sigma

    def forgetful(
        latents: Float[Tensor, "b t c h w"], sigma: Float[Tensor, "b t 1 h w"]
    ) -> Float[Tensor, "b t c h w"]:
        noisier = torch.where(known.sigma < 1, torch.maximum(sigma, least), sigma)
        return velocity(flow.renoised(latents, noise, sigma, noisier), noisier)

    return forgetful
