"""Luck decides what cannot be foretold: a few numbers in each cell, or one of a few ways."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

FARTHEST, WIDEST = 6.0, 3.0
"""Bounds of a number's mean and of the logarithm of its variance."""
LEAST_ODDS = 0.01
"""The share of all odds that ways which are not expected have together."""
CERTAIN = 1e-6


class Spread(NamedTuple):
    """Numbers, each from a normal distribution."""

    mean: Float[Tensor, "n l h16 w16"]
    log_variance: Float[Tensor, "n l h16 w16"]

    def at(self, noise: Float[Tensor, "n l h16 w16"]) -> Float[Tensor, "n l h16 w16"]:
        """What the noise stands for."""
        return self.mean + (0.5 * self.log_variance).exp() * noise


class Odds(NamedTuple):
    """Several choices, each among a few ways: the logarithms of how likely these are."""

    logs: Float[Tensor, "n g k h16 w16"]

    def at(self, noise: Float[Tensor, "n l h16 w16"]) -> Float[Tensor, "n l h16 w16"]:
        """1 for the ways that the noise stands for (Gumbel's trick), with the odds' gradient
        (arXiv 1308.3432), and 0 for all others."""
        part = (0.5 + 0.5 * torch.erf(noise.float() / 2**0.5)).clamp(CERTAIN, 1 - CERTAIN)
        scores = self.logs - (-part.log()).log().unflatten(1, self.logs.shape[1:3])
        taken = (scores >= scores.amax(2, keepdim=True)).to(scores.dtype).flatten(1, 2)
        if not self.logs.requires_grad:
            return taken
        odds = self.logs.exp().flatten(1, 2)
        return taken + odds - odds.detach()


def spread_of(said: Float[Tensor, "n l2 h16 w16"]) -> Spread:
    """What a network says of numbers, within bounds, so that no luck is out of this world."""
    mean, log_variance = said.float().chunk(2, 1)
    return Spread(FARTHEST * (mean / FARTHEST).tanh(), WIDEST * (log_variance / WIDEST).tanh())


def odds_of(said: Float[Tensor, "n l h16 w16"], ways: int) -> Odds:
    """What a network says of ways, none of them impossible."""
    odds = said.float().unflatten(1, (-1, ways)).softmax(2)
    return Odds(((1 - LEAST_ODDS) * odds + LEAST_ODDS / ways).log())


def divergence(told: Spread | Odds, likely: Spread | Odds) -> Float[Tensor, " n"]:
    """How many nats it takes to say what was drawn from one to who expects the other."""
    if isinstance(told, Odds):
        assert isinstance(likely, Odds)
        return (told.logs.exp() * (told.logs - likely.logs)).sum((1, 2, 3, 4))
    assert isinstance(likely, Spread)
    ratio = told.log_variance - likely.log_variance
    apart = (told.mean - likely.mean).square() / likely.log_variance.exp()
    return 0.5 * (ratio.exp() + apart - 1 - ratio).sum((1, 2, 3))
