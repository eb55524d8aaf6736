"""A picture of any size is answered in tiles that overlap and fade into one another.

A tile is used only where it saw nearly as much as the whole picture would have shown, so there are
no seams, and memory does not grow with the picture.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kineograph.models.restorer import STRIDE_PX, Shown
from kineograph.shapes import Grid

TILE_PX = 1280
"""Up to 1280 a side is one tile: overlaps cost time, and a tile of that size 1.5 GB."""
OVERLAP_PX = 64
"""A quarter of it is left out at each inner side, half is the fade."""

Restore = Callable[[Shown], Float[Tensor, "n 3 h w"]]


def tiled(
    restore: Restore, shown: Shown, tile_px: int = TILE_PX, overlap_px: int = OVERLAP_PX
) -> Float[Tensor, "n 3 h w"]:
    """`restore` over all of the picture, tile by tile; sides need be no multiple of anything.

    ValueError for tiles that are not multiples of 8 px, or not larger than their overlaps.
    """
    if tile_px % STRIDE_PX or overlap_px % (2 * STRIDE_PX) or tile_px <= 2 * overlap_px:
        raise ValueError(
            f"Tiles of {tile_px} px that overlap by {overlap_px}: give multiples of {STRIDE_PX} "
            f"and {2 * STRIDE_PX}, and tiles of more than twice the overlap."
        )
    h, w = shown.own.shape[-2:]
    grid = Grid(h, w, STRIDE_PX)
    padded = replace(
        shown,
        own=grid.pad(shown.own),
        trust=grid.pad(shown.trust),
        made=grid.pad(shown.made),
        doubt=grid.pad(shown.doubt),
    )
    rows = spans(grid.padded_height, tile_px, overlap_px)
    columns = spans(grid.padded_width, tile_px, overlap_px)
    if len(rows) == len(columns) == 1:
        return grid.crop(restore(padded))
    total = torch.zeros(padded.own.shape)
    weights = total.new_zeros(total.shape[-2:])
    for top, bottom in rows:
        for left, right in columns:
            answer = restore(part_of(padded, slice(top, bottom), slice(left, right)))
            down = _fade(top, bottom, grid.padded_height, overlap_px)
            across = _fade(left, right, grid.padded_width, overlap_px)
            weight = (down[:, None] * across).to(answer)
            total[..., top:bottom, left:right] += weight * answer
            weights[top:bottom, left:right] += weight
    return grid.crop(total / weights)


def spans(length: int, tile_px: int, overlap_px: int) -> list[tuple[int, int]]:
    """Stretches of about equal overlap that cover a side; one where the side is short."""
    if length <= tile_px:
        return [(0, length)]
    count = -(-(length - overlap_px) // (tile_px - overlap_px))
    step = (length - tile_px) / (count - 1)
    starts = [round(n * step / STRIDE_PX) * STRIDE_PX for n in range(count)]
    return [(start, start + tile_px) for start in starts]


def part_of(shown: Shown, rows: slice, columns: slice) -> Shown:
    """What is shown, of a part of the picture."""
    return replace(
        shown,
        own=shown.own[..., rows, columns],
        trust=shown.trust[..., rows, columns],
        made=shown.made[..., rows, columns],
        doubt=shown.doubt[..., rows, columns],
    )


def _fade(start: int, end: int, length: int, overlap_px: int) -> Float[Tensor, " n"]:
    """1 inside, falling to nearly 0 towards inner sides: nothing of the last quarter is used."""
    at = torch.arange(start, end, dtype=torch.float32) + 0.5
    quarter = overlap_px / 4
    from_start = (at - start - quarter) / (2 * quarter) if start > 0 else torch.ones_like(at)
    from_end = (end - at - quarter) / (2 * quarter) if end < length else torch.ones_like(at)
    return torch.minimum(from_start, from_end).clamp(1e-4, 1)


def sized(frame: Float[Tensor, "3 h w"], height: int, width: int) -> Float[Tensor, "3 h2 w2"]:
    """A frame at another size, by areas where it shrinks and by bicubic interpolation else."""
    if frame.shape[-2:] == (height, width):
        return frame
    if height <= frame.shape[-2] and width <= frame.shape[-1]:
        return F.interpolate(frame[None], (height, width), mode="area")[0]
    made = F.interpolate(frame[None], (height, width), mode="bicubic", align_corners=False)
    return made[0].clamp(-1, 1)
