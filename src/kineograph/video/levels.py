"""A file holds 256 levels; what is measured or built upon is rounded to them here."""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor


def levels(frames: Float[Tensor, "*t c h w"]) -> Float[Tensor, "*t c h w"]:
    """What a file would hold: clipped to [-1, 1] and rounded to 256 levels, 0 to 255."""
    return torch.round((frames.clamp(-1, 1) + 1) * 127.5)


def in_bytes(frames: Float[Tensor, "*t c h w"]) -> UInt8[Tensor, "*t c h w"]:
    """The same levels as a file holds them."""
    return levels(frames).to(torch.uint8)


def to_8_bits(frames: Float[Tensor, "*t c h w"]) -> Float[Tensor, "*t c h w"]:
    """The same levels back in [-1, 1]."""
    return from_levels(levels(frames))


def from_levels(held: Shaped[Tensor, "*t c h w"]) -> Float[Tensor, "*t c h w"]:
    """Levels of 0 to 255, in any type, as frames in [-1, 1]."""
    return held / 127.5 - 1


def frames_of(pictures: UInt8[np.ndarray, "t h w c"]) -> Float[Tensor, "t c h w"]:
    """Pictures as films and OpenCV hold them, as frames in [-1, 1]."""
    return from_levels(rearrange(torch.from_numpy(pictures), "t h w c -> t c h w"))
