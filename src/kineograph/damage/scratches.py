"""A scratch is a line that stays in its place while the picture does something else.

That a line is no part of the picture is proved by one of four: it came at once where there was
none in the same shot, and stayed; it stayed through a cut; it stayed while the picture on both
sides moved beneath it; or it trembled while the picture stood. What is proved later is told of
the frames before, as far as they are looked at.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float32, Int

from kineograph.damage import trembling
from kineograph.damage.lines import (
    SPAN,
    THERE,
    TRACED,
    Columns,
    Line,
    Lines,
    Scores,
    drawn,
    lines,
    lines_of,
    near,
    widened,
    width_of,
)
from kineograph.damage.seen import CELL_PX, Mask, Seen
from kineograph.damage.trembling import Tremble
from kineograph.models.cuts import around

LATER = 9
"""Proof may come so many frames later."""
AHEAD = SPAN + LATER
ABSENT, SUDDEN = 0.7, 2
"""A line that comes had a score below the first so many frames before."""
STAYED, WANDER = 5, 0.012
"""It has stayed after so many frames within such a share of the picture's height."""
LIKE_A_LINE = 0.5
"""A score above this is a line where a person saw one."""
PAST = 24
"""A line is forgotten when it was not seen for so many frames."""
MOVED_SHARE = 0.02
"""The picture has moved beneath a line by such a share of its width."""
BESIDE = 3
"""The picture on each side of a line is so many cells of 8 px. These too were tuned on training
shots."""


@dataclass(frozen=True)
class _Followed:
    """A line from frame to frame, in columns of the bands.

    first, middle: where it was, and is. came: for how many frames it has been there since it came
    at once, or -1. beneath: how far the picture has moved to the right, on its left and right.
    """

    sign: int
    first: int
    middle: int
    came: int = -1
    beneath: tuple[float, float] = (0.0, 0.0)
    tremble: Tremble = field(default_factory=Tremble)


@dataclass(frozen=True, eq=False)
class _Proof:
    """What is known after a frame.

    left: for how many frames yet the line at each column is taken for proved. surely: where it
    was. scores: those of the last frames of the shot. bands: brightness. followed: the lines.
    """

    left: Int[np.ndarray, "2 columns"]
    surely: Columns
    scores: list[Scores]
    bands: Float32[np.ndarray, "bands columns"]
    followed: list[_Followed]


@dataclass(frozen=True, eq=False)
class _Told:
    found: Lines
    proved: Columns


def scratches(
    frames: Iterable[tuple[Seen, bool]], said: frozenset[int] = frozenset()
) -> Iterator[Mask]:
    """The scratches of each frame, told from it and whether it begins a shot; at film size.

    Lines at the columns `said`, pixels of the film at half its height, need no proof. ValueError
    where the film has no such column.
    """
    for window, now in around(_told(lines(frames)), 0, LATER):
        proved = window[-1].proved
        for told in reversed(window[now:-1]):
            proved = told.proved | (told.found.there & near(proved))
        found = window[now].found
        if said:
            proved |= _said(found, said)
        yield drawn(found.lit, lines_of(found.lit, found.evidence, proved))


def _said(found: Lines, said: frozenset[int]) -> Columns:
    """Where a person saw a line, and something like one is."""
    columns, width = found.scores.shape[1], found.lit.seen.size[1]
    if max(said) >= width:
        raise ValueError(
            f"column {max(said)} is listed, and the film has {width} columns, 0 to {width - 1}; "
            "list only those"
        )
    seen = np.zeros_like(found.there)
    seen[:, [x * columns // width for x in said]] = True
    return near(seen) & (found.scores > LIKE_A_LINE)


def _told(frames: Iterable[Lines]) -> Iterator[_Told]:
    proof = None
    for found in frames:
        proof = _proof(proof or _unproved(found), found)
        yield _Told(found, found.there & (proof.left > 0))


def _unproved(found: Lines) -> _Proof:
    none = np.zeros_like(found.there)
    return _Proof(none.astype(int), none, [], found.lit.seen.bands, [])


def _proof(past: _Proof, found: Lines) -> _Proof:
    """What is known after another frame, and the lines that seem to be there."""
    lit, there = found.lit, found.there
    surely = there & (lit.scores > THERE)
    scores = [] if lit.starts_shot else past.scores
    proved = surely & near(past.surely) if lit.starts_shot else np.zeros_like(there)
    came = surely & (np.min(scores, 0) < ABSENT) if scores else np.zeros_like(there)
    followed = _followed(past, found, came)
    for line, known in zip(found.each, followed, strict=True):
        proved[line.sign, line.columns] |= _is_proved(known, lit.seen)
    left = np.where(proved, PAST, np.maximum(past.left - 1, 0))
    left = np.where(there & near(left > 0), PAST, left)
    scores = [*scores, widened(lit.scores)][-SUDDEN:]
    return _Proof(left, surely, scores, lit.seen.bands, followed)


def _is_proved(line: _Followed, seen: Seen) -> bool:
    height, width = seen.size
    columns = seen.bands.shape[1]
    gone = line.middle - line.first
    if abs(gone) > max(2.0, WANDER * height * columns / width):
        return False
    moved = min(abs(line.beneath[0] - gone), abs(line.beneath[1] - gone))
    return line.came >= STAYED or moved > MOVED_SHARE * columns or line.tremble.is_proved


def _followed(past: _Proof, found: Lines, came: Columns) -> list[_Followed]:
    """The lines that are there, with what is known of them; in a new shot, nothing is."""
    seen, before = found.lit.seen, [] if found.lit.starts_shot else past.followed
    core = width_of(seen) // 2
    middles = [line.middle for line in found.each]
    shaken = trembling.shake(seen.bands, past.bands, middles, core) if before else 0.0
    followed = []
    for line in found.each:
        known = _known(line, before, max(2, core))
        if known is None:
            fresh = _Followed(line.sign, line.middle, line.middle)
        else:
            place = _place(found, line, core)
            tremble = trembling.goes_on(known.tremble, seen.bands, past.bands, place, shaken)
            beneath = _beneath(known.beneath, seen, line.middle)
            age = known.came + (known.came >= 0)
            fresh = replace(known, middle=line.middle, came=age, beneath=beneath, tremble=tremble)
        if came[line.sign, line.columns].any() and fresh.came < 0:
            fresh = replace(fresh, came=0)
        followed.append(fresh)
    return followed


def _known(line: Line, past: list[_Followed], reach: int) -> _Followed | None:
    """The same line in the frame before, if it was there within so many columns."""
    same = [p for p in past if p.sign == line.sign and abs(p.middle - line.middle) <= reach]
    return min(same, key=lambda p: abs(p.middle - line.middle), default=None)


def _beneath(past: tuple[float, float], seen: Seen, middle: int) -> tuple[float, float]:
    """How far the picture has moved on both sides of a column."""
    scale = seen.bands.shape[1] / seen.grey.shape[1]
    cell = int(middle / scale / CELL_PX)
    to_right = -seen.steps[..., 0] * scale
    left = to_right[:, max(0, cell - BESIDE) : max(1, cell)]
    right = to_right[:, min(cell + 1, to_right.shape[1] - 1) : cell + 1 + BESIDE]
    return past[0] + float(np.median(left)), past[1] + float(np.median(right))


def _place(found: Lines, line: Line, core: int) -> trembling.Place:
    """Where the frame itself shows the line."""
    columns = line.middle + line.shifts
    wide = found.lit.wide[line.sign]
    inside = np.clip(columns, 0, wide.shape[1] - 1)
    rows = np.flatnonzero(wide[np.arange(len(wide)), inside] > TRACED)
    return trembling.Place(rows, columns[rows], core)
