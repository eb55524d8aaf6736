"""Films at several sizes, small and slow to full, and how each of them is made of patches."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from kineograph.models.patch_search import Bank, Size, bank_of
from kineograph.models.patches import Lattice, Matches, Search, carried_over, pasted, repeated

COARSEST_PX = 9
"""The short side that the whole picture is thought out at."""


@dataclass(frozen=True)
class Level:
    """One size: film pixels, frames for one of these, its patches, and how they are searched.

    `sigma` is how noisy what the coarser level said is taken to be; it falls to 0 in steps of
    1 / `num_steps`.
    """

    height: int
    width: int
    pace: int
    patch: Size
    sigma: float
    num_steps: int
    search: Search

    def size(self, num_frames: int) -> Size:
        """Of a film of so many frames."""
        return Size(max(1, num_frames // self.pace), self.height, self.width)

    def lattice(self, film: Size, bank: Bank, ring: bool) -> Lattice:
        """How patches of the bank lie over a film."""
        return Lattice(film, bank.size, self.search.stride_px, ring)


def heights(short_px: int) -> list[int]:
    """Short sides from `COARSEST_PX` to that, each about twice the one before."""
    num_doublings = max(0, round(torch.tensor(short_px / COARSEST_PX).log2().item()))
    factor = short_px / COARSEST_PX
    return [
        round(COARSEST_PX * factor ** (i / max(1, num_doublings))) for i in range(num_doublings)
    ] + [short_px]


def sides(height: int, width: int, short_px: int) -> tuple[int, int]:
    """Height and width of a picture of that shape with that short side."""
    scale = short_px / min(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def scaled(frames: Float[Tensor, "t c h w"], size: Size) -> Float[Tensor, "t2 c h2 w2"]:
    """By averages over the cells of the new grid where it is coarser, else by straight lines."""
    t, _, h, w = frames.shape
    if (t, h, w) == (size.t, size.h, size.w):
        return frames
    volume = rearrange(frames, "t c h w -> 1 c t h w")
    least = (min(t, size.t), min(h, size.h), min(w, size.w))
    volume = F.adaptive_avg_pool3d(volume, least)
    if least != (size.t, size.h, size.w):
        volume = F.interpolate(volume, (size.t, size.h, size.w), mode="trilinear")
    return rearrange(volume, "1 c t h w -> t c h w")


def touched(region: Bool[Tensor, "t 1 h w"], size: Size) -> Bool[Tensor, "t2 1 h2 w2"]:
    """The coarse cells that have any of the region in them."""
    return scaled(region.float(), size) > 0


def bank_at(
    level: Level, footage: Float[Tensor, "t c h w"], film: Size, place_sd: float = float("inf")
) -> Bank:
    """The footage's patches at that level; `place_sd` is in heights of the picture."""
    t, _, h, w = footage.shape
    size = Size(max(1, t // level.pace), level.height, max(1, round(w * level.height / h)))
    patch = level.patch.within(film.t, film.h, film.w)
    fitting = repeated(level.height, level.width, patch, level.search.stride_px)
    return bank_of(scaled(footage, size), patch, place_sd * level.height, repeated=fitting)


@dataclass(frozen=True, eq=False)
class Answer:
    """A film at one level, and where its patches came from."""

    frames: Float[Tensor, "t c h w"]
    matches: Matches
    lattice: Lattice
    bank: Bank


def finer(
    coarse: Answer, bank: Bank, lattice: Lattice
) -> tuple[Float[Tensor, "1 t c h w"], Matches]:
    """What a coarse answer says of a finer film: its patches, as they are in the finer footage.

    Enlarging its pixels instead loses what only the footage knows, and the finer level then finds
    soft patches for a soft film.
    """
    matches = carried_over(coarse.matches, coarse.lattice, lattice, coarse.bank, bank)
    large = scaled(coarse.frames, lattice.film)[None]
    return pasted(large, bank, lattice.stride_px, matches, lattice.ring), matches
