"""Where a frame came from: quick motion to the frame before it, and where that explains it."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from kineograph.models.aligned import enlarged_motion, grey_within, places, pulled, trusted
from kineograph.models.motion import Dis, dense_inverse_search

Frame = Float[np.ndarray, "h w 3"]
MEAN = np.full((1, 3), 1 / 3, np.float32)
MOTION_PX = 100
SEARCH = Dis(0, stride_px=4, num_descents=8, num_refinements=2)
"""On a picture of so many pixels, or of half the film's, but to its last pixel: as quick as
`aligned.QUICK`, and textures that follow it tremble less."""
SLOW_PX = 0.1
"""A camera that moves slower than that stands still."""
SMALLEST_PX = 24
"""Motion is not looked for in smaller pictures."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A frame as motion is measured on it."""

    small: UInt8[np.ndarray, "h w 3"]
    grey: UInt8[np.ndarray, "h w"]

    @staticmethod
    def of(frame: Frame) -> "Seen":
        """Of a frame in [-1, 1], of any size."""
        picture = np.asarray(cv2.convertScaleAbs(frame, alpha=127.5, beta=127.5))
        grey = grey_within(picture, max(MOTION_PX, min(picture.shape[:2]) // 2))
        h, w = grey.shape
        return Seen(np.asarray(cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA)), grey)


@dataclass(frozen=True, eq=False)
class Pull:
    """Backward motion from a frame to the one before it, and how well it explains each place."""

    motion: Float[np.ndarray, "h w 2"]
    fit: Float[np.ndarray, "h w"]

    @staticmethod
    def between(now: Seen, before: Seen, misfit: float) -> "Pull":
        """Errors of `misfit` (of 2, the range of a colour) halve the belief in it, about."""
        motion = np.zeros((*now.grey.shape, 2), np.float32)
        if min(now.grey.shape) >= SMALLEST_PX:
            motion = _trusted(dense_inverse_search(now.grey, before.grey, SEARCH), now, before)
        at = places(*now.grey.shape) + motion
        there = pulled(before.small.astype(np.float32), at)
        wrong = apart(now.small.astype(np.float32), there) / np.float32(127.5**2)
        fit = np.exp(wrong * np.float32(-0.5 / misfit**2))
        # What comes into the picture looks like its edge, often enough, but is not known.
        fit[_beyond(at)] = 0
        return Pull(motion, fit)

    def at(self, height: int, width: int) -> "Pull":
        """For a frame of another size."""
        if self.fit.shape == (height, width):
            return self
        how = cv2.INTER_AREA if height < len(self.fit) else cv2.INTER_LINEAR
        fit = np.asarray(cv2.resize(self.fit, (width, height), interpolation=how))
        return Pull(enlarged_motion(self.motion, height, width), fit)

    def fitting(self, inside: Bool[np.ndarray, "h2 w2"]) -> float:
        """How well the motion explains a region, on average."""
        size = self.fit.shape[1], self.fit.shape[0]
        small = cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        return float(cv2.mean(self.fit, small if small.any() else None)[0])


def _trusted(
    motion: Float[np.ndarray, "h w 2"], now: Seen, before: Seen
) -> Float[np.ndarray, "h w 2"]:
    """Where motion cannot be seen, that of most of the picture.

    Standing still there, what is laid would be drawn out into streaks when the camera moves.
    """
    most = np.median(motion[::4, ::4].reshape(-1, 2), 0)
    most = most * float(np.hypot(*most) > SLOW_PX)
    there = pulled(before.grey, (places(*now.grey.shape) + most).astype(np.float32))
    return (most + trusted(motion - most, now.grey, there)).astype(np.float32)


def _beyond(at: Float[np.ndarray, "h w 2"]) -> Bool[np.ndarray, "h w"]:
    h, w = at.shape[:2]
    x, y = at[..., 0], at[..., 1]
    return (x < -0.5) | (y < -0.5) | (x > w - 0.5) | (y > h - 0.5)


def apart(one: Frame, other: Frame) -> Float[np.ndarray, "h w"]:
    """The mean squared difference around each pixel."""
    away = one - other
    error = cv2.transform(away * away, MEAN)
    edge = cv2.BORDER_REPLICATE
    return np.asarray(cv2.blur(cv2.blur(error, (5, 5), borderType=edge), (5, 5), borderType=edge))


def mixed(one: Frame, other: Frame, share: Float[np.ndarray, "h w"] | float) -> Frame:
    """So much of the other."""
    share = np.broadcast_to(np.float32(share), one.shape[:2])
    return np.asarray(cv2.blendLinear(one, other, 1 - share, np.ascontiguousarray(share)))
