"""A restorer says what a frame is, given pictures of it: its own bad copy, and others moved here.

It starts at the classical answer, the pictures weighed by how little they are doubted, and is
trained to move those weights and to add what is missing. Every task of restoring is one of these,
with other pictures: neighbours to take noise away, both sides in time to find what lies between,
what was carried into a hole to fill it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kineograph.models.layers import channels_last, conv, nearby, zeroed

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

    soft_px: the start, softened over so many pixels, is among what is chosen from, too: noise is
    then taken away by choosing, and need not be cancelled pixel by pixel.
    """

    num_made: int = 4
    num_told: int = 1
    channels: tuple[int, int, int] = (32, 64, 96)
    soft_px: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Shown:
    """What is shown of n frames, in [-1, 1].

    own: the frame's own copy; trust: 1 where it says something, 0 where it says nothing.
    made: pictures of the frame made of others; doubt: by how many levels of 255 they may be wrong.
    told: numbers about the whole frame, such as how noisy it is.
    """

    own: Float[Tensor, "n 3 h w"]
    trust: Float[Tensor, "n 1 h w"]
    made: Float[Tensor, "n k 3 h w"]
    doubt: Float[Tensor, "n k h w"]
    told: Float[Tensor, "n a"]


class Block(nn.Module):
    """x + conv(relu(conv(x))): no norm, since levels matter here and every pass costs."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)
        nn.init.kaiming_normal_(self.first.weight)
        nn.init.normal_(self.second.weight, std=0.3 * (9 * channels) ** -0.5)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return self.second(F.relu(self.first(x), inplace=True)).add_(x)


class Restorer(nn.Module):
    """A small U-Net on cells of 2, 4 and 8 px, whose answer is gates and a correction."""

    def __init__(self, shape: RestorerShape | None = None) -> None:
        super().__init__()
        self.shape = s = shape or RestorerShape()
        fine, middle, coarse = s.channels
        seen = 4 * (7 + 4 * s.num_made) + s.num_told
        self.see = conv(seen, fine)
        self.fine_in, self.fine_out = Block(fine), Block(fine)
        self.down = nn.Conv2d(fine, middle, 2, 2)
        self.middle_in, self.middle_out = Block(middle), Block(middle)
        self.down_again = nn.Conv2d(middle, coarse, 2, 2)
        self.coarse = nn.Sequential(Block(coarse), Block(coarse))
        self.up = nn.Conv2d(coarse, 4 * middle, 1)
        self.up_again = nn.Conv2d(middle, 4 * fine, 1)
        self.say = zeroed(conv(fine, 4 * (1 + s.num_made + len(s.soft_px) + 3)))
        self.slope = nn.Parameter(torch.ones(s.num_made))
        self.bias = nn.Parameter(torch.zeros(s.num_made))

    def forward(self, shown: Shown) -> Float[Tensor, "n 3 h w"]:
        """The frames as they are taken to be."""
        odds = self._odds(shown)
        pictures = torch.cat([shown.own[:, None], shown.made], 1)
        start = (odds.softmax(1)[:, :, None] * pictures).sum(1)
        said = F.pixel_shuffle(self.say(self._features(shown, start)), 2)
        if self.shape.soft_px:
            soft = [nearby(start, px)[:, None] for px in self.shape.soft_px]
            pictures = torch.cat([pictures, *soft], 1)
            odds = torch.cat([odds, torch.full_like(odds[:, : len(soft)], UNASKED)], 1)
        gates = (odds + said[:, 3:]).softmax(1)
        return (gates[:, :, None] * pictures).sum(1) + said[:, :3]

    def _odds(self, shown: Shown) -> Float[Tensor, "n k h w"]:
        """The logarithm of how much each picture counts, unlearned: the own one first."""
        slope, bias = self.slope[:, None, None], self.bias[:, None, None]
        own = torch.log(shown.trust + UNTRUSTED)
        return torch.cat([own, bias - slope * shown.doubt / LEVELS], 1)

    def _features(self, shown: Shown, start: Tensor) -> Float[Tensor, "n c h2 w2"]:
        differ = (CONTRAST * (shown.made - start[:, None])).flatten(1, 2)
        own = CONTRAST * (shown.own - start)
        seen = torch.cat([start, own, shown.trust, differ, shown.doubt / (2 * LEVELS)], 1)
        told = shown.told[:, :, None, None].expand(-1, -1, *(n // 2 for n in start.shape[-2:]))
        x = torch.cat([F.pixel_unshuffle(seen, 2), told], 1)
        fine = self.fine_in(self.see(channels_last(x)))
        middle = self.middle_in(self.down(fine))
        deep = F.pixel_shuffle(self.up(self.coarse(self.down_again(middle))), 2)
        middle = self.middle_out(middle + deep)
        return self.fine_out(fine + F.pixel_shuffle(self.up_again(middle), 2))
