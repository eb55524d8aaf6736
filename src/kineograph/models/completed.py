"""A picture is completed with its own patches: what lies in a hole looks like what lies outside.

Every patch over the hole is to have its like among the known patches (Wexler, Shechtman and Irani,
2007): search and vote in turn, at one size after another, with texture as part of the likeness
(Newson et al., 2014, section 3.2), and votes that count less the farther they are from what is
known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from kineograph.models.aligned import Picture, places, pulled
from kineograph.models.patch_search import Bank, Found, Queries, Size, bank_of, exact, refined
from kineograph.models.patches import Matches, heard, queries

Hole = Bool[np.ndarray, "h w"]
Values = Float[Tensor, "c h w"]
"""RGB in [-1, 1], and two planes of texture."""
PATCH_PX, HALF_PX = 7, 3
SEARCHED_PX, COARSEST_PX, STEP = 160, 20, 0.5
"""Patches are sought at these short sides, each so much of the next."""
EXACT_PATCHES = 3000
"""Up to so many are all compared with all."""
NUM_EXACT, NUM_REFINED, NUM_TRIES = 10, 4, 4
NUM_BY_LOOK = 3
TEXTURE, DOWN, ACROSS = 2.0, 0.3, 0.1
"""How much texture counts beside colour, and half the height and half the width of the picture
beside half the range of a colour: skies are made of skies, and sides of what is near them."""
OPEN = 3.0
"""So much more do places count for a hole that is open to a side, and held by less around it."""
RARITY, APART_PX = 0.3, 5
"""A patch costs so much of what its nearest like costs, so far away at the coarsest size: what the
picture holds once, a figure for example, is not shown twice."""
UNLIKE_ANY = 1e4
"""A component that no patch has: what holds a part of the hole is never the nearest."""
FAITH, LEAST_FAITH = 0.15, 2e-3
"""Each so much of the short side away from what is known, a vote counts e times less."""


@dataclass(frozen=True, eq=False)
class Level:
    """A picture at one size, where it is not known, and where nothing is to be taken from.

    The values are RGB in [-1, 1] and two planes of texture.
    """

    values: Float[Tensor, "c h w"]
    hole: Bool[Tensor, "h w"]
    shunned: Bool[Tensor, "h w"]
    places: Float[Tensor, "2 h w"]
    """How far down and across the picture each pixel lies, as far as that counts."""


@torch.inference_mode()
def completed(
    picture: Picture, hole: Hole, guess: Picture, seed: int = 0, shunned: Hole | None = None
) -> Picture:
    """The picture with its hole (True) filled, everything else bit for bit.

    Nothing is taken from where it is `shunned` (True). `guess` is the picture filled anyhow,
    smoothly for example; it comes back where no patch of the picture is whole. The same seed gives
    the same picture.
    """
    generator = torch.Generator().manual_seed(seed)
    values = matches = level = rarity = None
    barred = hole if shunned is None else hole | shunned
    for level in levels_of(picture, hole, barred):
        if not level.hole.any() or _spoiled(level.shunned).all():
            continue
        if values is None or rarity is None:
            values, rarity = _begun(level, guess), rarity_of(level)
        values = F.interpolate(values[None], level.hole.shape, mode="bilinear")[0]
        values, matches = _solved(level, values, matches, rarity, generator)
        rarity = torch.zeros_like(rarity)
    if values is None or matches is None or level is None:
        return np.where(hole[..., None], guess, picture)
    made = rearrange((values[:3].clamp(-1, 1) + 1) * 127.5, "c h w -> h w c").round().byte().numpy()
    if made.shape != picture.shape:
        made = _pasted(picture, matches)
    return np.where(hole[..., None], made, picture)


def levels_of(picture: Picture, hole: Hole, shunned: Hole) -> list[Level]:
    """From coarse to fine."""
    short = min(hole.shape)
    ratios = [min(1.0, SEARCHED_PX / short)]
    while short * ratios[-1] * STEP >= COARSEST_PX:
        ratios.append(ratios[-1] * STEP)
    return [_level(picture, hole, shunned, ratio) for ratio in reversed(ratios)]


def _level(picture: Picture, hole: Hole, shunned: Hole, ratio: float) -> Level:
    h, w = hole.shape
    size = (max(PATCH_PX, round(w * ratio)), max(PATCH_PX, round(h * ratio)))
    seen = (~hole).astype(np.float32)
    weight = _averaged(seen, size)
    colours, rough = picture / np.float32(127.5) - 1, _texture(picture, hole, ratio)
    shown = [_averaged(planes * seen[..., None], size) for planes in (colours, rough)]
    small = np.concatenate(shown, -1) / np.maximum(weight, 1e-6)[..., None]
    values = rearrange(torch.from_numpy(small), "h w c -> c h w").contiguous()
    unknown = torch.from_numpy(weight < 0.5)
    barred = torch.from_numpy(_averaged(shunned.astype(np.float32), size) >= 0.5)
    place = _places(size[1], size[0], reaches_edge(hole))
    return Level(values, unknown, unknown | barred, place)


def reaches_edge(hole: Hole) -> bool:
    """Whether the hole is open to a side of the picture."""
    return bool(hole[[0, -1]].any() or hole[:, [0, -1]].any())


def _averaged(planes: Float[np.ndarray, "h w *c"], size: tuple[int, int]) -> np.ndarray:
    return np.asarray(cv2.resize(planes, size, interpolation=cv2.INTER_AREA))


def _texture(picture: Picture, hole: Hole, ratio: float) -> Float[np.ndarray, "h w 2"]:
    """How rough the full picture is around each pixel, across and down, over a patch's width."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)).astype(np.float32) / 127.5
    seen = cv2.erode((~hole).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    width = (round(PATCH_PX / ratio), round(PATCH_PX / ratio))
    near = np.maximum(cv2.blur(seen, width), 1e-3)
    slopes = [
        cv2.filter2D(grey, -1, np.array(k, np.float32)) for k in ([[-1, 0, 1]], [[-1], [0], [1]])
    ]
    rough = [cv2.blur(np.abs(slope) * seen, width) / near for slope in slopes]
    return np.float32(TEXTURE) * np.stack(rough, -1)


def _spoiled(hole: Bool[Tensor, "h w"]) -> Bool[Tensor, "h2 w2"]:
    """Of the patch that begins at each pixel, whether a part of it is not known."""
    return F.max_pool2d(hole[None].float(), PATCH_PX, 1)[0] > 0


def _begun(level: Level, guess: Picture) -> Float[Tensor, "c h2 w2"]:
    h, w = level.hole.shape
    small = torch.from_numpy(cv2.resize(guess, (w, h), interpolation=cv2.INTER_AREA))
    colours = rearrange(small, "h w c -> c h w") / 127.5 - 1
    rough = level.values[3:, ~level.hole].mean(1)
    return torch.cat([colours, rough[:, None, None].expand(-1, h, w)])


def _solved(
    level: Level,
    values: Values,
    matches: Matches | None,
    rarity: Float[Tensor, "h2 w2"],
    generator: torch.Generator,
) -> tuple[Values, Int[Tensor, "gt2 gy2 gx2 3"]]:
    """Search and vote in turn, at one size."""
    bank = _bank(level, rarity)
    grid = bank.counts
    matches = _own(grid) if matches is None else _grown(matches, grid)
    small, faith = grid[1] * grid[2] <= EXACT_PATCHES, _faith(level.hole)
    for _ in range(NUM_EXACT if small else NUM_REFINED):
        values = torch.where(level.hole, values, level.values)
        asked = _asked(values, level, bank)
        found = (
            exact(asked, bank, 1)
            if small
            else refined(asked, bank, 1, matches, NUM_TRIES, generator)
        )
        at = asked.cells.unbind(1)
        matches[at] = found.origins[:, 0]
        votes = Found(found.origins, faith[at[1:]][:, None])
        values = heard(_placed(values, level)[None, None], asked, votes, bank)[0, 0, :-2]
    return values, matches


def _placed(values: Values, level: Level) -> Float[Tensor, "c2 h w"]:
    return torch.cat([values, level.places])


def _places(height: int, width: int, is_open: bool) -> Float[Tensor, "2 h w"]:
    down, across = torch.linspace(-DOWN, DOWN, height), torch.linspace(-ACROSS, ACROSS, width)
    return (OPEN if is_open else 1.0) * torch.stack(torch.meshgrid(down, across, indexing="ij"))


def rarity_of(level: Level) -> Float[Tensor, "h2 w2"]:
    """Of each known patch, how far its nearest like is (squared), not counting its neighbours.

    None is rare where there are too many to be compared.
    """
    bank = bank_of(_placed(level.values, level)[None], Size(1, PATCH_PX, PATCH_PX))
    looks, (_, h, w) = bank.features.flatten(0, 2), bank.counts
    if len(looks) > EXACT_PATCHES:
        return torch.zeros(h, w)
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    at = torch.stack([y, x], -1).flatten(0, 1).float()
    spoiled = _spoiled(level.shunned).flatten()
    apart = torch.cdist(looks, looks).square()
    near = torch.cdist(at, at, p=torch.inf) < APART_PX
    rarity = apart.masked_fill(near | spoiled, torch.inf).min(1).values
    rarity = rarity.masked_fill(spoiled | rarity.isinf(), 0)
    return rarity.unflatten(0, (h, w))


def _bank(level: Level, rarity: Float[Tensor, "h3 w3"]) -> Bank:
    """The known patches, and as one more component what each costs."""
    bank = bank_of(_placed(level.values, level)[None], Size(1, PATCH_PX, PATCH_PX))
    spoiled = _spoiled(level.shunned)
    costs = F.interpolate(rarity[None, None], spoiled.shape, mode="bilinear")[0]
    features = torch.cat([bank.features, (RARITY * costs[..., None]).sqrt()], -1)
    features = features.masked_fill(spoiled[None, ..., None], UNLIKE_ANY)
    return replace(bank, basis=F.pad(bank.basis, (0,) * 9 + (1,)), features=features)


def _asked(values: Values, level: Level, bank: Bank) -> Queries:
    """The patches over the hole; all their pixels count alike."""
    unknown = level.hole[None, None, None].to(values.dtype)
    asked = queries(_placed(values, level)[None, None], unknown, bank, 1, False)
    ratio, certainty = torch.ones_like(asked.ratio), torch.ones_like(asked.certainty)
    return replace(asked, ratio=ratio, weighted=asked.features, certainty=certainty)


def _faith(hole: Bool[Tensor, "h w"]) -> Float[Tensor, "h2 w2"]:
    away = cv2.distanceTransform(hole.numpy().astype(np.uint8), cv2.DIST_L2, 5)
    h, w = (n - 2 * HALF_PX for n in hole.shape)
    middles = torch.from_numpy(np.asarray(away))[HALF_PX:][:h, HALF_PX : HALF_PX + w]
    return torch.exp(-middles / (FAITH * min(hole.shape))).clamp(min=LEAST_FAITH)


def _own(grid: Sequence[int]) -> Matches:
    """Each patch of a grid is its own match."""
    every = torch.cartesian_prod(*(torch.arange(n) for n in grid))
    return every.unflatten(0, tuple(grid))


def _grown(matches: Matches, grid: tuple[int, int, int]) -> Int[Tensor, "gt2 gy2 gx2 3"]:
    """The matches of a smaller picture: whole stretches keep together."""
    before = torch.tensor(matches.shape[:3])
    ratio = torch.tensor(grid) / before
    own = _own(grid)
    near = (own / ratio).long().minimum(before - 1)
    away = (matches - _own(matches.shape[:3]))[near.unbind(-1)]
    return (own + (away * ratio).round().long()).clamp(min=0).minimum(torch.tensor(grid) - 1)


def _pasted(picture: Picture, matches: Matches) -> Picture:
    """A larger picture: each pixel hears the four matches around it, the nearer the more."""
    h, w = picture.shape[:2]
    away = (matches - _own(matches.shape[:3]))[0, ..., 1:].flip(-1).float().numpy()
    away = np.pad(away, ((HALF_PX, HALF_PX), (HALF_PX, HALF_PX), (0, 0)), mode="edge")
    ratio = np.array([w / away.shape[1], h / away.shape[0]], np.float32)
    away, here = np.rint(away * ratio), places(h, w)
    cell = (here + 0.5) / ratio - 0.5
    first = np.floor(cell)
    total = np.zeros(picture.shape, np.float32)
    for corner in np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32):
        share = np.abs(1 - corner - (cell - first)).prod(-1, keepdims=True)
        total += share * pulled(picture, here + pulled(away, first + corner))
    return np.rint(total).clip(0, 255).astype(np.uint8)
