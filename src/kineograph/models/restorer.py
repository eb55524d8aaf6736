"""A restorer says what a frame is, given pictures of it: its own bad copy, and others moved here.

It starts at the classical answer, the pictures weighed by how little they are doubted, and is
trained to move those weights and to add what is missing. Every task of restoring is one of these,
with other pictures: neighbours to take noise away, both sides in time to find what lies between,
what was carried into a hole to fill it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from kineograph.models.layers import conv, zeroed
from kineograph.models.unet import UNet

STRIDE_PX = 8
"""Sides must be multiples of this."""
CONTRAST = 4.0
LEVELS = 16.0
"""Doubt is counted in levels of 255; what differs by more than a few of these is another thing."""
UNTRUSTED = 1e-4
UNASKED = -2.0
"""The odds of softened pictures, unlearned."""


@dataclass(frozen=True)
class RestorerShape:
    """How many pictures besides its own a restorer sees, what it is told, and its widths.

    soft_px: the start, softened over squares of these odd widths (5 at most), is among what is
    chosen from, too: noise is then taken away by choosing, not cancelled pixel by pixel.
    """

    num_made: int = 2
    num_told: int = 1
    channels: tuple[int, int, int] = (24, 48, 96)
    soft_px: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Shown:
    """What is shown of n frames, all but `told` in levels of 0 to 255.

    own: the frame's own copy; trust: 255 where it says something, 0 where it says nothing.
    made: pictures of the frame made of others; doubt: by how many levels they may be wrong.
    told: numbers about the whole frame, such as how noisy it is.
    """

    own: UInt8[Tensor, "n 3 h w"]
    trust: UInt8[Tensor, "n 1 h w"]
    made: UInt8[Tensor, "n k 3 h w"]
    doubt: UInt8[Tensor, "n k h w"]
    told: Float[Tensor, "n a"]


class Restorer(nn.Module):
    """A small U-Net whose answer is gates and a correction.

    All of it works on cells of 2x2 px, planes of which are numbered channel * 4 + place.
    """

    softening: Tensor

    def __init__(self, shape: RestorerShape | None = None) -> None:
        super().__init__()
        self.shape = s = shape or RestorerShape()
        self.look = UNet(4 * (7 + 4 * s.num_made), s.num_told, s.channels)
        self.say = zeroed(conv(s.channels[0], 4 * (1 + s.num_made + len(s.soft_px) + 3)))
        self.slope = nn.Parameter(torch.ones(s.num_made))
        self.bias = nn.Parameter(torch.zeros(s.num_made))
        self.register_buffer("softening", softening(s.soft_px), persistent=False)

    def forward(self, shown: Shown) -> Float[Tensor, "n 3 h w"]:
        """The frames as they are taken to be."""
        gates, pictures, correction = self.chosen(shown)
        return F.pixel_shuffle(mixed(gates, pictures) + correction, 2)

    def chosen(
        self, shown: Shown
    ) -> tuple[Float[Tensor, "n k 4 h2 w2"], list[Any], Float[Tensor, "n 12 h2 w2"]]:
        """The gates of its own copy, the pictures made and the softened starts; these; the rest."""
        pictures = [as_values(picture) for picture in (shown.own, *shown.made.unbind(1))]
        trust, *doubts = (as_cells(plane) for plane in (shown.trust, *shown.doubt.split(1, 1)))
        odds = [torch.log(trust / 255 + UNTRUSTED)]
        for doubt, slope, bias in zip(doubts, self.slope, self.bias, strict=True):
            odds.append(bias - slope * doubt / LEVELS)
        start = mixed(torch.stack(odds, 1).softmax(1), pictures)
        differ = [CONTRAST * (picture - start) for picture in pictures]
        doubted = [doubt / (2 * LEVELS) for doubt in doubts]
        seen = torch.cat([start, differ[0], trust / 255, *differ[1:], *doubted], 1)
        said = self.say(self.look(seen, shown.told)[0]).contiguous()
        if self.shape.soft_px:
            wide = F.pad(start, (1, 1, 1, 1), mode="replicate")
            pictures += F.conv2d(wide, self.softening).split(12, 1)
            odds += [torch.full_like(trust, UNASKED) for _ in self.shape.soft_px]
        correction, moved = said[:, :12], said[:, 12:].unflatten(1, (-1, 4))
        return (torch.stack(odds, 1) + moved).softmax(1), pictures, correction


def doubt_of(times_less: Float[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n"]:
    """The doubt at which a picture counts so many times less than one that is not doubted."""
    return np.clip(np.rint(LEVELS * np.log(times_less)), 0, 255).astype(np.uint8)


def mixed(
    gates: Float[Tensor, "n k 4 h2 w2"], pictures: Sequence[Any]
) -> Float[Tensor, "n c h2 w2"]:
    """The sum of the pictures (in cells), each by its gate.

    Of pictures no type is told: to check one of them, chosen by chance, would show in a trace.
    """
    each = zip(gates.split(1, 1), pictures, strict=True)
    return sum((gate * picture.unflatten(1, (-1, 4)) for gate, picture in each)).flatten(1, 2)  # pyright: ignore


def as_cells(levels: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c4 h2 w2"]:
    """Each 2x2 block as four planes, as `F.pixel_unshuffle` has them."""
    blocks = levels.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    planes = rearrange(blocks, "n c h2 y w2 x -> n c y x h2 w2")
    return planes.to(torch.float32, memory_format=torch.contiguous_format).flatten(1, 3)


def as_values(picture: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c4 h2 w2"]:
    """A picture in [-1, 1], in cells."""
    return as_cells(picture).div_(127.5).sub_(1)


def softening(widths_px: Sequence[int]) -> Float[Tensor, "o 12 3 3"]:
    """A convolution of cells that gives each pixel the mean over squares around it."""
    kernels = []
    for width_px in widths_px:
        assert width_px % 2 == 1
        assert width_px <= 5
        place = torch.eye(12).unflatten(1, (3, 2, 2))  # which plane each pixel of a cell is
        inner = torch.zeros(12, 3, 6, 6)
        for plane, (c, y, x) in zip(inner, place.nonzero()[:, 1:].tolist(), strict=True):
            half = width_px // 2
            plane[c, 2 + y - half : 3 + y + half, 2 + x - half : 3 + x + half] = width_px**-2
        kernels.append(F.pixel_unshuffle(inner, 2))
    return torch.cat(kernels) if kernels else torch.zeros(0, 12, 3, 3)
