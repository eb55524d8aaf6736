"""A file holds 256 levels; what is measured or built upon is rounded to them here."""

import torch
from jaxtyping import Float
from torch import Tensor


def levels(frames: Float[Tensor, "*t c h w"]) -> Float[Tensor, "*t c h w"]:
    """What a file would hold: clipped to [-1, 1] and rounded to 256 levels, 0 to 255."""
    return torch.round((frames.clamp(-1, 1) + 1) * 127.5)


def to_8_bits(frames: Float[Tensor, "*t c h w"]) -> Float[Tensor, "*t c h w"]:
    """The same levels back in [-1, 1]."""
    return levels(frames) / 127.5 - 1
