"""A line that trembles while the picture about it stands is none of the picture's own.

A scratched film wanders in the gate and lets through more or less light, so a scratch moves by
fractions of a pixel and changes its strength from frame to frame, to and fro, and does so as one
along its whole length. A pole that sways has its foot in the picture; a camera that shakes moves
all the rest as well; what glides or fades keeps its direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int

Bands = Float32[np.ndarray, "bands columns"]
Patch = Float32[np.ndarray, "shown core"]
Around = Float32[np.ndarray, "shown around"]
LEAST_MOVE, MOST_MOVE = 0.03, 0.75
"""Less than the first share of the half width of a line is no tremble; a line that goes farther
than the second at once is no longer told."""
LEAST_FADE = 0.04
"""Less than such a share of its strength is no tremble."""
RIGID = 0.5
"""The third of the line that changed least did so by such a share of what changed most."""
QUIET = 0.2
"""Around it the picture changes by less than this share, in squares."""
SHAKE = 0.3
"""The camera shakes by less than this share of a line's move."""
TEXTURE_LEVELS = 0.7
"""Fewer levels from column to column, and nobody can tell whether the camera shakes."""
TURNS, FADED = 3.0, 0.9
"""A line trembles that turned so often; each frame, turns count by this less. All of these were
tuned on training shots."""
NUM_PARTS, NUM_TOLD = 3, 10
"""Thirds of a line; upright parts of the picture."""


@dataclass(frozen=True)
class Tremble:
    """How a line trembled so far.

    fades, moves: the last change of its strength and place that was large enough, or 0. turns:
    how often they went the other way, lately.
    """

    fades: float = 0.0
    moves: float = 0.0
    turns: float = 0.0

    @property
    def is_proved(self) -> bool:
        return self.turns >= TURNS


@dataclass(frozen=True, eq=False)
class Place:
    """Where a line is: its column in each band that shows it, within `core` columns of there."""

    rows: Int[np.ndarray, " shown"]
    columns: Int[np.ndarray, " shown"]
    core: int


def shake(now: Bands, before: Bands, lines: Sequence[int], core: int) -> float:
    """By how many columns the picture moved beside the lines; infinite where it shows nothing.

    The median of what its upright parts tell, so that what moves in one of them is no shake.
    """
    slope, change = _slope((now + before) / 2), now - before
    beside = np.ones(now.shape[1], bool)
    for middle in lines:
        beside[max(0, middle - 2 * core) : middle + 2 * core + 1] = False
    moves = []
    for part in np.array_split(np.flatnonzero(beside), NUM_TOLD):
        power = float(np.square(slope[:, part]).sum())
        if power > TEXTURE_LEVELS**2 * slope[:, part].size:
            moves.append(-float((change[:, part] * slope[:, part]).sum()) / power)
    return float(np.median(moves)) if moves else float("inf")


def _slope(bands: Bands) -> Bands:
    """Levels a column, to the right."""
    padded = np.pad(bands, ((0, 0), (1, 1)), "edge")
    return (padded[:, 2:] - padded[:, :-2]) / 2


def goes_on(past: Tremble, now: Bands, before: Bands, place: Place, shaken: float) -> Tremble:
    """The tremble after another frame; brightness in levels, `shaken` by so many columns."""
    if len(place.rows) < NUM_PARTS:
        return replace(past, turns=FADED * past.turns)
    (shape, _), (changes, around) = (
        _upright(bands, place) for bands in ((now + before) / 2, now - before)
    )
    fade, move = _changed(shape, changes)
    noisy = np.square(around).mean() > QUIET * np.square(changes).mean()
    if noisy or abs(move) > MOST_MOVE * place.core:
        return replace(past, turns=FADED * past.turns)
    if abs(shaken) > LEAST_MOVE * place.core:
        fade = 0.0
    if abs(shaken) > SHAKE * abs(move) or abs(move) < LEAST_MOVE * place.core:
        move = 0.0
    return _turned(past, fade if abs(fade) > LEAST_FADE else 0.0, move)


def _turned(past: Tremble, fade: float, move: float) -> Tremble:
    """What turned counts; what did not change, 0, is as it was."""
    turned = fade * past.fades < 0 or move * past.moves < 0
    return Tremble(fade or past.fades, move or past.moves, FADED * past.turns + turned)


def _upright(bands: Bands, place: Place) -> tuple[Patch, Around]:
    """The line in each band that shows it, less what is on both sides; and what is there."""
    core, reach = place.core, 3 * place.core
    offsets = np.arange(-reach, reach + 1)
    columns = np.clip(place.columns[:, None] + offsets, 0, bands.shape[1] - 1)
    patch = bands[place.rows[:, None], columns]
    near = (np.abs(offsets) > core) & (np.abs(offsets) <= 2 * core)
    left = patch[:, near & (offsets < 0)].mean(1, keepdims=True)
    right = patch[:, near & (offsets > 0)].mean(1, keepdims=True)
    inside = np.abs(offsets) <= core
    slope = (right - left) / (3 * core + 1)
    straight = (left + right) / 2 + slope * offsets[inside].astype(np.float32)
    return patch[:, inside] - straight, patch[:, ~inside]


def _changed(shape: Patch, changes: Patch) -> tuple[float, float]:
    """The share by which all of the line grew, and by how many columns it moved; 0 if not as one.

    They are told from its mass and first moment: fits of its profile fail on lines that are
    narrower than a pixel.
    """
    parts = [np.array_split(x, NUM_PARTS) for x in (shape, changes)]
    each = np.array([_fit(*part) for part in zip(*parts, strict=True)])
    as_one = np.abs(each).min(0) > RIGID * np.abs(each).max(0)
    as_one &= np.abs(np.sign(each).sum(0)) == NUM_PARTS
    fade, move = np.where(as_one, _fit(shape, changes), 0)
    return float(fade), float(move)


def _fit(shape: Patch, changes: Patch) -> tuple[float, float]:
    """The growth, and the move in columns, of which the bands together tell."""
    offsets = np.arange(shape.shape[1]) - shape.shape[1] // 2
    mass, grown = shape.sum(1), changes.sum(1)
    power = float(mass @ mass) + 1
    fade = float(mass @ grown) / power
    moved = (changes - fade * shape) @ offsets
    return fade, float(mass @ moved) / power
