"""How much of a fit to use is learned: a small network decides cell by cell, from how it fared.

Least squares say what would have foretold the past (`guess.py`). Whether the future is like that
can be told in part from the errors: untrained, the fit is used as far as it foretold each known
frame from the others; trained, the network moves that, and the weights a little (`train/weighing`).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kineograph.models.candidates import NUM_FREE, power_of
from kineograph.models.guess import NUM_CLUES, Fit, held_back, log_near
from kineograph.models.layers import zeroed

NUM_HEARD = NUM_CLUES + NUM_FREE + 3
FARTHEST = 8
SURE = 0.02
"""Belief is kept this far from 0 and 1, where no clue could move it."""
LARGEST_SHIFT = 0.1
FARTHEST_CLUE = 4.0
"""In spreads: clues such as no training clip gave say no more than the strangest of those."""


class Weigher(nn.Module):
    """One hidden layer for each cell; it knows of its neighbours by the clues alone."""

    mean: Float[Tensor, "heard 1 1"]
    spread: Float[Tensor, "heard 1 1"]

    def __init__(self, hidden: int = 24) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(NUM_HEARD, 1, 1))
        self.register_buffer("spread", torch.ones(NUM_HEARD, 1, 1))
        self.listen = nn.Conv2d(NUM_HEARD, hidden, 1)
        self.say = zeroed(nn.Conv2d(hidden, 1 + NUM_FREE, 1))

    def forward(
        self, fit: Fit, of: Float[Tensor, "b free free h8 w8"], horizon: int | float
    ) -> Float[Tensor, "b free h8 w8"]:
        """The weights to use at a horizon, where candidates have the products `of`."""
        clues, belief = heard(fit, of, horizon)
        return self.decided(clues, fit.weights, belief)

    def decided(
        self,
        clues: Float[Tensor, "b heard h8 w8"],
        weights: Float[Tensor, "b free h8 w8"],
        belief: Float[Tensor, "b 1 h8 w8"],
    ) -> Float[Tensor, "b free h8 w8"]:
        """The fitted weights, as far as they are believed, and a little beside them."""
        usual = ((clues - self.mean) / self.spread).clamp(-FARTHEST_CLUE, FARTHEST_CLUE)
        said = self.say(F.silu(self.listen(usual)))
        share = torch.sigmoid(torch.logit(belief) + said[:, :1])
        return share * weights + LARGEST_SHIFT * torch.tanh(said[:, 1:])


def heard(
    fit: Fit, of: Float[Tensor, "b free free h8 w8"], horizon: int | float
) -> tuple[Float[Tensor, "b heard h8 w8"], Float[Tensor, "b 1 h8 w8"]]:
    """The clues of the past and of the future candidates; what is believed without learning."""
    back = held_back(fit, of, horizon)
    differ = torch.diagonal(of, dim1=1, dim2=2).permute(0, 3, 1, 2)
    changed = log_near(power_of(fit.weights, of))
    ahead = torch.full_like(back, horizon / FARTHEST)
    clues = torch.cat([fit.clues, back, changed, log_near(differ, 3), ahead], 1)
    return clues, (fit.belief * back).clamp(SURE, 1 - SURE)
