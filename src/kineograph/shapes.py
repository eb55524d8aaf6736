"""Every tensor names its dimensions, and any picture fits a stride and comes back exactly.

The letters in shape annotations such as `Float[Tensor, "b t c h w"]` always mean

    b  batch: clips that are answered side by side
    t  film time, in frames
    c  channels: 3 for RGB, more for the latents of a codec
    h  height in pixels (or in cells of a codec), counted from the top
    w  width, counted from the left
    s  rows of a schedule: one more than its steps

A noise level or a trust has one channel, "b t 1 h w"; a motion has two (dx, dy), "t 2 h w".
"""

from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """A picture of `height` x `width` pixels, laid on whole cells of `stride` pixels.

    The picture keeps the top left corner, so that positions and motions need no shift.

    >>> grid = Grid(height=5, width=6, stride=4)
    >>> grid.padded_height, grid.padded_width, grid.num_rows, grid.num_columns
    (8, 8, 2, 2)
    >>> picture = torch.rand(3, 5, 6)
    >>> torch.equal(grid.crop(grid.pad(picture)), picture)
    True
    """

    height: int
    width: int
    stride: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.stride) < 1:
            raise ValueError(f"{self} has an empty side: height, width and stride start at 1.")

    @property
    def num_rows(self) -> int:
        return -(-self.height // self.stride)

    @property
    def num_columns(self) -> int:
        return -(-self.width // self.stride)

    @property
    def padded_height(self) -> int:
        return self.num_rows * self.stride

    @property
    def padded_width(self) -> int:
        return self.num_columns * self.stride

    def pad(self, frames: Shaped[Tensor, "... h w"]) -> Shaped[Tensor, "... padded_h padded_w"]:
        """`frames` grown at the bottom and the right by repeating the last row and column."""
        _expect_size(frames, self.height, self.width)
        if (self.padded_height, self.padded_width) == (self.height, self.width):
            return frames
        rows = torch.arange(self.padded_height, device=frames.device).clamp(max=self.height - 1)
        columns = torch.arange(self.padded_width, device=frames.device).clamp(max=self.width - 1)
        return frames.index_select(-2, rows).index_select(-1, columns)

    def crop(self, frames: Shaped[Tensor, "... padded_h padded_w"]) -> Shaped[Tensor, "... h w"]:
        """The exact inverse of `pad`; a view."""
        _expect_size(frames, self.padded_height, self.padded_width)
        return frames[..., : self.height, : self.width]


def _expect_size(frames: Tensor, height: int, width: int) -> None:
    size = tuple(frames.shape[-2:])
    if size != (height, width):
        raise ValueError(f"The frames are {size} (h, w), but this grid needs {(height, width)}.")
