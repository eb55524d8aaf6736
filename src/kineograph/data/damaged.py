"""Films are spoilt here on purpose, and what was spoilt is told; each is a function of its seed.

Sizes are shares of the picture's height, so that a film of any size looks as worn.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

Frames = UInt8[np.ndarray, "t h w c"]
Plane = Float32[np.ndarray, "h w"]

BLOCK_PX = 16
"""The macroblock of MPEG-2 and H.264."""
SEEN_LEVELS = 6
"""A pixel counts as spoilt when it has changed by so many levels of 255."""
CODEC_GREEN = (0, 135, 0)
"""Zeros in all three planes of a decoder's picture, as RGB."""


@dataclass(frozen=True, eq=False)
class Damaged:
    """hole: what is spoilt. missing: how many frames are gone just before each."""

    frames: Frames
    hole: Bool[np.ndarray, "t h w"]
    missing: Int[np.ndarray, " t"]


def scratched(frames: Frames, rng: np.random.Generator, num_scratches: int = 2) -> Damaged:
    """Thin bright or dark lines that stay at about one place for a while, wandering a little."""
    spoilt = frames.copy()
    for _ in range(num_scratches):
        _scratch(spoilt, rng)
    return _compared(frames, spoilt)


def _scratch(spoilt: Frames, rng: np.random.Generator) -> None:
    num_frames, height, width, _ = spoilt.shape
    length = int(rng.integers(min(num_frames, 10), num_frames + 1))
    first = int(rng.integers(0, num_frames - length + 1))
    x, lean = rng.uniform(0.03, 0.97) * width, rng.normal() * 0.006
    half_px = max(0.45, rng.uniform(0.0015, 0.004) * height)
    level = 235.0 if rng.random() < 0.6 else 20.0
    opacity = rng.uniform(0.35, 0.9)
    share = rng.uniform(0.6, 1.0)
    top = rng.uniform(0, 1 - share) * height
    wander = 0.0
    for t in range(first, first + length):
        wander = 0.9 * wander + rng.normal() * 0.0012 * height
        cover = _line(spoilt.shape[1:3], x + wander, lean, half_px, top, top + share * height)
        spoilt[t] = _laid(spoilt[t], cover * opacity * rng.uniform(0.8, 1), level)


def _line(
    size: tuple[int, ...], x: float, lean: float, half_px: float, top: float, bottom: float
) -> Plane:
    """How much a leaning line of Gaussian profile covers each pixel."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    across = (columns - x - lean * (rows - size[0] / 2)) / half_px
    ends = np.clip((rows - top) / 4, 0, 1) * np.clip((bottom - rows) / 4, 0, 1)
    return (np.exp(-0.5 * across**2) * ends).astype(np.float32)


def with_dust(frames: Frames, rng: np.random.Generator, per_frame: float = 4.0) -> Damaged:
    """Specks and hairs, each in one frame alone."""
    spoilt = frames.copy()
    for t in range(len(frames)):
        for _ in range(int(rng.poisson(per_frame))):
            cover = _speck(frames.shape[1:3], rng)
            spoilt[t] = _laid(spoilt[t], cover, 240.0 if rng.random() < 0.5 else 15.0)
    return _compared(frames, spoilt)


def _speck(size: tuple[int, ...], rng: np.random.Generator) -> Plane:
    """How much a speck or a hair covers each pixel."""
    height, width = size
    middle = rng.uniform([0, 0], [width, height])
    radius = max(0.9, height * float(np.exp(rng.uniform(np.log(0.004), np.log(0.025)))))
    cover = np.zeros((height, width), np.float32)
    if rng.random() < 0.15:
        steps = np.cumsum(rng.normal(size=(8, 2)) + rng.normal(size=2), 0) * radius
        outline = np.rint((middle + steps) * 16).astype(np.int32)
        cv2.polylines(cover, [outline], False, 1.0, max(1, round(height / 240)), cv2.LINE_AA, 4)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        away = radius * rng.uniform(0.5, 1.2, (9, 1))
        outline = middle + away * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(cover, [np.rint(outline * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    soft = cv2.GaussianBlur(cover, (0, 0), max(0.4, height / 600))
    return np.asarray(soft, np.float32) * np.float32(rng.uniform(0.6, 1))


def with_dropped(frames: Frames, rng: np.random.Generator, share: float = 0.04) -> Damaged:
    """Frames that are gone, one or two at a time; the film is shorter by them."""
    gone = np.zeros(len(frames), bool)
    for start, length in _runs(len(frames), share, 2, rng):
        gone[start : start + length] = True
    kept = np.flatnonzero(~gone)
    return _whole(frames[kept].copy(), np.zeros(len(kept), bool), np.diff(kept, prepend=-1) - 1)


def with_frozen(
    frames: Frames, rng: np.random.Generator, share: float = 0.04, num_longest: int = 5
) -> Damaged:
    """Frames that repeat the one before while time goes on; some as a codec repeats them."""
    spoilt, bad = frames.copy(), np.zeros(len(frames), bool)
    for start, length in _runs(len(frames), share, num_longest, rng):
        bad[start : start + length] = True
        for t in range(start, start + length):
            spoilt[t] = spoilt[start - 1]
            if rng.random() < 0.5:
                noise = rng.integers(-1, 2, frames.shape[1:])
                spoilt[t] = np.clip(spoilt[t] + noise, 0, 255).astype(np.uint8)
    return _whole(spoilt, bad, np.zeros(len(frames), int))


def _runs(
    num_frames: int, share: float, num_longest: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Starts and lengths of runs well apart from each other and from both ends."""
    apart = num_longest + 6
    found, start = [], int(rng.integers(4, 4 + apart))
    while start + num_longest + 4 < num_frames:
        length = int(rng.integers(1, num_longest + 1))
        found.append((start, length))
        start += length + apart + int(rng.exponential(max(1.0, length / share - apart)))
    return found


def with_glitches(frames: Frames, rng: np.random.Generator, share: float = 0.05) -> Damaged:
    """What a broken stream shows: displaced, grey or green blocks, torn bands, whole frames."""
    spoilt = frames.copy()
    for start, _ in _runs(len(frames), share, 1, rng):
        _break(spoilt, frames, start, rng)
    return _compared(frames, spoilt)


def _break(spoilt: Frames, frames: Frames, t: int, rng: np.random.Generator) -> None:
    kind = rng.choice(["blocks", "slice", "tear", "whole"], p=[0.45, 0.25, 0.15, 0.15])
    height, width = frames.shape[1:3]
    if kind == "blocks":
        for _ in range(int(rng.integers(2, 12))):
            tall, wide = rng.integers(1, 4, 2) * BLOCK_PX
            _fill(spoilt[t], _corner(height, width, rng), (int(tall), int(wide)), rng)
    elif kind == "slice":
        top = int(rng.integers(0, max(1, height // BLOCK_PX - 2))) * BLOCK_PX
        tall = int(rng.integers(1, 5)) * BLOCK_PX
        _fill(spoilt[t], (top, 0), (tall, width), rng)
    elif kind == "tear":
        top = int(rng.integers(0, height * 2 // 3))
        shift = int(rng.uniform(0.06, 0.4) * width)
        tall = int(rng.uniform(0.1, 0.33) * height)
        spoilt[t, top : top + tall] = np.roll(frames[t, top : top + tall], shift, 1)
    else:
        _fill(spoilt[t], (0, 0), (height, width), rng)


def _corner(height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
    """The top left of a macroblock."""
    y, x = rng.integers(0, [max(1, height // BLOCK_PX), max(1, width // BLOCK_PX)])
    return int(y) * BLOCK_PX, int(x) * BLOCK_PX


def _fill(
    picture: UInt8[np.ndarray, "h w c"],
    corner: tuple[int, int],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> None:
    """Writes garbage over a rectangle."""
    hole = picture[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]
    kind = rng.choice(["grey", "green", "noise", "moved"])
    if kind == "grey":
        hole[:] = 128
    elif kind == "green":
        hole[:] = CODEC_GREEN
    elif kind == "noise":
        coarse = rng.integers(0, 256, (-(-size[0] // 4), -(-size[1] // 4), 3), dtype=np.uint8)
        hole[:] = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_NEAREST)[
            : hole.shape[0], : hole.shape[1]
        ]
    else:
        shift = rng.integers(2, 9, 2) * BLOCK_PX
        moved = np.roll(picture, (int(shift[0]), int(shift[1])), (0, 1))
        hole[:] = moved[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]


def _laid(
    picture: UInt8[np.ndarray, "h w c"], cover: Plane, level: float
) -> UInt8[np.ndarray, "h w c"]:
    """One level laid over the picture."""
    mixed = picture + cover[..., None] * (level - picture.astype(np.float32))
    return np.rint(mixed).astype(np.uint8)


def _compared(frames: Frames, spoilt: Frames) -> Damaged:
    """What was spoilt is what differs to the eye."""
    change = np.abs(spoilt.astype(np.int16) - frames).max(-1)
    return Damaged(spoilt, change >= SEEN_LEVELS, np.zeros(len(frames), int))


def _whole(frames: Frames, bad: Bool[np.ndarray, " t"], missing: Int[np.ndarray, " t"]) -> Damaged:
    """Damage that takes whole frames."""
    hole = np.broadcast_to(bad[:, None, None], frames.shape[:3]).copy()
    return Damaged(frames, hole, missing)
