"""Changes to a clip that leave its motion believable: colour, mirror and time reversal."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Frames = UInt8[np.ndarray, "t h w c"]

REC601 = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Augment:
    """How often a clip is turned, and how far its colours move."""

    mirror: float = 0.5
    upside_down: float = 0.03
    reverse: float = 0.3
    colour: float = 0.6
    gain: float = 0.2
    channel_gain: float = 0.08
    gamma: float = 0.25
    saturation: float = 0.4


def augmented(frames: Frames, rng: np.random.Generator, options: Augment) -> Frames:
    """The clip mirrored, turned, reversed and recoloured by chance."""
    if rng.random() < options.mirror:
        frames = frames[:, :, ::-1]
    if rng.random() < options.upside_down:
        frames = frames[:, ::-1]
    if rng.random() < options.reverse:
        frames = frames[::-1]
    if rng.random() < options.colour:
        frames = recoloured(frames, saturation_matrix(rng, options), colour_table(rng, options))
    return np.ascontiguousarray(frames)


def recoloured(
    frames: Frames, matrix: Float[np.ndarray, "3 3"], table: UInt8[np.ndarray, "1 256 3"]
) -> Frames:
    """The clip through one colour matrix, then one curve per channel."""
    num_frames, height, width, channels = frames.shape
    flat = np.ascontiguousarray(frames).reshape(num_frames * height, width, channels)
    return cv2.LUT(cv2.transform(flat, matrix), table).reshape(frames.shape)


def colour_table(rng: np.random.Generator, options: Augment) -> UInt8[np.ndarray, "1 256 3"]:
    """A random gain, gamma and white balance as one curve per channel."""
    gain = np.exp(rng.uniform(-1, 1) * options.gain)
    balance = np.exp(rng.uniform(-1, 1, 3) * options.channel_gain)
    gamma = np.exp(rng.uniform(-1, 1) * options.gamma)
    levels = (np.arange(256) / 255.0)[:, None] ** gamma * gain * balance
    return np.rint(255 * np.clip(levels, 0, 1)).astype(np.uint8)[None]


def saturation_matrix(rng: np.random.Generator, options: Augment) -> Float[np.ndarray, "3 3"]:
    """Pulls colours towards or away from their grey."""
    keep = np.exp(rng.uniform(-1, 1) * options.saturation)
    return keep * np.eye(3) + (1 - keep) * np.tile(REC601, (3, 1))
