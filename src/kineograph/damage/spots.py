"""A spot agrees with neither neighbour where the neighbours, moved here, agree with each other.

The motion is that from the frame before to the frame after, halved: the frame in question has no
say in it. Levels outside the range of both neighbours count (ROD: Nadenau and Mitra 1996; SDIa:
Kokaram 1998), less what its neighbours show by the same measure, less how far they disagree. What
can be found nearby in a neighbour is a thing that flies.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from kineograph.damage.seen import MOTION_PX, Mask, Seen, motion_between, odd, resized
from kineograph.damage.timing import REPEAT_LEVELS
from kineograph.models.aligned import moved
from kineograph.models.cuts import around

AHEAD = 2
DOUBT, SEED_DOUBT, DOUBT_PX, ALONE_PX = 3, 4, 15, 9
"""How much the neighbours' disagreement counts, for all of a spot and for its clearest pixel, and
over how many of 320 pixels."""
UNEVEN_PX = 0.5
"""Beside repeated frames, half the motion is wrong: where it is more than this, none are sought."""
GROWN_LEVELS, SEED_LEVELS = 8, 15
"""Spots have a pixel beyond the second, and reach to the first. Tuned with the doubts on training
shots: sure of little beats unsure of much."""
BLOCK_SHARE, ROW_SHARE, WHOLE_SHARE = 0.003, 0.35, 0.5
"""Larger than the first, of the picture, is a glitch; more of a row than the second spoils the row,
more of the picture than the last spoils it all."""
SEARCHED_PX, SEARCHED_AREA, MOST_SEARCHES = 24, 10, 12
FOUND_AGAIN, FOUND_OF_ITSELF, FOREIGN = 0.4, 0.8, 0.2
"""A thing is found again when its squared difference is less than the first of that in place, and
than the second of its own variance; or when it is spikes there too, by the third. Tuned on
training shots."""
Picture = UInt8[np.ndarray, "h w 3"]
Levels = UInt8[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Spots:
    """Dust and glitches of one frame, at its work size."""

    dust: Mask
    glitch: Mask


@dataclass(frozen=True, eq=False)
class _Spikes:
    """How far each pixel is outside its neighbours' range, and how far they are apart."""

    seen: Seen
    before: Seen | None
    after: Seen | None
    beyond: Levels
    apart: Levels


def spots(frames: Iterable[tuple[Seen, bool]]) -> Iterator[Spots]:
    """The spots of each frame, told from it and whether it begins a shot.

    None are sought at the ends of a shot.
    """
    for window, now in around(_spikes(frames), 1, 1):
        spikes = window[now]
        others = [other.beyond for k, other in enumerate(window) if k != now]
        yield _told(spikes, others)


def _spikes(frames: Iterable[tuple[Seen, bool]]) -> Iterator[_Spikes]:
    for window, now in around(frames, 1, 1):
        here = window[now][0]
        if now == 0 or now + 1 == len(window) or window[now][1] or window[now + 1][1]:
            yield _nothing(here)
        else:
            yield _measured(window[now - 1][0], here, window[now + 1][0])


def _nothing(here: Seen) -> _Spikes:
    none = np.zeros(here.picture.shape[:2], np.uint8)
    return _Spikes(here, None, None, none, none)


def _measured(before: Seen, here: Seen, after: Seen) -> _Spikes:
    size = here.picture.shape[:2]
    motion = motion_between(after.grey, before.grey)
    scale = size[1] / motion.shape[1]
    half = np.asarray(cv2.resize(motion, size[::-1]), np.float32) * np.float32(scale / 2)
    first, last = moved(before.picture, half), moved(after.picture, -half)
    beyond = _outside(here.picture, first, last)
    apart = np.asarray(cv2.absdiff(first, last)).max(-1)
    if min(s.most for s in (before, here, after)) < REPEAT_LEVELS:
        uneven = _wide(np.abs(half).max(-1), 9 * scale) > UNEVEN_PX * scale
        beyond = np.where(uneven, 0, beyond).astype(np.uint8)
    return _Spikes(here, before, after, beyond, apart)


def _outside(picture: Picture, first: Picture, last: Picture) -> Levels:
    """Levels above all or below all of the 3 x 3 nearest of both, in the worst channel."""
    square = np.ones((3, 3), np.uint8)
    high = cv2.dilate(np.maximum(first, last), square)
    low = cv2.erode(np.minimum(first, last), square)
    return np.asarray(cv2.max(cv2.subtract(picture, high), cv2.subtract(low, picture))).max(-1)


def _told(spikes: _Spikes, others: list[Levels]) -> Spots:
    """Dust and glitches, from a frame's own spikes and those of its neighbours."""
    none = np.zeros(spikes.beyond.shape, bool)
    if spikes.before is None or spikes.beyond.max() <= SEED_LEVELS:
        return Spots(none, none)
    scale = max(1.0, spikes.beyond.shape[1] / MOTION_PX)
    doubt = _wide(spikes.apart, 3 * scale)
    doubt = cv2.blur(doubt, (odd(DOUBT_PX * scale),) * 2)
    clear, seeds = (
        cv2.subtract(spikes.beyond, cv2.convertScaleAbs(doubt, alpha=alpha))
        for alpha in (DOUBT, SEED_DOUBT)
    )
    for other in others:
        wide = _wide(other, ALONE_PX * scale)
        clear, seeds = cv2.subtract(clear, wide), cv2.subtract(seeds, wide)
    surely = np.asarray(seeds) > SEED_LEVELS
    return _sorted(spikes, np.asarray(clear, np.uint8), surely, others)


def _wide(levels: np.ndarray, width_px: float) -> np.ndarray:
    square = np.ones((odd(width_px),) * 2, np.uint8)
    return np.asarray(cv2.dilate(levels, square))


def _sorted(spikes: _Spikes, clear: Levels, seeds: Mask, others: list[Levels]) -> Spots:
    """Spots about seeds, less what is found nearby in a neighbour; large ones are glitches."""
    grown = (clear > GROWN_LEVELS).astype(np.uint8)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
    labels = np.asarray(parts, np.int32)
    keep = np.zeros(len(stats), bool)
    keep[np.unique(labels[seeds])] = True
    keep[0] = False
    scene = _scene(spikes, others)
    largest = sorted(np.flatnonzero(keep), key=lambda k: -stats[k, cv2.CC_STAT_AREA])
    for k in largest[:MOST_SEARCHES]:
        keep[k] = not _flies(scene, labels == k, stats[k])
    large = keep & (stats[:, cv2.CC_STAT_AREA] > BLOCK_SHARE * clear.size)
    glitch = _glitch(large[labels])
    return Spots(_closed((keep & ~large)[labels], 3.0) & ~glitch, glitch)


def _glitch(mask: Mask) -> Mask:
    """Filled up; whole rows, or all of the picture, where most is spoilt: streams break so."""
    if not mask.any():
        return mask
    filled = _closed(mask, 9 * max(1.0, mask.shape[1] / MOTION_PX))
    filled[filled.mean(1) > ROW_SHARE] = True
    return np.ones_like(mask) if filled.mean() > WHOLE_SHARE else filled


def _closed(mask: Mask, width_px: float) -> Mask:
    """Without small gaps, and with a rim of one pixel: spots fade at their edges."""
    square = np.ones((odd(width_px),) * 2, np.uint8)
    whole = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, square)
    return np.asarray(cv2.dilate(whole, np.ones((3, 3), np.uint8))) > 0


@dataclass(frozen=True, eq=False)
class _Scene:
    """A frame, its neighbours, and where each of these has spikes itself, at a width of 320."""

    here: Picture
    neighbours: list[Picture]
    spiky: list[UInt8[np.ndarray, "h w"]]


def _scene(spikes: _Spikes, others: list[Levels]) -> _Scene:
    assert spikes.before is not None
    assert spikes.after is not None
    here = resized(spikes.seen.picture, MOTION_PX)
    neighbours = [resized(s.picture, MOTION_PX) for s in (spikes.before, spikes.after)]
    spiky = [
        np.asarray(cv2.resize((other > GROWN_LEVELS).astype(np.uint8), here.shape[1::-1]))
        for other in others
    ]
    return _Scene(here, neighbours, spiky)


def _flies(scene: _Scene, spot: Mask, stats: np.ndarray) -> bool:
    """Whether a neighbour shows the same thing nearby.

    It must be nearer to it than to what is in its place, and either have a texture to be known
    by or be as foreign there as here.
    """
    size = scene.here.shape[:2]
    shape = np.asarray(cv2.resize(spot.astype(np.uint8), size[::-1], interpolation=cv2.INTER_AREA))
    left, top, wide, tall = np.rint(stats[:4] * size[1] / spot.shape[1]).astype(int).tolist()
    if shape.sum() < SEARCHED_AREA or wide > size[1] * 0.4 or tall > size[0] * 0.6:
        return False
    box = _box((left - 2, top - 2, left + wide + 2, top + tall + 2), size)
    thing = scene.here[box].astype(np.float32)
    weight = np.asarray(cv2.dilate(shape, np.ones((5, 5), np.uint8)))[box].astype(np.float32)
    in_place = min(_power(p[box] - thing, weight) for p in scene.neighbours)
    inside = shape[box].astype(np.float32)
    own = _power(thing - thing[inside > 0].mean(0), inside) * weight.sum() / inside.sum()
    reach = SEARCHED_PX + 2 * max(wide, tall)
    area = _box((left - reach, top - reach, left + wide + reach, top + tall + reach), size)
    for picture, spiky in zip(scene.neighbours, scene.spiky, strict=True):
        best, foreign = _nearest(picture[area], spiky[area], thing, weight)
        if best < FOUND_AGAIN * in_place and (best < FOUND_OF_ITSELF * own or foreign > FOREIGN):
            return True
    return False


def _power(difference: np.ndarray, weight: np.ndarray) -> float:
    return float((np.square(difference).sum(-1) * weight).sum())


def _box(corners: tuple[int, int, int, int], size: tuple[int, ...]) -> tuple[slice, slice]:
    """The part of (left, top, right, bottom) that is in the picture."""
    left, top, right, bottom = corners
    return slice(max(0, top), min(size[0], bottom)), slice(max(0, left), min(size[1], right))


def _nearest(
    area: Picture, spiky: UInt8[np.ndarray, "h w"], thing: np.ndarray, weight: np.ndarray
) -> tuple[float, float]:
    """The least squared difference from the thing, and how much of it are spikes there."""
    weights = np.repeat(weight[..., None], 3, -1)
    found = cv2.matchTemplate(area.astype(np.float32), thing, cv2.TM_SQDIFF, mask=weights)
    y, x = np.unravel_index(int(np.nanargmin(found)), found.shape)
    there = spiky[y : y + weight.shape[0], x : x + weight.shape[1]]
    return float(found[y, x]), float((there * weight).sum() / weight.sum())
