"""A live film's holes are filled when its frames come: from those before, and around the hole.

Where a film on disk shows what lies ahead (`restoring.filled`), here what was not in sight so far
is guessed at once; what is imagined there may come later, and fades in where its place is by then.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import tee

import numpy as np
import torch
from jaxtyping import Bool

from kineograph.answer.restoring import (
    Frame,
    Hole,
    frame_of,
    picture_of,
    restored,
    restorer,
    seen_around,
    shown_to,
)
from kineograph.answer.tiles import Restore, part_of
from kineograph.known import Known
from kineograph.models import cuts, imagined, remembered
from kineograph.models.aligned import Picture
from kineograph.models.imagined import NUM_AROUND, Guessed, Wish, thick
from kineograph.models.restorer import STRIDE_PX
from kineograph.models.window import Predictor

ROOM_PX = 24
"""A restorer is shown so much of the picture around a hole."""
FADE = 8
"""What was imagined late comes within so many frames."""


def filled_at_once(
    model: Predictor,
    frames: Iterable[Frame],
    holes: Iterable[Hole],
    seed: int = 0,
    hides_new: bool = False,
    aside: bool = False,
) -> Iterator[Frame]:
    """`restoring.filled` without looking ahead.

    hides_new: a hole that comes amid the film hides what was in sight there, so that is not shown.
    aside: what is imagined is so by a thread of its own, no frame waits for it, and when it comes
    depends on the machine.
    """
    net = restorer(model, "fill")
    pairs, to_see = tee(zip(frames, holes, strict=True))
    begins = cuts.cuts_at_once(cuts.changes(seen_around(to_see)))
    thoughts = _Aside(seed) if aside else _AtOnce(seed)
    shot = _Shot(remembered.Memory(hides_new))
    with closing(thoughts):
        for (frame, hole), is_cut in zip(pairs, begins, strict=True):
            shot = _Shot(remembered.Memory(hides_new)) if is_cut else shot
            yield _next(net, shot, thoughts, frame, hole)


@dataclass(eq=False)
class _Shot:
    """What is remembered of one shot: what was in sight, and what was imagined elsewhere."""

    seen: remembered.Memory
    canvas: imagined.Memory | None = None
    recent: deque[Guessed] = field(default_factory=lambda: deque[Guessed](maxlen=NUM_AROUND + 1))


def _next(
    net: Restore, shot: _Shot, thoughts: "_AtOnce | _Aside", frame: Frame, hole: Hole
) -> Frame:
    inside = hole[0].numpy()
    if not inside.any():
        shot.canvas = None
        shot.seen.skip(picture_of(frame))
        shot.recent.append(Guessed(picture_of(frame), inside, inside))
        return frame
    recalled = shot.seen.recalled(picture_of(torch.nan_to_num(frame)), inside)
    answer = _answered(net, recalled, frame, inside)
    picture, never = picture_of(answer), thick(recalled.never)
    shot.recent.append(Guessed(picture, inside, never))
    if shot.canvas is None and never.any():
        shot.canvas = imagined.memory_for(inside, remembered.most_keys(inside))
    if shot.canvas is not None:
        thoughts.come(shot.canvas)
        window = tuple(shot.recent)
        picture = imagined.carried_on(
            shot.canvas, window, len(window) - 1, thoughts.of(shot.canvas), recalled.new
        )
        answer = torch.where(torch.from_numpy(never), frame_of(picture), answer)
    shot.seen.keep(picture, inside)
    return answer


def _answered(
    net: Restore, recalled: remembered.Recalled, frame: Frame, hole: Bool[np.ndarray, "h w"]
) -> Frame:
    """The restorer's answer in the hole; all else bit for bit."""
    rows, columns = (_stretch(hole.any(axis)) for axis in (1, 0))
    shown = shown_to(recalled.made[-1], recalled.made, recalled.doubt, [float(hole.mean())], hole)
    unknown = torch.from_numpy(hole[rows, columns]).to(frame.dtype)[None, None, None]
    known = Known(frame[None, None, :, rows, columns], unknown)
    answer = frame.clone()
    answer[:, rows, columns] = restored(net, part_of(shown, rows, columns), known)
    return answer


def _stretch(inside: Bool[np.ndarray, " n"]) -> slice:
    """From the first to the last, with room, as the restorer's cells lie in the picture."""
    at = np.flatnonzero(inside)
    first, last = max(0, int(at[0]) - ROOM_PX), min(len(inside), int(at[-1]) + 1 + ROOM_PX)
    return slice(first // STRIDE_PX * STRIDE_PX, last)


@dataclass(frozen=True)
class _AtOnce:
    """What is wished for is imagined while the stream waits."""

    seed: int

    def come(self, canvas: imagined.Memory) -> None:
        """Nothing is under way."""

    def of(self, canvas: imagined.Memory) -> imagined.Think:
        """What grants the wishes of a canvas."""
        return lambda wish: wish.granted(self.seed)

    def close(self) -> None:
        """Nothing is held."""


@dataclass(eq=False)
class _Aside:
    """What is wished for is imagined by a thread, one wish at a time, and fades in."""

    seed: int
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, initializer=partial(torch.set_num_threads, 1))
    )
    _asked: tuple[imagined.Memory, Wish, Future[Picture]] | None = None
    _left: int = 0

    def come(self, canvas: imagined.Memory) -> None:
        """What has been imagined is shown a little more."""
        if self._asked is None or not self._asked[2].done():
            return
        asker, wish, made = self._asked
        asker.arrive(wish, made.result(), 1 / self._left)
        self._left -= 1
        if self._left == 0 or asker is not canvas:
            self._asked = None

    def of(self, canvas: imagined.Memory) -> imagined.Think:
        """What takes the wishes of a canvas; those of one before are still thought about."""

        def think(wish: Wish) -> None:
            if self._asked is not None:
                self._asked[2].cancel()
            self._asked = canvas, wish, self._pool.submit(wish.granted, self.seed)
            self._left = FADE

        return think

    def close(self) -> None:
        """Nobody waits for what is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)
