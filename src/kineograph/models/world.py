"""A world model: from the last frames of a game and an action the next one, a reward, an end.

One pass makes a frame. What the past decides is drawn from it; what it does not (who comes in at
the edge, and when) is decided by luck in each cell (`models/luck.py`), drawn from a learned prior.
Each pixel is chosen among the last frame, the clean plate (what stood there all along) and a new
one, so that what stands still stays to the byte, for any number of frames.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from kineograph.models.layers import channels_last
from kineograph.models.luck import Odds, Spread, odds_of, spread_of
from kineograph.models.unet import Block

CELL_PX, STRIDE_PX = 4, 16
"""Frames are seen in cells of the first; sides must be multiples of the second."""
NUM_CHOSEN = 3
CONTRAST = 4.0
STOOD = -1.0
"""The odds of the plate, unlearned."""
UNSURE = 0.1
"""Shares up to this count as none, so that what stands still is exactly what it was."""


@dataclass(frozen=True)
class WorldShape:
    """What a world is like, and how large the network is.

    num_past: how many of the last frames are seen. luck: numbers per cell of 16 px; with ways,
    choices, each among so many. num_starts: how many moments are kept from which it can be played.
    """

    num_actions: int
    height_px: int = 128
    width_px: int = 128
    num_past: int = 3
    luck: int = 4
    ways: int = 0
    channels: tuple[int, int, int] = (80, 160, 320)
    num_starts: int = 0

    def __post_init__(self) -> None:
        if self.height_px % STRIDE_PX or self.width_px % STRIDE_PX:
            raise ValueError(
                f"A world's sides must be multiples of {STRIDE_PX} px; got "
                f"{self.width_px}x{self.height_px}."
            )
        if self.num_actions < 1 or self.num_past < 1:
            raise ValueError(
                f"A world has at least 1 action and sees at least 1 frame; got "
                f"{self.num_actions} and {self.num_past}."
            )

    @property
    def luck_size(self) -> tuple[int, int, int]:
        """The shape of one frame's luck."""
        return self.num_luck, self.height_px // STRIDE_PX, self.width_px // STRIDE_PX

    @property
    def num_luck(self) -> int:
        """How many numbers a cell's luck is."""
        return self.luck * max(1, self.ways)

    @property
    def num_said(self) -> int:
        """How many it takes to say what luck is likely: odds, or means and variances."""
        return self.num_luck if self.ways else 2 * self.luck

    def luck_of(self, said: Float[Tensor, "n s h16 w16"]) -> Spread | Odds:
        """What a network says of luck."""
        return odds_of(said, self.ways) if self.ways else spread_of(said)


class Foreseen(NamedTuple):
    """What comes of an action: frames in [-1, 1], rewards, the odds that it was the end."""

    frame: Float[Tensor, "n 3 h w"]
    reward: Float[Tensor, " n"]
    end: Float[Tensor, " n"]


class Looked(NamedTuple):
    """What was seen before luck decides: features in cells of 4, 8 and 16 px."""

    fine: Tensor
    middle: Tensor
    coarse: Tensor


class World(nn.Module):
    """A U-Net over cells of 4, 8 and 16 px. starts, plates: moments of the game to begin at."""

    starts: UInt8[Tensor, "s p 3 h w"]
    plates: UInt8[Tensor, "s 3 h w"]

    def __init__(self, shape: WorldShape) -> None:
        super().__init__()
        self.shape = shape
        fine, middle, coarse = shape.channels
        self.see = nn.Conv2d((shape.num_past + 1) * 3 * CELL_PX**2, fine, 1)
        self.act = nn.ModuleList(
            nn.Linear(shape.num_actions, width, bias=False) for width in shape.channels
        )
        self.fine_in, self.fine_out = Block(fine), Block(fine)
        self.down = nn.Conv2d(fine, middle, 2, 2)
        self.middle_in, self.middle_out = Block(middle), Block(middle)
        self.down_again = nn.Conv2d(middle, coarse, 2, 2)
        self.coarse_in, self.coarse_out = Block(coarse), Block(coarse)
        self.prior = nn.Conv2d(coarse, shape.num_said, 1)
        self.decide = nn.Conv2d(shape.num_luck, coarse, 1, bias=False)
        self.up = nn.ConvTranspose2d(coarse, middle, 2, 2)
        self.up_again = nn.ConvTranspose2d(middle, fine, 2, 2)
        self.say = nn.Conv2d(fine, (3 + NUM_CHOSEN) * CELL_PX**2, 1)
        self.judge = nn.Linear(2 * coarse, 2)
        size = (3, shape.height_px, shape.width_px)
        kept = torch.zeros(shape.num_starts, shape.num_past, *size, dtype=torch.uint8)
        self.register_buffer("starts", kept)
        self.register_buffer("plates", torch.zeros(shape.num_starts, *size, dtype=torch.uint8))
        nn.init.zeros_(self.prior.weight)
        nn.init.zeros_(self.judge.weight)
        nn.init.zeros_(self.say.weight)
        for layer in (self.prior, self.judge, self.say):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        assert self.say.bias is not None
        self.say.bias.data[4 * CELL_PX**2 : 5 * CELL_PX**2] = STOOD

    def forward(
        self,
        past: Float[Tensor, "n p 3 h w"],
        plate: Float[Tensor, "n 3 h w"],
        action: Float[Tensor, "n a"],
        noise: Float[Tensor, "n l h16 w16"],
    ) -> Foreseen:
        """What comes next. past: the last frames in [-1, 1], oldest first; action: one-hot.

        plate: what stood there all along. noise: standard normal, 0 for what is likeliest.
        """
        looked = self.look(past, plate, action)
        return self.foresee(past[:, -1], plate, looked, self.expected(looked).at(noise))

    def look(
        self,
        past: Float[Tensor, "n p 3 h w"],
        plate: Float[Tensor, "n 3 h w"],
        action: Float[Tensor, "n a"],
    ) -> Looked:
        """What is seen, and what is done about it."""
        changes = CONTRAST * torch.cat(
            [past[:, 1:] - past[:, :-1], plate[:, None] - past[:, -1:]], 1
        )
        seen = F.pixel_unshuffle(torch.cat([past[:, -1], changes.flatten(1, 2)], 1), CELL_PX)
        acted = [layer(action)[..., None, None] for layer in self.act]
        fine = self.fine_in(channels_last(self.see(seen) + acted[0]))
        middle = self.middle_in(self.down(fine) + acted[1])
        return Looked(fine, middle, self.coarse_in(self.down_again(middle) + acted[2]))

    def expected(self, looked: Looked) -> Spread | Odds:
        """What luck is likely."""
        return self.shape.luck_of(self.prior(looked.coarse))

    def foresee(
        self,
        last: Float[Tensor, "n 3 h w"],
        plate: Float[Tensor, "n 3 h w"],
        looked: Looked,
        luck: Float[Tensor, "n l h16 w16"],
    ) -> Foreseen:
        """The frame that this luck makes."""
        coarse = self.coarse_out(looked.coarse + self.decide(luck))
        middle = self.middle_out(self.up(coarse) + looked.middle)
        fine = self.fine_out(self.up_again(middle) + looked.fine)
        said = F.pixel_shuffle(self.say(fine).float(), CELL_PX)
        _, stood, new = (F.relu(said[:, 3:].softmax(1) - UNSURE) / (1 - UNSURE)).split(1, 1)
        frame = last + stood * (plate - last) + new * said[:, :3]
        pooled = torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3))], 1)
        reward, end = self.judge(F.layer_norm(pooled, pooled.shape[1:])).float().unbind(1)
        return Foreseen(frame, reward, end)
