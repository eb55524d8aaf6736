"""Lines are thin, nearly upright, and stand out of the brightness on both sides.

Rows are pooled into bands; a line shows in most of many neighbouring ones (Kokaram 1998).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

from kineograph.damage.seen import NUM_BANDS, Mask, Seen, enlarged, odd
from kineograph.models.cuts import around

SPAN = 3
"""Evidence is gathered over so many frames on both sides."""
THIN = 0.008
"""Lines are thinner than this share of the height."""
ROUGH_PX, ROUGHNESS, NOISE_LEVELS = 41, 1.5, 2.0
"""A line is told from the texture for so many pixels around, and from noise."""
LEANS = tuple(0.005 * k for k in range(-3, 4))
NUM_LONG = 13
"""So many neighbouring bands, of 24, must show the line."""
THERE = 0.88
"""Scores above this are a line. Tuned on training shots."""
TRACED = 0.4
"""Evidence above this is the line itself."""
Evidence = Float32[np.ndarray, "2 bands columns"]
Scores = Float32[np.ndarray, "2 columns"]
Columns = Bool[np.ndarray, "2 columns"]


@dataclass(frozen=True, eq=False)
class Lit:
    """One frame: its evidence for bright and for dark lines, the same with neighbouring columns
    allowed, and the scores of that."""

    seen: Seen
    starts_shot: bool
    sharp: Evidence
    wide: Evidence
    scores: Scores


@dataclass(frozen=True, eq=False)
class Line:
    """A line whose middle, at half the height, is within these columns; where it is in each band.

    sign: 0 if bright, 1 if dark.
    """

    sign: int
    columns: Int[np.ndarray, " n"]
    shifts: Int[np.ndarray, " bands"]

    @property
    def middle(self) -> int:
        return int(self.columns[0] + self.columns[-1]) // 2


@dataclass(frozen=True, eq=False)
class Lines:
    """Those that one frame seems to have, and the evidence of the frames around it, scored."""

    lit: Lit
    evidence: Evidence
    scores: Scores
    there: Columns
    each: list[Line]


def lines(frames: Iterable[tuple[Seen, bool]]) -> Iterator[Lines]:
    """The lines of each frame, told from it and whether it begins a shot; looks `SPAN` ahead."""
    for window, now in around(map(_lit, frames), SPAN, SPAN):
        until, onwards = window[: now + 1], window[now:]
        evidence = np.maximum(*(np.mean([w.wide for w in part], 0) for part in (until, onwards)))
        scores = _score(_leaning(evidence, height_of(window[now].seen)))
        there = scores > THERE
        yield Lines(window[now], evidence, scores, there, lines_of(window[now], evidence, there))


def lines_of(lit: Lit, evidence: Evidence, columns: Columns) -> list[Line]:
    """Neighbouring columns are one line, of the lean that shows most of it."""
    height, found = height_of(lit.seen), list[Line]()
    if not columns.any():
        return found
    leaning = _leaning(evidence + 0.5 * lit.sharp, height)
    for sign in range(2):
        places = np.flatnonzero(columns[sign])
        for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
            if len(run):
                lean = LEANS[int(leaning[:, sign][..., run].mean((1, 2)).argmax())]
                found.append(Line(sign, run, np.asarray(_shifts(lean, height))))
    return found


def width_of(seen: Seen) -> int:
    """So many columns of the bands hold any line; odd."""
    return 2 * int(np.ceil(THIN * height_of(seen))) + 1


def height_of(seen: Seen) -> float:
    """The picture's height in columns of the bands."""
    return seen.size[0] * seen.bands.shape[1] / seen.size[1]


def near(columns: Columns) -> Columns:
    """The columns and two on both sides."""
    return widened(columns.astype(np.float32)) > 0


def widened(scores: Scores) -> Scores:
    """The highest of each column and two on both sides."""
    return np.asarray(cv2.dilate(scores, np.ones((1, 5), np.uint8)))


def drawn(lit: Lit, found: Iterable[Line]) -> Mask:
    """The pixels of lines, at the size of the film."""
    shown = np.zeros(lit.sharp.shape[1:], np.uint8)
    for line in found:
        shown |= _traced(lit, line)
    if not shown.any():
        return np.zeros(lit.seen.size, bool)
    rim = np.ones((1, odd(max(3.0, lit.sharp.shape[2] * 3 / 640))), np.uint8)
    wide = np.asarray(cv2.dilate(shown, rim)) > 0
    return enlarged(wide, lit.seen.size)


def _lit(frame: tuple[Seen, bool]) -> Lit:
    seen, starts_shot = frame
    sharp = _evidence(seen)
    wide = np.maximum(sharp, np.maximum(_shifted(sharp, 1), _shifted(sharp, -1)))
    return Lit(seen, starts_shot, sharp, wide, _score(_leaning(wide, height_of(seen))))


def _evidence(seen: Seen) -> Evidence:
    """How much each column of each band is a bright or a dark line, 0 to 1.

    None is at the picture's very sides, beyond which nobody sees.
    """
    width = width_of(seen)
    rough = odd(ROUGH_PX * max(1.0, seen.bands.shape[1] / 320))
    found = []
    for bands in (seen.bands, -seen.bands):
        opened = cv2.morphologyEx(bands, cv2.MORPH_OPEN, np.ones((1, width), np.uint8))
        over = bands - opened
        usual = cv2.blur(over, (rough, 1)) * ROUGHNESS + NOISE_LEVELS
        found.append(np.minimum(over / usual, 3) / 3)
    evidence = np.stack(found).astype(np.float32)
    evidence[..., : width // 2 + 1] = 0
    evidence[..., -(width // 2 + 1) :] = 0
    return evidence


def _shifted(rows: np.ndarray, by: int) -> np.ndarray:
    """out[x] = rows[x + by], nothing from beyond the edge."""
    out = np.zeros_like(rows)
    width = rows.shape[-1]
    if abs(by) < width:
        out[..., max(0, -by) : width - max(0, by)] = rows[..., max(0, by) : width + min(0, by)]
    return out


def _shifts(lean: float, height: float) -> list[int]:
    """By how many columns a leaning line is away from its middle in each band."""
    rows = ((np.arange(NUM_BANDS) + 0.5) / NUM_BANDS - 0.5) * height
    return [round(lean * row) for row in rows]


def _leaning(evidence: Evidence, height: float) -> Float32[np.ndarray, "leans 2 bands columns"]:
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


def _traced(lit: Lit, line: Line) -> UInt8[np.ndarray, "bands columns"]:
    """Where the frame itself shows the line."""
    room = np.zeros(lit.sharp.shape[1:], np.uint8)
    first, last = int(line.columns[0]) - 1, int(line.columns[-1]) + 2
    for row, by in zip(room, line.shifts.tolist(), strict=True):
        row[max(0, first + by) : max(0, last + by)] = 1
    shown = room * (lit.sharp[line.sign] > TRACED).astype(np.uint8)
    there = shown.any(1).astype(np.uint8)[:, None]
    filled = np.asarray(cv2.morphologyEx(there, cv2.MORPH_CLOSE, np.ones((5, 1), np.uint8)))
    middles = np.asarray(cv2.dilate(shown, np.ones((5, 1), np.uint8)))
    return np.where(there > 0, shown, middles * filled).astype(np.uint8)
