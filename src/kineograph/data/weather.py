"""Simulated smoke, fire, rain and snow, as layers over a clip."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32

from kineograph.data.augment import Frames
from kineograph.data.motion import NO_MAP

Plane = Float32[np.ndarray, "n n"]


@dataclass(frozen=True)
class Fluid:
    """How a simulated gas behaves; lengths in cells, times in frames."""

    buoyancy: float = 0.08
    wind: float = 0.0
    swirl: float = 0.25
    fading: float = 0.985
    sources: int = 2


def fluid(
    num_frames: int, cells: int, options: Fluid, rng: np.random.Generator, warm_up: int = 24
) -> Iterator[Plane]:
    """Density in 0..1 of a hot gas, frame after frame: stable fluids (Stam, 1999).

    The pressure step is exact in the Fourier domain, so the box wraps around at its sides.
    """
    velocity = np.zeros((cells, cells, 2), np.float32)
    density = np.zeros((cells, cells), np.float32)
    spots = rng.uniform([0.2, 0.7], [0.8, 0.95], (options.sources, 2)) * cells
    radii = rng.uniform(0.03, 0.09, options.sources) * cells
    emitted = emission(cells, spots, radii)
    flicker = 1 + 0.4 * rng.standard_normal((warm_up + num_frames, 2), dtype=np.float32)
    for step in range(warm_up + num_frames):
        density = np.minimum(density + 0.35 * emitted * np.maximum(flicker[step, 0], 0), 1)
        velocity[..., 1] -= options.buoyancy * density * 4
        velocity[..., 0] += options.wind + 0.3 * options.swirl * emitted * (flicker[step, 1] - 1)
        velocity = without_divergence(confined(velocity, options.swirl))
        velocity, density = carried(velocity, density)
        density *= options.fading
        if step >= warm_up:
            yield density


def emission(cells: int, spots: np.ndarray, radii: np.ndarray) -> Plane:
    """Round soft sources."""
    y, x = np.mgrid[0:cells, 0:cells].astype(np.float32)
    total = np.zeros((cells, cells), np.float32)
    for (spot_x, spot_y), radius in zip(spots, radii, strict=True):
        total += np.exp(-((x - spot_x) ** 2 + (y - spot_y) ** 2) / (2 * radius**2))
    return np.minimum(total, 1)


def carried(
    velocity: Float32[np.ndarray, "n n 2"], density: Plane
) -> tuple[Float32[np.ndarray, "n n 2"], Plane]:
    """Velocity and density one frame on: each cell takes what flows into it."""
    cells = len(density)
    places = cell_places(cells) - velocity
    state = np.dstack([velocity, density])
    state = cv2.remap(state, places, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return state[..., :2] * np.float32(0.995), state[..., 2]


@lru_cache(maxsize=4)
def cell_places(cells: int) -> Float32[np.ndarray, "n n 2"]:
    y, x = np.mgrid[0:cells, 0:cells].astype(np.float32)
    return np.stack([x, y], axis=-1)


@lru_cache(maxsize=4)
def frequencies(cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ky = np.fft.fftfreq(cells).astype(np.float32)[:, None]
    kx = np.fft.rfftfreq(cells).astype(np.float32)[None]
    kx[:, -1] = ky[cells // 2] = 0  # the highest frequency has no sign, so no derivative
    return kx, ky, np.maximum(kx**2 + ky**2, 1e-9)


def without_divergence(velocity: Float32[np.ndarray, "n n 2"]) -> Float32[np.ndarray, "n n 2"]:
    """The nearest velocity that neither sucks nor blows: k (k . v) / k^2 is taken out."""
    cells = len(velocity)
    kx, ky, square = frequencies(cells)
    u, v = np.fft.rfft2(velocity[..., 0]), np.fft.rfft2(velocity[..., 1])
    pressure = (kx * u + ky * v) / square
    parts = [np.fft.irfft2(u - kx * pressure, (cells, cells))]
    parts.append(np.fft.irfft2(v - ky * pressure, (cells, cells)))
    return np.stack(parts, axis=-1).astype(np.float32)


def confined(velocity: Float32[np.ndarray, "n n 2"], swirl: float) -> Float32[np.ndarray, "n n 2"]:
    """Gives back the small whirls that carrying blurs away (Fedkiw et al., 2001)."""
    curl = cv2.Sobel(velocity[..., 1], -1, 1, 0, scale=0.125)
    curl -= cv2.Sobel(velocity[..., 0], -1, 0, 1, scale=0.125)
    size = np.abs(curl)
    gx, gy = cv2.Sobel(size, -1, 1, 0, scale=0.125), cv2.Sobel(size, -1, 0, 1, scale=0.125)
    # Not cv2.magnitude: its last bit depends on where in memory the arrays lie.
    length = np.sqrt(gx * gx + gy * gy) + np.float32(1e-5)
    push = np.stack([gy / length * curl, -gx / length * curl], axis=-1)
    return velocity + np.float32(swirl) * push


def with_smoke(frames: Frames, rng: np.random.Generator) -> Frames:
    """Smoke of one grey rising over the clip."""
    gas = Fluid(rng.uniform(0.02, 0.12), rng.normal() * 0.01, rng.uniform(0, 0.5))
    colour = np.full(3, rng.uniform(20, 240)) * rng.uniform(0.92, 1.08, 3)
    thickness, size = rng.uniform(0.5, 1), frames.shape[1:3]
    out = np.empty_like(frames)
    layers = fluid(len(frames), 64, gas, rng)
    for target, frame, density in zip(out, frames, layers, strict=True):
        opacity = enlarged(1 - np.exp(-2.5 * thickness * density), size)[..., None]
        target[:] = np.clip(frame * (1 - opacity) + colour * opacity, 0, 255)
    return out


def with_fire(frames: Frames, rng: np.random.Generator) -> Frames:
    """Fire glowing over a darkened clip: hot is white, then yellow, red and out."""
    gas = Fluid(rng.uniform(0.1, 0.3), rng.normal() * 0.01, rng.uniform(0.2, 0.6), 0.88, 3)
    dark, size = rng.uniform(0.3, 0.9), frames.shape[1:3]
    out = np.empty_like(frames)
    for target, frame, heat in zip(out, frames, fluid(len(frames), 64, gas, rng), strict=True):
        hot = enlarged(np.minimum(1.6 * heat, 1), size)[..., None]
        glow = 255 * np.clip(hot * np.array([3.0, 1.8, 1.0]) - np.array([0, 0.45, 0.5]), 0, 1)
        target[:] = np.clip(frame * dark * (1 - 0.7 * hot) + glow, 0, 255)
    return out


def enlarged(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def with_drops(frames: Frames, rng: np.random.Generator, snow: bool) -> Frames:
    """Rain or snow falling in front of the clip; nearer drops are larger and faster."""
    height, width = frames.shape[1:3]
    count = int(rng.integers(20, 250 if snow else 160))
    depth = rng.uniform(0.25, 1, count)
    fall = (rng.uniform(0.6, 3) if snow else rng.uniform(5, 14)) * height / 128
    speeds = np.stack([np.full(count, rng.normal() * 0.25 * fall), np.full(count, fall)], 1)
    start = rng.uniform(0, 1, (count, 2)) * [width, height]
    sway = rng.uniform(0, 6.28, count), rng.uniform(0, 0.8 if snow else 0), rng.uniform(0.1, 0.5)
    strength = rng.uniform(0.35, 0.95) if snow else rng.uniform(0.2, 0.5)
    out = np.empty_like(frames)
    for step, (target, frame) in enumerate(zip(out, frames, strict=True)):
        places = start + step * speeds * depth[:, None]
        places[:, 0] += sway[1] * np.sin(sway[0] + sway[2] * step)
        places = np.mod(places + 8, [width + 16, height + 16]) - 8
        layer = np.zeros((height, width), np.uint8)
        draw_drops(layer, places, speeds, depth, snow)
        opacity = cv2.cvtColor(layer, cv2.COLOR_GRAY2RGB)
        bright = cv2.multiply(cv2.bitwise_not(frame), opacity, scale=strength / 255)
        cv2.add(frame, bright, dst=target)
    return out


def draw_drops(
    layer: np.ndarray, places: np.ndarray, speeds: np.ndarray, depth: np.ndarray, snow: bool
) -> None:
    """Snow as small discs, rain as streaks half a frame long; placed to 1/16 px."""
    fixed = np.rint(places * 16).astype(np.int32)
    if snow:
        radii = np.rint(16 * (0.5 + 1.4 * depth**2)).astype(np.int32)
        for (x, y), radius in zip(fixed.tolist(), radii.tolist(), strict=True):
            cv2.circle(layer, (x, y), radius, 255, -1, cv2.LINE_AA, 4)
        return
    tails = np.rint((places - 0.5 * speeds * depth[:, None]) * 16).astype(np.int32)
    streaks = list(np.stack([fixed, tails], axis=1))
    cv2.polylines(layer, streaks, False, 255, 1, cv2.LINE_AA, 4)
