"""Flicker is the part of a film's light that changes fast: it is measured along motion, and undone.

From frame to frame, how much brighter each colour became is told by motion-compensated pictures,
as a curve over brightness (a gain, a gamma or a shutter's leak) and a coarse field over the
picture (a lamp, uneven exposure). Summed up over time these are paths; what is fast in them, as
against a line fitted to the frames around, is taken away. Fades are lines and stay. Cuts and lamps
that go on and stay on end a path. (Compare van Roosmalen 1999, Delon and Desolneux 2010.)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import tee

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from kineograph.models import cuts
from kineograph.models.aligned import moved
from kineograph.models.cuts import (
    FAST,
    WIDTH_PX,
    around,
    changes,
    cuts_of,
    grey_of,
    shrunk,
)
from kineograph.models.motion import dense_inverse_search

AROUND = 12
AHEAD = AROUND + cuts.AHEAD
"""How many frames beyond the one in question are looked at."""
SIGMA_FRAMES = 5.0
"""The line is fitted to the frames around, by a Gaussian of this width."""
KNOTS = (0, 5, 20, 45, 80, 125, 180, 243, 255)
"""Levels at which a curve is told: denser where it is dark; white by itself, for it is clipped."""
GRID = (6, 10)
BLACK_LEVELS = 4.0
"""Light is told by the logarithm of levels above minus this."""
SPREADS = (0.3, 0.1, 0.06)
"""Logarithms farther from what the light explains are motion: roughly, then closely."""
EVEN_SHARE = 0.005
"""How much a curve is pulled to be one gain."""
SURENESS, HALF_SURE = 6, 0.35
"""Where less than the second is to be trusted, a field counts for less than half."""
LEAST_CURVE, LEAST_FIELD = 0.006, 0.012
"""What is faster and smaller than this (root mean square, as logarithms) may be noise."""
SLOW, FAST_ENOUGH = 0.5, 1.0
"""Waves of 9 frames and more are slow; of 6 and less fast enough."""
LEAST_SEEN = 0.0005
STEP, STEP_TIMES, STEP_STAYS = 0.1, 5.0, 0.7
"""A lamp changes the light by the first, by so many usual steps, and most of it stays."""
Picture = UInt8[np.ndarray, "h w 3"]
Plane = Float32[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Light:
    """How much brighter a frame is than another, as logarithms of gains.

    curve: by brightness, at each of `KNOTS`. field: by place.
    """

    curve: Float32[np.ndarray, "knots 3"]
    field: Float32[np.ndarray, "rows columns 3"]


@dataclass(frozen=True, eq=False)
class _Step:
    """The light of a frame against the one before, and whether a shot starts here."""

    light: Light
    starts_shot: bool


def deflickered(
    frames: Iterable[Float[Tensor, "3 h w"]], strength: float = 1.0
) -> Iterator[Float[Tensor, "3 h w"]]:
    """The film, RGB in [-1, 1], with this share of its flicker taken away; looks `AHEAD`.

    0 gives the frames bit for bit. ValueError for a strength outside [0, 1].
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}; give a share of the flicker, from 0 to 1")
    return _deflickered(frames, strength) if strength else iter(frames)


def _deflickered(
    frames: Iterable[Float[Tensor, "3 h w"]], strength: float
) -> Iterator[Float[Tensor, "3 h w"]]:
    plain, measured = tee(frames)
    for frame, light in zip(plain, corrections(measured), strict=True):
        yield relit(frame, Light(strength * light.curve, strength * light.field))


def corrections(frames: Iterable[Float[Tensor, "3 h w"]]) -> Iterator[Light]:
    """What each frame's light must be changed by; looks `AHEAD`."""
    for window, now in around(_steps(frames), AROUND, AROUND):
        first, last = _stretch(window, now)
        yield _correction([step.light for step in window[first:last]], now - first)


def _steps(frames: Iterable[Float[Tensor, "3 h w"]]) -> Iterator[_Step]:
    pictures, for_cuts = tee(shrunk(frame, WIDTH_PX) for frame in frames)
    before = None
    for picture, starts in zip(pictures, cuts_of(changes(for_cuts)), strict=True):
        same = before is None or starts
        yield _Step(_no_light() if same or before is None else change(picture, before), starts)
        before = picture


def _no_light() -> Light:
    return Light(np.zeros((len(KNOTS), 3), np.float32), np.zeros((*GRID, 3), np.float32))


def change(now: Picture, before: Picture) -> Light:
    """How much brighter `now` is than `before`, moved here.

    Told roughly, then closer: what is far from the answer so far is motion, and counts for little.
    """
    here, there = _log(now), _log(_compensated(now, before))
    level = np.clip(np.rint(np.exp((here + there) / 2) - BLACK_LEVELS), 0, 255).astype(np.uint8)
    even = np.asarray(np.median(here - there, (0, 1)))
    curve, field = np.tile(even, (len(KNOTS), 1)), _no_light().field
    trust = np.ones_like(here)
    for spread in SPREADS:
        rest = here - there - _told(Light(curve, field), level)
        trust = np.asarray(np.reciprocal(1 + np.square(rest / spread)))
        more = _fitted(rest, level, trust)
        curve, field = curve + more.curve, field + more.field
    return Light(curve, field * _sure(trust))


def _fitted(rise: np.ndarray, level: Picture, trust: np.ndarray) -> Light:
    """The curve that explains most, and the field that explains most of the rest."""
    curve = np.stack([_curve(rise[..., c], level[..., c], trust[..., c]) for c in range(3)], 1)
    return Light(curve, _field(rise - _along_all(curve, level), trust))


def _told(light: Light, level: Picture) -> np.ndarray:
    """What the light says at each pixel."""
    field = cv2.resize(light.field, level.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return _along_all(light.curve, level) + field


def _compensated(now: Picture, before: Picture) -> Picture:
    """The picture before, moved here; motion is sought in equal light."""
    grey, grey_before = grey_of(now), grey_of(before)
    gain = float((grey.mean() + BLACK_LEVELS) / (grey_before.mean() + BLACK_LEVELS))
    even = cv2.convertScaleAbs(grey_before, alpha=gain)
    return moved(before, dense_inverse_search(grey, np.asarray(even), FAST))


def _log(picture: Picture) -> Float32[np.ndarray, "h w 3"]:
    return np.log(picture.astype(np.float32) + BLACK_LEVELS)


def _hats() -> Float32[np.ndarray, "levels knots"]:
    """How much each knot has to say at each of 256 levels."""
    hats = [np.interp(np.arange(256), KNOTS, knot) for knot in np.eye(len(KNOTS))]
    return np.stack(hats, 1).astype(np.float32)


def _curve(
    rise: np.ndarray, level: UInt8[np.ndarray, "h w"], trust: np.ndarray
) -> Float32[np.ndarray, " knots"]:
    """The least squares curve of one channel's rise over its brightness, pulled to be even."""
    bins = level.ravel()
    counts = np.bincount(bins, trust.ravel(), 256)
    sums = np.bincount(bins, (trust * rise).ravel(), 256)
    hats, total = _hats(), counts.sum() + 1e-6
    pull = EVEN_SHARE * total * np.eye(len(KNOTS))
    even = sums.sum() / total
    found = np.linalg.solve((hats.T * counts) @ hats + pull, hats.T @ sums + pull.sum(1) * even)
    return found.astype(np.float32)


def _along(curve: Float32[np.ndarray, " knots"], plane: UInt8[np.ndarray, "h w"]) -> Plane:
    """What the curve of a channel says at each pixel."""
    return np.asarray(cv2.LUT(plane, (_hats() @ curve).astype(np.float32)))


def _along_all(curve: Float32[np.ndarray, "knots 3"], picture: Picture) -> np.ndarray:
    """What the curves say at each pixel."""
    return np.stack([_along(curve[:, c], picture[..., c]) for c in range(3)], -1)


def _field(rest: np.ndarray, trust: np.ndarray) -> Float32[np.ndarray, "rows columns 3"]:
    """The mean rise that is left, by place."""
    return _coarse(rest * trust) / (_coarse(trust) + 0.01)


def _sure(trust: np.ndarray) -> Float32[np.ndarray, "rows columns 3"]:
    """Near 1 where the light explains what is seen, near 0 where things move unexplained."""
    mean = _coarse(trust) ** SURENESS
    return mean / (mean + HALF_SURE**SURENESS)


def _coarse(picture: np.ndarray) -> Float32[np.ndarray, "rows columns 3"]:
    """Smooth means by place."""
    small = cv2.resize(picture.astype(np.float32), GRID[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(small, (3, 3), borderType=cv2.BORDER_REPLICATE))


def _stretch(window: list[_Step], now: int) -> tuple[int, int]:
    """The frames around in the same shot and under the same lamps."""
    ends = [k for k, step in enumerate(window) if step.starts_shot or _lasts(window, k)]
    first = max((k for k in ends if k <= now), default=0)
    return first, min((k for k in ends if k > now), default=len(window))


def _lasts(window: list[_Step], at: int) -> bool:
    """Whether the light changes here far more than usual, and stays so."""
    steps = np.array([step.light.curve.mean() for step in window])
    usual = float(np.median(np.abs(steps)))
    if abs(steps[at]) < max(STEP, STEP_TIMES * usual) or not 3 <= at <= len(window) - 3:
        return False
    path = np.cumsum(steps)
    stays = path[at : at + 3].mean() - path[at - 3 : at].mean()
    return bool(stays * np.sign(steps[at]) > STEP_STAYS * abs(steps[at]))


def _correction(lights: list[Light], now: int) -> Light:
    """From one frame's light to the line through those around; less where that may be noise."""
    return Light(
        _to_line(np.stack([light.curve for light in lights]), now, LEAST_CURVE),
        _to_line(np.stack([light.field for light in lights]), now, LEAST_FIELD),
    )


def _to_line(
    steps: Float32[np.ndarray, "t *n"], now: int, least: float
) -> Float32[np.ndarray, "*n"]:
    """How far above each path's value now its line is."""
    if len(steps) < 4:
        return np.zeros(steps.shape[1:], np.float32)
    path = np.cumsum(np.concatenate([np.zeros_like(steps[:1]), steps[1:]]), 0)
    time = np.arange(len(path)) - now
    weight = np.exp(-0.5 * np.square(time / SIGMA_FRAMES))
    basis = np.stack([np.ones(len(path)), time], 1)
    solve = np.linalg.solve((basis.T * weight) @ basis, basis.T * weight)
    line = np.tensordot(solve, path, 1)
    left = path - np.tensordot(basis, line, 1)
    power = np.tensordot(weight / weight.sum(), np.square(left), 1)
    sure = power / (power + least**2) * _fast(steps[1:], weight[1:])
    return ((line[0] - path[now]) * sure).astype(np.float32)


def _fast(
    steps: Float32[np.ndarray, "t *n"], weight: Float[np.ndarray, " t"]
) -> Float[np.ndarray, "*n"]:
    """1 where steps turn back as flicker's do (noise: 3, waves of 4 frames: 2), 0 if they go on.

    The squared change of steps over the squared steps; what moves past a lamp keeps on stepping.
    """
    turned = np.tensordot(weight[1:], np.square(np.diff(steps, axis=0)), 1)
    whole = np.tensordot(weight, np.square(steps), 1)
    return np.clip((turned / (whole + 1e-12) - SLOW) / (FAST_ENOUGH - SLOW), 0, 1)


def relit(frame: Float[Tensor, "3 h w"], light: Light) -> Float[Tensor, "3 h w"]:
    """The frame in another light. White stays white: what would clip is bent below it.

    What is less than an eighth of a level is nothing, and gives the frame itself.
    """
    if np.abs(light.curve).max() + np.abs(light.field).max() < LEAST_SEEN:
        return frame
    planes = (frame.detach().float().cpu().numpy() + 1) / 2
    out = [_relit(np.clip(p, 0, 1), light, c) for c, p in enumerate(planes)]
    return torch.from_numpy(np.stack(out) * 2 - 1).to(frame)


def _relit(plane: Plane, light: Light, channel: int) -> Plane:
    black = np.float32(BLACK_LEVELS / 255)
    held = cv2.convertScaleAbs(plane, alpha=255)
    size = (plane.shape[1], plane.shape[0])
    field = np.ascontiguousarray(light.field[..., channel])
    gain = np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_LINEAR))
    gain += _along(light.curve[:, channel], np.asarray(held))
    lit = (plane + black) * cv2.exp(gain) - black
    return np.clip(_bent(plane, lit), 0, 1)


def _bent(plane: Plane, lit: Plane) -> Plane:
    """Where much of the room up to white would be filled, less of it is, and never all."""
    near = lit - plane > 0.3 * (1 - plane)
    room = 1 - plane[near]
    filled = (lit[near] - plane[near]) / np.maximum(room, 1e-6)
    lit[near] = plane[near] + room * filled / np.sqrt(np.sqrt(1 + filled**4))
    return lit
