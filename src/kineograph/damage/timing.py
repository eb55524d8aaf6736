"""Motion that jumps tells of frames that are gone; motion that stops before it, of frozen ones.

Both are only told where what moves keeps its pace on both sides: a film that eases in and out
drops frames unseen. Exact repeats at a steady beat (animation on twos, telecine) and pauses after
which nothing jumps are how the film was made.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from kineograph.damage.seen import Seen
from kineograph.models.cuts import around

BEHIND, AHEAD = 12, 12
REPEAT_LEVELS, MOVING_LEVELS = 1.3, 3.0
"""What codecs add to a repeat; what motion changes at least in some cell."""
LEAP = 1.5
"""After a freeze, motion is so many times its usual size."""
REGULAR, LEAST_STEP_PX, FIT = 0.5, 0.3, 0.15
"""How far squared motion may be from its mean in cells that count; what it must fit after all."""
NUM_CELLS, SHARE = 20, 0.6
"""So many cells must move regularly, and such a share of them must jump."""
MAX_MISSING = 2
BEATS = range(2, 6)


@dataclass(frozen=True)
class Timing:
    """num_missing: frames that are gone just before. is_frozen: shows an older frame again."""

    num_missing: int = 0
    is_frozen: bool = False


def timings(frames: Iterable[tuple[Seen, bool]]) -> Iterator[Timing]:
    """The timing of each frame, told from it and whether it begins a shot; looks `AHEAD`."""
    for window, now in around(frames, BEHIND, AHEAD):
        shot, place = _shot(window, now)
        missing = 0 if _touches_repeat(shot, place) else _missing(shot, place)
        yield Timing(missing, _is_frozen(shot, place))


def _shot(window: list[tuple[Seen, bool]], now: int) -> tuple[list[Seen], int]:
    """The neighbours in the same shot. The first of them has no change of its own."""
    starts = [k for k, (_, is_cut) in enumerate(window) if is_cut]
    first = max((k for k in starts if k <= now), default=0)
    last = min((k for k in starts if k > now), default=len(window))
    return [seen for seen, _ in window[first:last]], now - first


def _missing(shot: list[Seen], now: int) -> int:
    """How many frames are gone, by a vote of the cells in which motion is otherwise regular."""
    if now < 3 or now + 2 >= len(shot):
        return 0
    near = np.stack([shot[now + k].steps for k in (-2, -1, 1, 2)])
    usual = (near[1] + near[2]) / 2
    power = _power(usual)
    counts = (power > LEAST_STEP_PX**2) & (_power(near - usual).max(0) < REGULAR * power)
    if counts.sum() < NUM_CELLS:
        return 0
    step = shot[now].steps
    ratio = (step * usual).sum(-1) / np.maximum(power, 1e-9)
    times = np.clip(np.round(ratio), 1, MAX_MISSING + 1)
    fits = _power(step - times[..., None] * usual) < FIT * times**2 * power
    if (fits & (ratio > LEAP))[counts].mean() < SHARE or np.median(ratio[counts]) < LEAP:
        return 0
    return int(np.clip(round(float(np.median(ratio[counts]))) - 1, 1, MAX_MISSING))


def _power(steps: np.ndarray) -> np.ndarray:
    return np.square(steps).sum(-1)


def _repeats(shot: list[Seen]) -> list[bool]:
    """Which frames show the one before again."""
    return [k > 0 and seen.most < REPEAT_LEVELS for k, seen in enumerate(shot)]


def _touches_repeat(shot: list[Seen], now: int) -> bool:
    repeats = _repeats(shot)
    return any(repeats[max(0, now - 2) : now + 3])


def _is_frozen(shot: list[Seen], now: int) -> bool:
    """Whether a run of repeats about this frame is followed by a leap."""
    repeats = _repeats(shot)
    if not repeats[now] or _keeps_a_beat(repeats, now):
        return False
    first, last = now, now
    while repeats[first - 1]:
        first -= 1
    while last + 1 < len(shot) and repeats[last + 1]:
        last += 1
    before = [k for k in range(first - 1, 0, -1) if not repeats[k]][:2]
    after = [k for k in range(last + 2, len(shot)) if not repeats[k]][:2]
    if len(before) < 2 or len(after) < 2:
        return False
    if min(shot[k].most for k in (before[0], last + 1, after[0])) < MOVING_LEVELS:
        return False
    usual = float(np.median([_pace(shot[k]) for k in before + after]))
    return _pace(shot[last + 1]) > LEAP * usual


def _pace(seen: Seen) -> float:
    return float(np.sqrt(_power(seen.steps)).mean())


def _keeps_a_beat(repeats: list[bool], now: int) -> bool:
    """Whether three repeats, this among them, come every so many frames, with others between."""
    for beat in BEATS:
        for first in (now - 2 * beat, now - beat, now):
            span = repeats[first : first + 2 * beat + 1] if first >= 0 else []
            if len(span) > 2 * beat and all(span[::beat]) and not all(span):
                return True
    return False
