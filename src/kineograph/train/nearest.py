"""Whether a model repeats what it learned from: for each of its clips the nearest one learned.

Clips are compared as small pictures, 4 frames on end, both ways round as mirrors show them.
Another clip of the same footage that was not learned from tells how near is near by chance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from kineograph.data.clips import Shot

SMALL_PX = 24
NUM_FRAMES = 4
MOST_CLIPS = 4096
"""Of longer footage every n-th clip is looked at."""

Clip = UInt8[np.ndarray, "_ _ _ 3"]
"""Frames of any size, as films hold them."""
Stretches = Sequence[tuple[Clip, Sequence[Shot]]]
"""Films, and the ranges of frames of each that were learned from."""
Place = tuple[int, int]
"""Which film, and which frame."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """A clip's nearest learned one, and how far it is: root mean square, in levels of 255."""

    clip: Clip
    learned: Clip
    distance: float


@dataclass(frozen=True, eq=False)
class Report:
    """Those of the model's clips, and the median distance of clips that were held out."""

    found: tuple[Nearest, ...]
    by_chance: float

    @property
    def told(self) -> dict[str, object]:
        """What a card says of it."""
        return {
            "distances": [round(one.distance, 2) for one in self.found],
            "held_out_clips_distance": round(self.by_chance, 2),
            "unit": "root mean square, levels of 255, 4 frames of 24 px",
        }


def report(made: Sequence[Clip], held_out: Sequence[Clip], learned: Stretches) -> Report:
    """For each clip made, of 4 frames or more, the nearest learned one. ValueError if none is."""
    bank, places = _bank(learned)
    found = [_nearest(clip, bank, places, learned) for clip in made]
    chance = [_nearest(clip, bank, places, learned).distance for clip in held_out]
    return Report(tuple(found), float(np.median(chance)) if chance else float("nan"))


def _bank(learned: Stretches) -> tuple[Float32[np.ndarray, "n d"], list[Place]]:
    places = [
        (film, first)
        for film, (_, shots) in enumerate(learned)
        for start, end in shots
        for first in range(start, end - NUM_FRAMES + 1)
    ]
    if not places:
        raise ValueError(f"Nothing learned from is as long as {NUM_FRAMES} frames.")
    places = places[:: -(-len(places) // MOST_CLIPS)]
    return np.stack([_small(_at(learned, place)) for place in places]), places


def _at(learned: Stretches, place: Place) -> Clip:
    film, first = place
    return np.array(learned[film][0][first : first + NUM_FRAMES])


def _small(clip: Iterable[np.ndarray]) -> Float32[np.ndarray, " d"]:
    """The middle square of each frame, small."""
    small = [
        cv2.resize(middle(frame), (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA)
        for frame in clip
    ]
    return np.stack(small).astype(np.float32).ravel()


def middle(frame: np.ndarray) -> np.ndarray:
    """The largest square amid a frame."""
    h, w = frame.shape[:2]
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    return np.ascontiguousarray(frame[top : top + side, left : left + side])


def _nearest(
    clip: Clip,
    bank: Float32[np.ndarray, "n d"],
    places: list[Place],
    learned: Stretches,
) -> Nearest:
    best = (np.inf, 0)
    for turned in (clip, clip[:, :, ::-1]):
        for first in range(0, len(turned) - NUM_FRAMES + 1, NUM_FRAMES):
            wanted = _small(turned[first : first + NUM_FRAMES])
            far = np.square(bank - wanted).mean(1)
            best = min(best, (float(far.min()), int(far.argmin())))
    return Nearest(clip, _at(learned, places[best[1]]), best[0] ** 0.5)
