"""The best denoiser of films made of the patches of given footage needs no training.

Where each patch p of the footage is as likely as any other, E[clean | noisy] of a patch is their
mean, weighted by exp(-|noisy - (1 - sigma) p|^2 / (2 sigma^2)), and a pixel is the mean of what the
patches over it say (Kamb and Ganguli, arXiv 2412.20292). As sigma falls the nearest patch gets all
the weight (Granot et al., arXiv 2103.15545; Haim et al., arXiv 2109.08591).
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from kineograph.models.patch_search import (
    LEAST_RATIO,
    Bank,
    Found,
    Queries,
    Size,
    exact,
    flat,
    refined,
)

LEAST_SIGNAL = 0.02
"""Near sigma 1 nothing is left of the clean film to divide by."""
LEAST_WEIGHT = 1e-3
"""Less likely patches are not heard."""
FOCUS, FOCUS_T = 0.15, 0.4
"""A pixel hears a patch by its distance from the patch's middle: standard deviations in widths.

Kamb and Ganguli hear only the patch that is centred on the pixel; hearing all alike is soft.
"""

Matches = Int[Tensor, "gt gy gx 3"]
"""For each patch of a film, the first frame, row and column of its likeliest patch of footage."""


@dataclass(frozen=True)
class Search:
    """Patches every `stride_px`; the `num_nearest` likeliest count.

    All of the footage is searched while there are no matches yet or if `everywhere` says so, else
    what lies near the matches, and `num_tries` random patches around them.
    """

    stride_px: int = 1
    num_nearest: int = 8
    everywhere: bool = True
    num_tries: int = 2


def denoised(
    latents: Float[Tensor, "1 t c h w"],
    sigma: Float[Tensor, "1 t 1 h w"],
    bank: Bank,
    search: Search,
    generator: torch.Generator,
    matches: Matches | None = None,
    ring: bool = False,
) -> tuple[Float[Tensor, "1 t c h w"], Matches]:
    """The expected clean film, and the matches to search on from at the next level.

    A patch with known cells in it takes its noise to be spread evenly over all its cells.
    """
    signal = (1 - sigma).clamp(min=LEAST_SIGNAL)
    all_cells = matches is None
    asked = queries(latents / signal, sigma / signal, bank, search.stride_px, ring, all_cells)
    if matches is None or search.everywhere:
        found = exact(asked, bank, search.num_nearest)
    else:
        found = refined(asked, bank, search.num_nearest, matches, search.num_tries, generator)
    matches = torch.zeros(*asked.grid, 3, dtype=torch.long) if matches is None else matches.clone()
    matches[asked.cells.unbind(1)] = found.origins[:, 0]
    return heard(latents, asked, found, bank), matches


def pasted(
    film: Float[Tensor, "1 t c h w"], bank: Bank, stride_px: int, matches: Matches, ring: bool
) -> Float[Tensor, "1 t c h w"]:
    """What the matches alone say the film is."""
    asked = queries(film, torch.ones_like(film[:, :, :1]), bank, stride_px, ring)
    origins = matches[asked.cells.unbind(1)][:, None]
    return heard(film, asked, Found(origins, torch.ones(origins.shape[:2])), bank)


def queries(
    scaled: Float[Tensor, "1 t c h w"],
    ratio: Float[Tensor, "1 t 1 h w"],
    bank: Bank,
    stride_px: int,
    ring: bool,
    all_cells: bool = False,
) -> Queries:
    """The patches with a noisy cell, or all, of a film whose signal is 1 and noise `ratio`."""
    size = bank.size
    steps, shape = (1, stride_px, stride_px), (size.t, size.h, size.w)
    volume = _padded(rearrange(scaled, "1 t c h w -> 1 c t h w"), size, stride_px, ring)
    noise = _padded(rearrange(ratio, "1 t c h w -> 1 c t h w"), size, stride_px, ring)
    features = rearrange(F.conv3d(volume, bank.basis, stride=steps), "1 d t h w -> t h w d")
    sure = noise.clamp(min=LEAST_RATIO) ** -2
    weighted = rearrange(F.conv3d(volume * sure, bank.basis, stride=steps), "1 d t h w -> t h w d")
    flat_shape, flat_steps = (1, *shape[1:]), steps
    certainty = F.avg_pool3d(sure, flat_shape, flat_steps)[0, 0].unfold(0, size.t, 1)
    power = F.avg_pool3d(noise.square(), shape, steps)[0, 0]
    noisy = F.max_pool3d(noise, shape, steps)[0, 0] > 0
    cells = (noisy | all_cells).nonzero()
    at = cells.unbind(1)
    t, h, w = power.shape
    ratios = power[at].sqrt()
    return Queries(
        cells, features[at], ratios, weighted[at], certainty[at], (t, h, w), stride_px, ring
    )


def repeated(height: int, width: int, size: Size, stride_px: int) -> tuple[int, int]:
    """Rows and columns by which a picture falls short of patches at that stride."""
    return -(height - size.h) % stride_px, -(width - size.w) % stride_px


def _padded(
    volume: Float[Tensor, "1 c t h w"], size: Size, stride_px: int, ring: bool
) -> Float[Tensor, "1 c t2 h2 w2"]:
    """Wrapped around in time for a ring; sides repeated until patches at the stride fit."""
    if ring:
        frames = torch.arange(volume.shape[2] + size.t - 1) % volume.shape[2]
        volume = volume[:, :, frames]
    down, right = repeated(volume.shape[3], volume.shape[4], size, stride_px)
    return F.pad(volume, (0, right, 0, down, 0, 0), mode="replicate")


def heard(
    film: Float[Tensor, "1 t c h w"], asked: Queries, found: Found, bank: Bank
) -> Float[Tensor, "1 t c h w"]:
    """Each pixel is the mean of what the patches over it say; `film` where there is none."""
    _, t, c, h, w = film.shape
    size, stride = bank.size, asked.stride_px
    shape = (t, (asked.grid[1] - 1) * stride + size.h, (asked.grid[2] - 1) * stride + size.w)
    pair, rank = (found.weights > LEAST_WEIGHT).nonzero().unbind(1)
    weights, sources = found.weights[pair, rank], found.origins[pair, rank]
    total = film.new_zeros(shape[0] * shape[1] * shape[2], c + 1)
    strips = _strips(bank)
    for frame, row in torch.cartesian_prod(torch.arange(size.t), torch.arange(size.h)).tolist():
        begin = torch.tensor([frame, row, 0])
        goals = asked.origins[pair] + begin
        goals[:, 0] %= t
        goals = flat(goals, shape)
        said = strips.index_select(0, flat(sources + begin, _volume(bank)))
        said = said.unflatten(1, (size.w, c + 1))
        loud = weights * bell(size.t, FOCUS_T)[frame] * bell(size.h, FOCUS)[row]
        for column, share in enumerate(bell(size.w, FOCUS)):
            total.index_add_(0, goals + column, said[:, column] * (loud * share)[:, None])
    volume = total.unflatten(0, shape)[:, :h, :w]
    told = rearrange(volume, "t h w c -> 1 t c h w")
    amount = told[:, :, c:]
    return torch.where(amount > 0, told[:, :, :c] / amount.clamp(min=1e-20), film)


def _volume(bank: Bank) -> tuple[int, int, int]:
    t, h, w, _ = bank.frames.shape
    return t, h, w


def _strips(bank: Bank) -> Float[Tensor, "n m"]:
    """The pixels of one row of a patch, each followed by a 1, for every cell of the footage."""
    c = bank.frames.shape[-1] + 1
    pixels = F.pad(bank.frames, (0, 1), value=1.0).flatten(0, 2)
    return pixels.as_strided((len(pixels) - bank.size.w + 1, bank.size.w * c), (c, 1))


def bell(length: int, focus: float) -> Float[Tensor, " n"]:
    """How well each place of a patch of that length is heard: 1 in the middle."""
    away = torch.arange(length) - (length - 1) / 2
    return torch.exp(-0.5 * (away / (focus * length)) ** 2)


@dataclass(frozen=True)
class Lattice:
    """How the patches of a film of that size lie: along each axis begin, stride and length."""

    film: Size
    patch: Size
    stride_px: int
    ring: bool

    @property
    def grid(self) -> tuple[int, int, int]:
        """How many patches there are along each axis."""
        t = self.film.t if self.ring else self.film.t - self.patch.t + 1
        h, w = self.film.h - self.patch.h, self.film.w - self.patch.w
        return t, -(-h // self.stride_px) + 1, -(-w // self.stride_px) + 1

    def axes(self) -> list[tuple[int, int, int, int]]:
        """(length of the film, length of a patch, stride, number of patches) along each axis."""
        sizes, patches = lengths(self.film), lengths(self.patch)
        strides = (1, self.stride_px, self.stride_px)
        return list(zip(sizes, patches, strides, self.grid, strict=True))


def lengths(size: Size) -> tuple[int, int, int]:
    """Along time, down and across."""
    return size.t, size.h, size.w


def carried_over(
    matches: Matches, coarse: Lattice, fine: Lattice, coarse_bank: Bank, fine_bank: Bank
) -> Int[Tensor, "gt2 gy2 gx2 3"]:
    """The matches of a coarse film as matches of a finer one, in the finer footage."""
    near, offsets = [], []
    for had, asked in zip(coarse.axes(), fine.axes(), strict=True):
        middle = torch.arange(asked[3]) * asked[2] + asked[1] / 2
        cell = ((middle * had[0] / asked[0] - had[1] / 2) / had[2]).round().long()
        cell = cell.clamp(0, had[3] - 1)
        near.append(cell)
        offsets.append(middle - (cell * had[2] + had[1] / 2) * asked[0] / had[0])
    picked = matches[near[0][:, None, None], near[1][:, None], near[2]]
    moved = []
    for axis, offset in enumerate(offsets):
        growth = lengths(fine_bank.footage)[axis] / lengths(coarse_bank.footage)[axis]
        middle = (picked[..., axis] + coarse.axes()[axis][1] / 2) * growth
        along = offset.reshape([-1 if other == axis else 1 for other in range(3)])
        begin = (middle + along - fine.axes()[axis][1] / 2).round().long()
        moved.append(begin.clamp(0, fine_bank.counts[axis] - 1))
    return torch.stack(moved, -1)
