"""A live film remembers itself: what a hole hides is read where it was last in sight.

Places are followed from frame to frame, as `uncover` follows them, and pictures kept for as long
as a place is to be read from them.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float, Int32, UInt8

from kineograph.models.aligned import (
    UNLIKE,
    Picture,
    enlarged_motion,
    places,
    pulled,
    read_at,
    small_grey,
)
from kineograph.models.uncover import (
    NEVER,
    SQUARE,
    Hole,
    Trace,
    doubt_at,
    drawn_on,
    followed,
    hidden_from,
    motion_between,
    spread,
)

UNSEEN = -1
"""In place of the number of the frame that last showed a place: none did."""
MOST_KEYS, MOST_KEYS_PX = 48, 12_000_000
"""Pictures that places are read from, and their pixels; what is older is read once more."""
NEARBY = 0.05
"""Parts of a hole so much of the short side away from those of the frame before are new."""
DRAWN_PX, REACH_PX = 72, 4.0
"""Lines are drawn on in a fifth of the time of `uncover`'s, and to watched shots no less near."""
COARSE = 4
"""So many times fewer pixels a side do for the mean motion around a hole."""
HIDDEN = 128
"""The level that a hole is shown at."""
Sight = Int32[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Key:
    """A frame with its hole filled, and of each place the number of the frame that showed it."""

    picture: Picture
    sight: Sight


Recalled = tuple[UInt8[np.ndarray, "k h w 3"], UInt8[np.ndarray, "k h w"], Hole]
"""Pictures and their doubts, as `uncover.uncovered` has them of a film's last frame; where the hole
was never in sight."""


@dataclass(eq=False)
class Memory:
    """A shot so far, as much of it as may still be shown.

    hides_new: a part of a hole that is nowhere near those of the frame before hides what was in
    sight there, which is then not remembered.
    """

    hides_new: bool = False
    number: int = -1
    keys: dict[int, Key] = field(default_factory=dict)
    _trace: Trace | None = None
    _still: Key | None = None
    """What was last seen at each place of the picture, wherever it may have gone since."""
    _last: tuple[Picture, Hole] | None = None
    _sight: Sight | None = None

    def recalled(self, picture: Picture, hole: Hole) -> Recalled:
        """What was seen of the next frame's hole (True). Then that frame is to be kept."""
        self.number += 1
        picture = np.where(hole[..., None], np.uint8(HIDDEN), picture)
        new = self._new(hole)
        moved, still = self._moved(picture, hole, new), self._stood(picture, hole, new)
        doubts = [self._doubt(key.sight, hole) for key in (moved, still)]
        never = hole & (np.minimum(*doubts) == UNLIKE)
        is_moved = doubts[0] <= doubts[1]
        best = np.where(is_moved[..., None], moved.picture, still.picture)
        held = np.where(hole[..., None], best, picture)
        rest = np.rint(spread(held, never)).astype(np.uint8) if never.any() else held
        seen, all_ = (np.where(part, UNLIKE, 0).astype(np.uint8) for part in (hole & ~never, hole))
        told = [(moved.picture, doubts[0]), (rest, all_), (still.picture, doubts[1])]
        told += [(picture, all_), (rest, seen), (drawn_on(rest, never, DRAWN_PX, REACH_PX), seen)]
        pictures, doubted = zip(*told, strict=True)
        self._sight = np.where(is_moved, moved.sight, still.sight)
        return np.stack(pictures), np.stack(doubted), never

    def keep(self, answer: Picture, hole: Hole) -> None:
        """The frame with its hole filled."""
        trace, sight, own = self._trace, self._sight, places(*hole.shape)
        assert trace is not None
        assert sight is not None
        self.keys[self.number], self._last = Key(answer, sight), (answer, hole)
        used = {int(n) for n in np.unique(trace.frame)} & self.keys.keys() - {self.number}
        most = max(8, min(MOST_KEYS, MOST_KEYS_PX // hole.size))
        for number in sorted(used)[: max(0, len(used) - most)]:
            here = trace.frame == number
            trace.frame[here] = np.where(hole[here], self.number, -1)
            trace.at[here] = own[here]
            used.discard(number)
        self.keys = {number: self.keys[number] for number in (*used, self.number)}

    def skip(self, picture: Picture) -> None:
        """The next frame has no hole: all of it is in sight."""
        self.number += 1
        nowhere = np.zeros(picture.shape[:2], bool)
        self._sight = np.full(nowhere.shape, self.number, np.int32)
        self._trace, self._last = Trace.of(self.number, nowhere), (picture, nowhere)
        self._still = Key(picture, self._sight)
        self.keys = {self.number: self._still}

    def _new(self, hole: Hole) -> Hole:
        if not self.hides_new or self._last is None:
            return np.zeros_like(hole)
        reach = 2 * max(1, round(NEARBY * min(hole.shape))) + 1
        last = self._last[1].astype(np.uint8)
        near = np.asarray(cv2.dilate(last, np.ones((reach, reach), np.uint8))) > 0
        count, found = cv2.connectedComponents(hole.astype(np.uint8))
        parts = np.asarray(found, np.int32)
        old = np.isin(np.arange(count), np.unique(parts[near & hole]))
        return hole & ~old[parts]

    def _moved(self, picture: Picture, hole: Hole, new: Hole) -> Key:
        """The frame before along the motion, the hole from where its places were in sight."""
        wide = cv2.dilate(hole.astype(np.uint8), SQUARE) > 0
        if self._trace is None or self._last is None:
            trace, made = Trace.of(self.number, wide), picture.copy()
        else:
            motion = self._motion(picture, hole, *self._last)
            trace = followed(self._trace, motion, self.number, wide)
            made = pulled(self._last[0], places(*hole.shape) + motion)
        trace.frame[new] = -1
        sight = np.where(wide, UNSEEN, self.number).astype(np.int32)
        y, x = np.nonzero(wide & (trace.frame >= 0))
        source, at = trace.frame[y, x], trace.at[y, x]
        for number in np.unique(source):
            here, key = source == number, self.keys[int(number)]
            made[y[here], x[here]] = read_at(key.picture, at[here], sharp=True)
            near = np.rint(at[here]).astype(np.int32).clip(0, np.array(hole.shape[::-1]) - 1)
            sight[y[here], x[here]] = key.sight[near[:, 1], near[:, 0]]
        self._trace = trace
        return Key(made, sight)

    def _motion(
        self, picture: Picture, hole: Hole, last: Picture, last_hole: Hole
    ) -> Float[np.ndarray, "h w 2"]:
        now = small_grey(np.where(hole[..., None], last, picture))
        hidden = hidden_from(hole | last_hole, now.shape)
        return enlarged_motion(motion_between(now, small_grey(last), hidden, COARSE), *hole.shape)

    def _stood(self, picture: Picture, hole: Hole, new: Hole) -> Key:
        """The frame before as it was, and in the hole what was last seen at the same place."""
        was, here = self._still, np.where(hole, UNSEEN, self.number).astype(np.int32)
        if was is None or self._last is None:
            self._still = Key(picture, here)
            return self._still
        seen = np.where(hole[..., None], was.picture, picture)
        sight = np.where(hole & ~new, was.sight, here)
        self._still = Key(seen, sight)
        return Key(np.where(hole[..., None], seen, self._last[0]), sight)

    def _doubt(self, sight: Sight, hole: Hole) -> UInt8[np.ndarray, "h w"]:
        age = np.where(sight == UNSEEN, NEVER, np.minimum(self.number - sight, NEVER - 1))
        return doubt_at(np.where(hole, age, 0))
