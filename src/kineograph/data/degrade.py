"""What happens to footage on its way: noise, blur, compression, few pixels."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from kineograph.data.augment import Frames
from kineograph.data.simulate import encoded, with_sensor_noise

CRFS = (24, 43)
"""H.264 from barely visible to blocky, at the small sizes that clips have."""


@dataclass(frozen=True)
class Degraded:
    """What was left of a clip, what is asked of it, and whether sharpness is asked too."""

    given: UInt8[np.ndarray, "t h w 3"]
    wanted: UInt8[np.ndarray, "t h2 w2 3"]
    sharpened: bool = False


def with_white_noise(frames: Frames, sigma: float, rng: np.random.Generator) -> Frames:
    """Independent Gaussian noise of so many levels, clipped and rounded as a file holds it."""
    noise = rng.standard_normal(frames.shape, dtype=np.float32) * np.float32(sigma)
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)


def with_grain(frames: Frames, rng: np.random.Generator) -> Frames:
    """Film grain: grey, a little soft, strongest in the middle tones."""
    t, h, w, _ = frames.shape
    grain = rng.standard_normal((t, h, w), dtype=np.float32)
    width = float(rng.uniform(0.4, 1.0))
    soft = np.stack([cv2.GaussianBlur(g, (0, 0), width) for g in grain])
    soft *= np.float32(rng.uniform(3, 20)) / soft.std()
    light = frames.mean(-1) / 255
    amount = 0.4 + 2.4 * light * (1 - light)
    return np.clip(np.rint(frames + (amount * soft)[..., None]), 0, 255).astype(np.uint8)


def blurred(frames: Frames, rng: np.random.Generator) -> Frames:
    """Out of focus, or shaken: one kernel for the whole clip."""
    if rng.random() < 0.7:
        width = float(rng.uniform(0.5, 1.8))
        return np.stack([cv2.GaussianBlur(f, (0, 0), width) for f in frames])
    length = int(rng.integers(2, 8))
    kernel = np.zeros((9, 9), np.float32)
    angle = rng.uniform(0, np.pi)
    step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    start, end = 4 - step, 4 + step
    cv2.line(kernel, tuple(map(int, np.rint(start))), tuple(map(int, np.rint(end))), 1.0, 1)
    return np.stack([cv2.filter2D(f, -1, kernel / kernel.sum()) for f in frames])


def compressed(frames: Frames, rng: np.random.Generator) -> Frames:
    """A trip through H.264 at a random quality."""
    return encoded(frames, int(rng.integers(*CRFS)))


def dirtied(frames: Frames, rng: np.random.Generator) -> Degraded:
    """A clip with the noise, blur and compression of a random life, or with none.

    Blur is to be taken away in most of the clips that have it, which then say so.
    """
    wanted, sharpened = frames, False
    if rng.random() < 0.3:
        sharpened = rng.random() < 0.7
        frames = blurred(frames, rng)
        wanted = wanted if sharpened else frames
        if sharpened and rng.random() < 0.4:  # blur alone can be undone much further
            return Degraded(frames, wanted, sharpened)
    elif rng.random() < 0.08:
        sharpened = True  # what is sharp already must not be sharpened more
    kind = rng.random()
    if kind < 0.5:
        frames = with_white_noise(frames, float(rng.uniform(1, 50)), rng)
    elif kind < 0.62:
        frames = with_sensor_noise(frames, rng)
    elif kind < 0.72:
        frames = with_grain(frames, rng)
    if rng.random() < (0.12 if kind < 0.72 else 0.75):
        frames = compressed(frames, rng)
    return Degraded(frames, wanted, sharpened)


def shrunk(
    frames: Frames, scale: int, rng: np.random.Generator
) -> UInt8[np.ndarray, "t few_h few_w c"]:
    """A clip of few pixels: by the mean over areas, or softer, or sharper, sometimes worn too."""
    _, h, w, _ = frames.shape
    size, kind = (w // scale, h // scale), rng.random()
    how = cv2.INTER_AREA
    if kind > 0.75:
        width = float(rng.uniform(0.3, 0.5)) * scale
        frames = np.stack([cv2.GaussianBlur(f, (0, 0), width) for f in frames])
        how = cv2.INTER_LINEAR
    small = np.stack([cv2.resize(f, size, interpolation=how) for f in frames])
    wear = rng.random()
    if wear < 0.1:
        return with_white_noise(small, float(rng.uniform(1, 10)), rng)
    return encoded(small, int(rng.integers(20, 34))) if wear < 0.25 and min(size) >= 32 else small
