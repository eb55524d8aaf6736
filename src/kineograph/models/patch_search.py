"""Every patch of some footage, and the few of them that a noisy patch most likely is.

Patches are compared by their principal components: what lies outside of them, noise most of all,
tells no patch of the footage from another.
"""

from dataclasses import dataclass
from math import prod

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

NUM_COMPONENTS = 24
NUM_SAMPLES = 1500
"""Patches that the components are fitted to."""
CHUNK = 4_000_000
"""Distances held at once."""
LEAST_RATIO = 0.05
"""Known cells are taken to be found in the footage up to so much noise."""
LEAST_SCORE = -1e30
NEIGHBOURS = [(0, 0, 0), (-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)]
NEIGHBOURS += [(0, -3, 0), (0, 3, 0), (0, 0, -3), (0, 0, 3)]
JITTER = (2, 3, 3)
"""Random tries lie within so many frames, rows and columns."""


@dataclass(frozen=True)
class Size:
    """Frames, rows and columns."""

    t: int
    h: int
    w: int

    def within(self, t: int, h: int, w: int) -> "Size":
        """No larger than that."""
        return Size(min(self.t, t), min(self.h, h), min(self.w, w))


@dataclass(frozen=True, eq=False)
class Bank:
    """All patches of footage: its frames, and the components of the patch that begins at each cell.

    A patch is found about as far from its own place in the picture as `place_sd_px` says. The
    frames may be larger than the `footage`, by rows and columns repeated.
    """

    frames: Float[Tensor, "t h w c"]
    footage: Size
    size: Size
    basis: Float[Tensor, "d c t2 h2 w2"]
    features: Float[Tensor, "t3 h3 w3 d"]
    place_sd_px: float

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many patches begin along each axis."""
        t, h, w, _ = self.features.shape
        return t, h, w


@dataclass(frozen=True, eq=False)
class Queries:
    """Noisy patches: their cells in a grid of patches, their components, and noise over signal.

    `certainty` is 1 / ratio^2, a frame of a patch; `weighted` are components after times that.
    """

    cells: Int[Tensor, "n 3"]
    features: Float[Tensor, "n d"]
    ratio: Float[Tensor, " n"]
    weighted: Float[Tensor, "n d"]
    certainty: Float[Tensor, "n t"]
    grid: tuple[int, int, int]
    stride_px: int
    ring: bool
    """After the last frame comes the first."""

    @property
    def origins(self) -> Int[Tensor, "n 3"]:
        """First frame, row and column of each patch."""
        return self.cells * self.cells.new_tensor([1, self.stride_px, self.stride_px])

    def places(self, counts: tuple[int, int, int]) -> Float[Tensor, "n 2"]:
        """Row and column where each patch would begin in footage of so many patches."""
        last = [max(1, n - 1) for n in self.grid[1:]]
        scale = torch.tensor([(n - 1) / m for n, m in zip(counts[1:], last, strict=True)])
        return self.cells[:, 1:] * scale

    def __getitem__(self, part: slice) -> "Queries":
        mine = self.cells[part], self.features[part], self.ratio[part]
        sure = self.weighted[part], self.certainty[part]
        return Queries(*mine, *sure, self.grid, self.stride_px, self.ring)


@dataclass(frozen=True, eq=False)
class Found:
    """Where in the footage some patches begin, and how likely each is; these sum to 1."""

    origins: Int[Tensor, "n k 3"]
    weights: Float[Tensor, "n k"]


def bank_of(
    footage: Float[Tensor, "t c h w"],
    size: Size,
    place_sd_px: float = float("inf"),
    num_components: int = NUM_COMPONENTS,
    repeated: tuple[int, int] = (0, 0),
) -> Bank:
    """All patches of that size; of the footage's own size where it is smaller.

    The last row and the last column count so many times more, as they do in a film whose patches
    at their stride would not reach its end.
    """
    t, _, h, w = footage.shape
    size = size.within(t, h, w)
    footage = F.pad(footage, (0, repeated[1], 0, repeated[0]), mode="replicate")
    volume = rearrange(footage, "t c h w -> 1 c t h w")
    basis = principal(volume, size, num_components)
    features = rearrange(F.conv3d(volume, basis), "1 d t h w -> t h w d").contiguous()
    frames = rearrange(footage, "t c h w -> t h w c").contiguous()
    return Bank(frames, Size(t, h, w), size, basis, features, place_sd_px)


def principal(
    volume: Float[Tensor, "1 c t h w"], size: Size, num_components: int
) -> Float[Tensor, "d c t2 h2 w2"]:
    """The directions in which the patches differ most; all directions if there are no more."""
    shape = (volume.shape[1], size.t, size.h, size.w)
    if prod(shape) <= num_components:
        return torch.eye(prod(shape), dtype=volume.dtype).unflatten(1, shape)
    windows = volume[0].unfold(1, size.t, 1).unfold(2, size.h, 1).unfold(3, size.w, 1)
    counts = windows.shape[1:4]
    picked = torch.linspace(0, prod(counts) - 1, min(prod(counts), NUM_SAMPLES)).long()
    t, y, x = torch.unravel_index(picked, counts)
    sample = rearrange(windows[:, t, y, x], "c n t h w -> n (c t h w)").double()
    return _axes(sample - sample.mean(0), num_components).to(volume.dtype).unflatten(1, shape)


def _axes(sample: Float[Tensor, "n m"], count: int) -> Float[Tensor, "d m"]:
    if sample.shape[0] < sample.shape[1]:
        _, inner = torch.linalg.eigh(sample @ sample.T)
        axes = inner[:, -count:].T @ sample
        # Directions in which nothing varies have length 0 and stay 0.
        return axes / axes.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return torch.linalg.eigh(sample.T @ sample)[1][:, -count:].T.contiguous()


def exact(asked: Queries, bank: Bank, num_nearest: int) -> Found:
    """The most likely patches of all."""
    everywhere = torch.cartesian_prod(*(torch.arange(n) for n in bank.counts))
    places = everywhere[:, 1:].to(bank.features.dtype)
    looks = bank.features.flatten(0, 2)
    keys = torch.cat([looks, _lengths(bank), places, places.square().sum(1, keepdim=True)], 1)
    rows = max(1, CHUNK // len(keys))
    found = []
    for start in range(0, len(asked.cells), rows):
        scores = _asking(asked[start : start + rows], bank) @ keys.T
        best, index = scores.topk(min(num_nearest, len(keys)), 1)
        found.append(Found(everywhere[index], best.softmax(1)))
    return _joined(found)


def _lengths(bank: Bank) -> Float[Tensor, "n t"]:
    """The squared length of each frame of each patch; in all that of its components."""
    power = rearrange(bank.frames.square().sum(-1), "t h w -> t 1 h w")
    size = bank.size
    within = F.avg_pool2d(power, (size.h, size.w), 1)[:, 0] * (size.h * size.w)
    lengths = rearrange(within.unfold(0, size.t, 1), "t h w n -> (t h w) n")
    # What the components leave out of the products must not be left in the lengths.
    known = bank.features.flatten(0, 2).square().sum(1, keepdim=True)
    return lengths - (lengths.sum(1, keepdim=True) - known) / size.t


def _asking(asked: Queries, bank: Bank) -> Float[Tensor, "n d2"]:
    """What, times the keys of `exact`, gives the log of the chances, up to a constant."""
    places = asked.places(bank.counts) / bank.place_sd_px**2
    last = torch.full_like(asked.ratio[:, None], -0.5 / bank.place_sd_px**2)
    return torch.cat([asked.weighted, -asked.certainty / 2, places, last], 1)


def refined(
    asked: Queries,
    bank: Bank,
    num_nearest: int,
    matches: Int[Tensor, "gt gy gx 3"],
    num_tries: int,
    generator: torch.Generator,
) -> Found:
    """The most likely of what a patch and its neighbours matched before, and of tries nearby.

    As in PatchMatch (Barnes et al., 2009), all patches at once.
    """
    rows = CHUNK // 200
    found = []
    for start in range(0, len(asked.cells), rows):
        part = asked[start : start + rows]
        candidates = _candidates(part, matches, num_tries, generator)
        last = torch.tensor(bank.counts) - 1
        found.append(_best(part, bank, candidates.clamp(min=0).minimum(last), num_nearest))
    return _joined(found)


def _candidates(
    asked: Queries,
    matches: Int[Tensor, "gt gy gx 3"],
    num_tries: int,
    generator: torch.Generator,
) -> Int[Tensor, "n m 3"]:
    grid = torch.tensor(asked.grid)
    stride = torch.tensor([1, asked.stride_px, asked.stride_px])
    made = []
    for step in NEIGHBOURS:
        near = asked.cells + torch.tensor(step)
        inside = near.clamp(min=0).minimum(grid - 1)
        shift = (asked.cells - inside) * stride
        if asked.ring:
            inside[:, 0], shift[:, 0] = near[:, 0] % grid[0], -step[0]
        made.append(matches[inside[:, 0], inside[:, 1], inside[:, 2]] + shift)
    spread = torch.tensor(JITTER)
    for _ in range(num_tries):
        tried = torch.rand(len(asked.cells), 3, generator=generator) * (2 * spread + 1)
        made.append(made[0] + tried.long() - spread)
    return torch.stack(made, 1)


def _best(asked: Queries, bank: Bank, candidates: Int[Tensor, "n m 3"], num_nearest: int) -> Found:
    index = flat(candidates, bank.counts)
    looks = bank.features.flatten(0, 2).index_select(0, index.flatten())
    looks = looks.unflatten(0, index.shape) - asked.features[:, None]
    places = candidates[..., 1:] - asked.places(bank.counts)[:, None]
    by_look = looks.square().sum(-1) / asked.ratio[:, None].clamp(min=LEAST_RATIO).square()
    by_place = places.square().sum(-1) / bank.place_sd_px**2
    scores = (-(by_look + by_place) / 2).masked_fill(_seen_before(index), LEAST_SCORE)
    best, chosen = scores.topk(min(num_nearest, index.shape[1]), 1)
    return Found(candidates.gather(1, chosen[..., None].expand(-1, -1, 3)), best.softmax(1))


def _seen_before(index: Int[Tensor, "n m"]) -> Tensor:
    """Where a row names a patch again."""
    ordered, order = index.sort(dim=1, stable=True)
    again = F.pad(ordered[:, 1:] == ordered[:, :-1], (1, 0))
    return torch.zeros_like(again).scatter(1, order, again)


def flat(origins: Int[Tensor, "*n 3"], counts: tuple[int, int, int]) -> Int[Tensor, "*n"]:
    """Each cell's number in a volume of that many frames, rows and columns."""
    return (origins[..., 0] * counts[1] + origins[..., 1]) * counts[2] + origins[..., 2]


def _joined(found: list[Found]) -> Found:
    return Found(torch.cat([f.origins for f in found]), torch.cat([f.weights for f in found]))
