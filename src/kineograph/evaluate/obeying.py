"""Scripted checks: a key is held in a dream, and what is played must go where it says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from jaxtyping import UInt8

from kineograph.answer.dream import Dream, Start

NUM_FRAMES, NEAR_EDGE_PX, LEAST_PX, MOVED_PX = 12, 14, 6, 3.0
"""For how long a key is held; how much room a check needs; how much of a fish must be seen; and how
far it must come, once at least, since who jumps comes down again."""
CHANGED_LEVELS, GREENER_LEVELS = 24, (30, 10)
LEAST_TALL_PX = 16
"""A figure that is lower is none."""
WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}

Found = Callable[[Dream], np.ndarray | None]
"""Where what is played is in a dream's last frame, as (x, y); None where it is not to be seen."""


@dataclass(frozen=True)
class Obeyed:
    """Of how many checks it went where it was told."""

    num_checks: int
    num_obeyed: int


def obeyed(
    dream: Dream,
    starts: Sequence[Start],
    names: Sequence[str],
    found: Found,
    seeds: Sequence[int] = (0,),
) -> Obeyed:
    """Holds each action whose name is a way, from each start, with each seed."""
    ways = {n: way for n, name in enumerate(names) if (way := way_of(name)).any()}
    checks = []
    for start, seed, (action, way) in product(starts, seeds, ways.items()):
        dream.begin(start, seed)
        checks.append(went(dream, action, way, found))
    told = [check for check in checks if check is not None]
    return Obeyed(len(told), sum(told))


def way_of(name: str) -> np.ndarray:
    """What an action called "left up" says, as signs of (x, y); zeros for one that says nothing."""
    said = [WAYS[word] for word in name.split() if word in WAYS]
    return np.sum(said, 0) if len(said) == len(name.split()) and said else np.zeros(2)


def went(dream: Dream, action: int, way: np.ndarray, found: Found) -> bool | None:
    """Whether it went that way; None where it cannot be seen, or has no room to go."""
    before, places = found(dream), []
    for _ in range(NUM_FRAMES):
        dream.step(action)
        places.append(found(dream))
    if before is None or places[-1] is None:
        return None
    ends = np.array([dream.shape.width_px - 1, dream.shape.height_px - 1])
    room = np.where(way < 0, before, ends - before)
    if (room[way != 0] < NEAR_EDGE_PX).any():
        return None
    gone = np.array([(place - before) * way for place in places if place is not None])
    return bool(gone.max(0)[way != 0].min() >= MOVED_PX)


def fish(dream: Dream) -> np.ndarray | None:
    """The green fish that is played in Procgen's bigfish."""
    return green(dream.past[-1], dream.plate)


def green(
    frame: UInt8[np.ndarray, "3 h w"], plate: UInt8[np.ndarray, "3 h w"]
) -> np.ndarray | None:
    """The middle of what is green, and not what stands there."""
    red, greens, blue = frame.astype(int)
    changed = np.abs(frame.astype(int) - plate).max(0) > CHANGED_LEVELS
    more_red, more_blue = GREENER_LEVELS
    y, x = np.nonzero(changed & (greens > red + more_red) & (greens > blue + more_blue))
    return np.array([np.median(x), np.median(y)]) if len(x) >= LEAST_PX else None


def figure(dream: Dream) -> np.ndarray | None:
    """The middle of the figure, which is the highest of all that moves."""
    changed = np.abs(dream.past[-1].astype(int) - dream.plate).max(0) > CHANGED_LEVELS
    _, _, found, middles = cv2.connectedComponentsWithStats(changed.astype(np.uint8))
    heights = found[1:, cv2.CC_STAT_HEIGHT]
    if not len(heights) or heights.max() < LEAST_TALL_PX:
        return None
    return middles[1 + int(heights.argmax())]
