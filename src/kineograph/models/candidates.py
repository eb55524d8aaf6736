"""Pictures that may be the next one: the newest known frames, moved; and what blends of them cost.

The squared error of a blend is a quadratic form of its weights, kept in cells of 8 px.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kineograph.models.layers import warped

NUM_SOURCES = 3
CELL_PX = 8


class Candidate(NamedTuple):
    """One of the newest known frames, moved along a share of a path.

    age: 0 is the last known frame, 1 the one before it. path: a number in `BENDS`; the older the
    frame, the more steps it has to go.
    """

    age: int
    along: float
    mode: str = "bilinear"
    path: int = 0


CANDIDATES = (
    Candidate(0, 1.0),
    Candidate(0, 0.0),
    Candidate(0, 1.0, "bicubic"),
    Candidate(0, 0.5),
    Candidate(0, 1.35),
    Candidate(1, 0.0),
    Candidate(1, 1.0),
    Candidate(0, 1.0, path=1),
    Candidate(2, 1.0),
    Candidate(0, 1.0, "bicubic", path=2),
    Candidate(1, 1.0, path=1),
)
NUM_FREE = len(CANDIDATES) - 1
SHARP = 2
"""The candidate that is as sharp as what it is made of."""
UNFITTED = (0.5, 0.0, 0.5) + (0.0,) * (len(CANDIDATES) - 3)
"""The shares of the candidates without a reason for others."""


def candidates(
    newest: Float[Tensor, "b 3 3 h w"], paths: Float[Tensor, "b 3 2 h w"], steps: float
) -> Float[Tensor, "b k 3 h w"]:
    """Pictures that may be the one at the end of the paths, `steps` of the motion ahead."""
    return torch.stack([candidate(c, newest, paths, steps) for c in CANDIDATES], 1)


def candidate(
    which: Candidate,
    newest: Float[Tensor, "b 3 3 h w"],
    paths: Tensor,
    steps: float,
    beyond: str = "border",
) -> Float[Tensor, "b 3 h w"]:
    """One of them; `newest` are the last known frames, oldest first. beyond: as for `warped`."""
    source = newest[:, NUM_SOURCES - 1 - which.age]
    if which.along == 0:
        return source
    along = which.along * (steps + which.age) / steps
    return warped(source, paths[:, which.path] * along, which.mode, beyond)


def unfitted(made: Float[Tensor, "b k 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """The blend without a fit."""
    return sum((w * made[:, k] for k, w in enumerate(UNFITTED) if w), torch.zeros(()))


def shares(
    weights: Float[Tensor, "b free h8 w8"], size: tuple[int, ...]
) -> Float[Tensor, "b k h w"]:
    """Each candidate's share at every pixel; they sum to 1, and some may be negative."""
    free = F.interpolate(weights, size, mode="bilinear", align_corners=False)
    free = torch.cat([-free.sum(1, keepdim=True), free], 1)
    return free + free.new_tensor(UNFITTED).view(-1, 1, 1)


def blended(
    made: Float[Tensor, "b k 3 h w"], weights: Float[Tensor, "b free h8 w8"]
) -> Float[Tensor, "b 3 h w"]:
    """The weighted sum of candidates."""
    return (shares(weights, made.shape[-2:])[:, :, None] * made).sum(1)


def normal_equations(
    made: Float[Tensor, "b k 3 h w"], truth: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, "b k k h8 w8"]:
    """Means over each cell of the products of candidates and truth, channels summed.

    Candidates are told as what they change in the first one, the truth as what the unfitted
    answer lacks; the truth comes last.
    """
    return _products(torch.cat([made[:, 1:] - made[:, :1], (truth - unfitted(made))[:, None]], 1))


def products(made: Float[Tensor, "b k 3 h w"]) -> Float[Tensor, "b free free h8 w8"]:
    """The same of the candidates alone."""
    return _products(made[:, 1:] - made[:, :1])


def _products(pictures: Float[Tensor, "b k 3 h w"]) -> Float[Tensor, "b k k h8 w8"]:
    cells = rearrange(pictures, "b k c (h p) (w q) -> b h w k (c p q)", p=CELL_PX, q=CELL_PX)
    return rearrange(cells @ cells.mT / CELL_PX**2, "b h w k l -> b k l h w")


def split(
    normal: Float[Tensor, "b k k h8 w8"],
) -> tuple[
    Float[Tensor, "b free free h8 w8"],
    Float[Tensor, "b free h8 w8"],
    Float[Tensor, "b 1 h8 w8"],
]:
    """Normal equations as products of candidates, of candidates and truth, and of the truth."""
    return normal[:, :-1, :-1], normal[:, :-1, -1], normal[:, -1, -1:]


def effect_of(
    weights: Float[Tensor, "b free h8 w8"], normal: Float[Tensor, "b k k h8 w8"]
) -> tuple[Float[Tensor, "b 1 h8 w8"], Float[Tensor, "b 1 h8 w8"], Float[Tensor, "b 1 h8 w8"]]:
    """How much what the weights change agrees with what was lacking; its power; the error left."""
    made, told, wrong = split(normal)
    agreed = (weights * told).sum(1, keepdim=True)
    power = power_of(weights, made)
    return agreed, power, wrong - 2 * agreed + power


def power_of(
    weights: Float[Tensor, "b free h8 w8"], of: Float[Tensor, "b free free h8 w8"]
) -> Float[Tensor, "b 1 h8 w8"]:
    """Mean square, channels summed, of what the weights change."""
    return torch.einsum("bkhw,bklhw,blhw->bhw", weights, of, weights)[:, None].clamp(min=0)
