"""A cleaned film is held still along its motion, so that what is left of the noise does not crawl.

Each frame leans on the one before, moved here, where the two differ no more than the errors of a
cleaned frame do. A recursive mean again (see `carried`), of answers instead of frames.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from kineograph.models.aligned import enlarged_motion, places, small_grey, trusted
from kineograph.models.carried import MEAN, SEARCH, halved
from kineograph.models.motion import dense_inverse_search

Levels = Float[np.ndarray, "h w 3"]
CAP = 9.0
"""What is held counts as no more frames than this."""
ALIKE, ALIKE_NOISE = 0.5, 0.06
"""Levels by which cleaned frames may differ and be one; and more for each of the noise that was
taken away."""
STILL_PX = 0.25
"""Slower motion is how a search trembles, and counts for nothing."""


@dataclass(frozen=True, eq=False)
class Held:
    """A frame that was held still, and how many frames each place of it counts as."""

    frame: Levels
    count: Float[np.ndarray, "h w"]


def held_on(before: Held | None, frame: Levels, noise: float) -> Held:
    """The next cleaned frame held still: levels of 0 to 255, and how noisy it was, in levels."""
    if before is None:
        return first_of(frame)
    now, last = (small_grey(cv2.convertScaleAbs(one)) for one in (frame, before.frame))
    motion = trusted(dense_inverse_search(now, last, SEARCH), now, last)
    return held_along(before, frame, motion, noise)


def held_along(
    before: Held | None, frame: Levels, motion: Float[np.ndarray, "h2 w2 2"], noise: float
) -> Held:
    """The same along a motion that is known."""
    if before is None:
        return first_of(frame)
    return leaning(frame, before, calmed(motion), ALIKE + ALIKE_NOISE * noise)


def first_of(frame: Levels) -> Held:
    """Nothing is held yet."""
    return Held(frame, np.zeros(frame.shape[:2], np.float32))


def calmed(motion: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w 2"]:
    """Motion without its trembling: none where it is slow."""
    speed = np.asarray(cv2.magnitude(motion[..., 0], motion[..., 1]))
    return motion * np.clip(speed / STILL_PX - 1, 0, 1)[..., None]


def leaning(
    frame: Levels, before: Held, motion: Float[np.ndarray, "h2 w2 2"], alike: float
) -> Held:
    """The mean of the frame and what was held, where they are alike."""
    h, w = before.count.shape
    at = places(h, w) + enlarged_motion(motion, h, w)
    edge = cv2.BORDER_REPLICATE
    moved = cv2.remap(before.frame, at, None, cv2.INTER_CUBIC, borderMode=edge)  # pyright: ignore[reportCallIssue, reportArgumentType]
    counted = cv2.remap(before.count, at, None, cv2.INTER_LINEAR, borderMode=edge)  # pyright: ignore[reportCallIssue, reportArgumentType]
    apart = halved(moved - frame)
    error = cv2.GaussianBlur(cv2.transform(apart * apart, MEAN), (0, 0), 1.0)
    likeness = np.exp(error * np.float32(-0.5 / alike**2))
    counted = np.minimum((counted + 1) * cv2.resize(likeness, (w, h)), CAP)
    mean = cv2.blendLinear(frame, moved, np.ones_like(counted), counted)
    return Held(np.asarray(mean), counted)
