"""A scratch is a thin, nearly upright line that stays while the picture does something else.

Rows are pooled into bands; a line stands out of the brightness on both sides in most of them, for
some frames (Kokaram 1998). That a line is no part of the picture is proved by one of three: it
came where there was none in the same shot, it stayed through a cut, or it stayed while the picture
moved beneath it. So a line that is there from the film's first frame on is told late.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

from kineograph.damage import trembling
from kineograph.damage.seen import NUM_BANDS, Mask, Seen, enlarged, odd
from kineograph.models.cuts import around

SPAN, LATER = 3, 9
"""Evidence is gathered over so many frames on both sides; a line is proved by so many later."""
AHEAD = SPAN + LATER
THIN = 0.008
"""Lines are thinner than this share of the height."""
ROUGH_PX, ROUGHNESS, NOISE_LEVELS = 41, 1.5, 2.0
"""A line is told from the texture for so many pixels around, and from noise."""
LEANS = tuple(0.005 * k for k in range(-3, 4))
NUM_LONG = 13
"""So many neighbouring bands, of 24, must show the line."""
THERE, ABSENT = 0.88, 0.7
"""Scores above the first are a line, below the second none. Tuned on training shots."""
PAST = 24
"""A line is forgotten when it was not seen for so many frames."""
TRACED = 0.4
"""Evidence above this is the line itself."""
MOVED_SHARE = 0.02
"""The picture has moved beneath a line by such a share of its width."""
Evidence = Float32[np.ndarray, "2 bands columns"]
Scores = Float32[np.ndarray, "2 columns"]
Lines = Bool[np.ndarray, "2 columns"]


@dataclass(frozen=True, eq=False)
class _Lit:
    """One frame: its evidence, the same with neighbouring columns allowed, the scores of that."""

    seen: Seen
    starts_shot: bool
    sharp: Evidence
    wide: Evidence
    scores: Scores


@dataclass(frozen=True, eq=False)
class _Told:
    """One frame: the evidence over time, the lines in it, and those that are proved so far."""

    lit: _Lit
    evidence: Evidence
    there: Lines
    proved: Lines


def scratches(frames: Iterable[tuple[Seen, bool]]) -> Iterator[Mask]:
    """The scratches of each frame, told from it and whether it begins a shot; at film size."""
    for window, now in around(_told(map(_lit, frames)), 0, LATER):
        proved = window[-1].proved
        for told in reversed(window[now:-1]):
            proved = told.proved | (told.there & _near(proved))
        yield _drawn(window[now], proved)


def _told(frames: Iterable[_Lit]) -> Iterator[_Told]:
    proof = None
    for window, now in around(frames, SPAN, SPAN):
        lit = window[now]
        proof = proof or _unproved(lit)
        until, onwards = window[: now + 1], window[now:]
        evidence = np.maximum(*(np.mean([w.wide for w in part], 0) for part in (until, onwards)))
        there = _score(_leaning(evidence, lit.seen.size[0])) > THERE
        proof = _proof(proof, lit, there, _lines(lit, evidence, there))
        yield _Told(lit, evidence, there, there & (proof.left > 0))


def _lit(frame: tuple[Seen, bool]) -> _Lit:
    seen, starts_shot = frame
    sharp = _evidence(seen)
    wide = np.maximum(sharp, np.maximum(_shifted(sharp, 1), _shifted(sharp, -1)))
    return _Lit(seen, starts_shot, sharp, wide, _score(_leaning(wide, seen.size[0])))


def _evidence(seen: Seen) -> Evidence:
    """How much each column of each band is a bright or a dark line, 0 to 1."""
    width = _width(seen)
    rough = odd(ROUGH_PX * max(1.0, seen.bands.shape[1] / 320))
    found = []
    for bands in (seen.bands, -seen.bands):
        opened = cv2.morphologyEx(bands, cv2.MORPH_OPEN, np.ones((1, width), np.uint8))
        over = bands - opened
        usual = cv2.blur(over, (rough, 1)) * ROUGHNESS + NOISE_LEVELS
        found.append(np.minimum(over / usual, 3) / 3)
    return np.stack(found).astype(np.float32)


def _width(seen: Seen) -> int:
    """So many columns hold any line."""
    scale = seen.bands.shape[1] / seen.size[1]
    return 2 * int(np.ceil(THIN * seen.size[0] * scale)) + 1


def _shifted(rows: np.ndarray, by: int) -> np.ndarray:
    """out[x] = rows[x + by], nothing from beyond the edge."""
    out = np.zeros_like(rows)
    width = rows.shape[-1]
    if abs(by) < width:
        out[..., max(0, -by) : width - max(0, by)] = rows[..., max(0, by) : width + min(0, by)]
    return out


def _shifts(lean: float, height: int) -> list[int]:
    """By how many columns a leaning line is away from its middle in each band."""
    rows = ((np.arange(NUM_BANDS) + 0.5) / NUM_BANDS - 0.5) * height
    return [round(lean * row) for row in rows]


def _leaning(evidence: Evidence, height: int) -> Float32[np.ndarray, "leans 2 bands columns"]:
    """The evidence along lines of each lean, told by their middles."""
    return np.stack(
        [
            np.stack(
                [_shifted(evidence[:, k], by) for k, by in enumerate(_shifts(lean, height))], 1
            )
            for lean in LEANS
        ]
    )


def _score(leaning: Float32[np.ndarray, "leans 2 bands columns"]) -> Scores:
    """The best mean over neighbouring bands, and over leans."""
    sums = np.cumsum(np.pad(leaning, ((0, 0), (0, 0), (1, 0), (0, 0))), 2)
    return ((sums[:, :, NUM_LONG:] - sums[:, :, :-NUM_LONG]) / NUM_LONG).max((0, 2))


@dataclass(frozen=True, eq=False)
class _Line:
    """A line whose middle, at half the height, is within these columns."""

    sign: int
    columns: Int[np.ndarray, " n"]
    shifts: list[int]

    @property
    def middle(self) -> int:
        return int(self.columns[0] + self.columns[-1]) // 2


def _lines(lit: _Lit, evidence: Evidence, there: Lines) -> list[_Line]:
    """Neighbouring columns are one line, of the lean that shows most of it."""
    height, found = lit.seen.size[0], []
    if not there.any():
        return []
    leaning = _leaning(evidence + 0.5 * lit.sharp, height)
    for sign in range(2):
        places = np.flatnonzero(there[sign])
        for columns in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
            if len(columns):
                lean = LEANS[int(leaning[:, sign][..., columns].mean((1, 2)).argmax())]
                found.append(_Line(sign, columns, _shifts(lean, height)))
    return found


def _place(lit: _Lit, line: _Line, core: int) -> trembling.Place:
    columns = line.middle + np.asarray(line.shifts)
    inside = np.clip(columns, 0, lit.sharp.shape[2] - 1)
    rows = np.flatnonzero(lit.wide[line.sign, np.arange(NUM_BANDS), inside] > TRACED)
    return trembling.Place(rows, columns[rows], core)


@dataclass(frozen=True, eq=False)
class _Proof:
    """What is known of the line at each column.

    left: for how many frames yet it is taken for proved. lowest: its least score in this shot.
    moved_px: how far the picture has moved beneath it. before: it was there in the last frame.
    bands: those of the last frame. lively: the lines in it, and how they trembled.
    """

    left: Int[np.ndarray, "2 columns"]
    lowest: Scores
    moved_px: Scores
    before: Lines
    bands: Float32[np.ndarray, "bands columns"] | None = None
    lively: Sequence[trembling.Line] = ()


def _unproved(lit: _Lit) -> _Proof:
    none = np.zeros_like(lit.scores)
    return _Proof(none.astype(int), none + 1, none, none > 0)


def _proof(past: _Proof, lit: _Lit, there: Lines, lines: list[_Line]) -> _Proof:
    """What is known after another frame, and the lines that seem to be there."""
    surely = there & (lit.scores > THERE)
    if lit.starts_shot:
        stayed = surely & past.before
        lowest, moved_px = np.ones_like(past.lowest), np.zeros_like(past.moved_px)
    else:
        stayed, lowest, moved_px = np.zeros_like(there), past.lowest, past.moved_px
    columns = lit.scores.shape[1]
    step = np.abs(lit.seen.steps[..., 0]) * columns / lit.seen.grey.shape[1]
    moved_px = np.where(_near(there), moved_px + np.float32(np.median(step)), 0)
    came, overtaken = there & (lowest < ABSENT), there & (moved_px > MOVED_SHARE * columns)
    lively, trembled = _trembling(past, lit, lines), np.zeros_like(there)
    for line, known in zip(lines, lively, strict=True):
        trembled[line.sign, line.columns] = known.trembles
    left = np.where(stayed | came | overtaken | trembled, PAST, np.maximum(past.left - 1, 0))
    left = np.where(there & _near(left > 0), PAST, left)
    lowest = np.minimum(lowest, _wide(lit.scores))
    moved_px = moved_px.astype(np.float32)
    return _Proof(left, lowest, moved_px, _near(surely), lit.seen.bands, lively)


def _near(columns: Lines) -> Lines:
    """The columns and two on both sides."""
    return _wide(columns.astype(np.float32)) > 0


def _wide(scores: Scores) -> Scores:
    return np.asarray(cv2.dilate(scores, np.ones((1, 5), np.uint8)))


def _trembling(past: _Proof, lit: _Lit, lines: list[_Line]) -> list[trembling.Line]:
    """The lines as they trembled so far, in this shot; those that are not there are forgotten."""
    unknown = [trembling.Line(line.sign, line.middle) for line in lines]
    if lit.starts_shot or past.bands is None:
        return unknown
    now, before, core = lit.seen.bands, past.bands, _width(lit.seen) // 2
    shaken = trembling.shake(now, before, [line.middle for line in lines], core)
    return [
        trembling.goes_on(_known(new, past.lively), now, before, _place(lit, line, core), shaken)
        for new, line in zip(unknown, lines, strict=True)
    ]


def _known(line: trembling.Line, past: Sequence[trembling.Line]) -> trembling.Line:
    """What is known of the line, if it was there."""
    same = [p for p in past if p.sign == line.sign and abs(p.middle - line.middle) <= 2]
    best = max(same, key=lambda p: p.turns, default=line)
    return replace(best, middle=line.middle)


def _drawn(told: _Told, proved: Lines) -> Mask:
    """The pixels of the proved lines, at the size of the film."""
    lit = told.lit
    lines = np.zeros(lit.sharp.shape[1:], np.uint8)
    for line in _lines(lit, told.evidence, proved):
        lines |= _traced(lit, line)
    if not lines.any():
        return np.zeros(lit.seen.size, bool)
    rim = np.ones((1, odd(max(3.0, lit.sharp.shape[2] * 3 / 640))), np.uint8)
    wide = np.asarray(cv2.dilate(lines, rim)) > 0
    return enlarged(wide, lit.seen.size)


def _traced(lit: _Lit, line: _Line) -> UInt8[np.ndarray, "bands columns"]:
    """Where the frame itself shows the line."""
    room = np.zeros(lit.sharp.shape[1:], np.uint8)
    first, last = int(line.columns[0]) - 1, int(line.columns[-1]) + 2
    for row, by in zip(room, line.shifts, strict=True):
        row[max(0, first + by) : max(0, last + by)] = 1
    shown = room * (lit.sharp[line.sign] > TRACED).astype(np.uint8)
    there = shown.any(1).astype(np.uint8)[:, None]
    filled = np.asarray(cv2.morphologyEx(there, cv2.MORPH_CLOSE, np.ones((5, 1), np.uint8)))
    middles = np.asarray(cv2.dilate(shown, np.ones((5, 1), np.uint8)))
    return np.where(there > 0, shown, middles * filled).astype(np.uint8)
