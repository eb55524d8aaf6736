"""What many frames agree on is carried from frame to frame along the motion, and counted.

A recursive mean, as trackers keep one (Kalman 1960): each frame adds itself to what was brought
from the frame before, where the two are alike as far as noise allows, so one move a frame gives
the mean of many. It runs both ways; what comes from behind and from ahead leaves the frame out.
Live, nothing is ahead: there the last answer, moved here, stands for it (`Past`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Shaped, UInt8

from kineograph.models.aligned import (
    QUICK,
    Picture,
    enlarged_motion,
    noise_level,
    places,
    small_grey,
    trusted,
)
from kineograph.models.motion import Dis, dense_inverse_search
from kineograph.models.restorer import doubt_of

SEARCH = Dis(1, patch_px=12, stride_px=4, num_descents=25, num_refinements=2, smallest_px=20)
SOFTENED = 0.35
"""How much of what noise asks for, pictures are softened before motion is measured on them."""
CAP = 16
"""A mean counts as no more frames than this, so that what is old fades."""
ALIKE, ALIKE_NOISE = 4.0, 0.3
"""Levels by which two frames may differ and be one, besides noise; and more for each of noise."""
TREMBLING = 2.0
"""Above this much noise a motion search trembles, and must explain more than standing still does;
below, even a tenth of a pixel is motion, and worth its detail."""
NEAR_PX = 1.0
"""Likeness is measured at half the size, on a neighbourhood of so many of its pixels."""
TINY = 1e-6
MEAN = np.full((1, 3), 1 / 3, np.float32)
ANSWERED = 0.5
"""Tuned on watched shots: 0.25 gives the same PSNR and more flicker, 1 less flicker and PSNR."""
CHUNK, LOOK = 8, 4
"""So many frames are answered at a time, from so many more ahead of them."""
Count = Float[np.ndarray, "h w"]
Brought = tuple[Picture, Count]
Motion = Float[np.ndarray, "h2 w2 2"]


@dataclass(frozen=True)
class Seen:
    """A frame, and what those beside it need of it."""

    picture: Picture
    small: UInt8[np.ndarray, "h2 w2 3"]
    grey: UInt8[np.ndarray, "h3 w3"]
    noise: float

    @staticmethod
    def of(picture: Picture) -> "Seen":
        """The frame at half the size, and in grey for motion."""
        noise = noise_level(picture)
        return Seen(picture, halved(picture), small_grey(picture, SOFTENED * noise), noise)


def halved(picture: Shaped[np.ndarray, "h w *c"]) -> Shaped[np.ndarray, "h2 w2 *c"]:
    """Each 2x2 block as its mean."""
    h, w = picture.shape[:2]
    size = max(1, w // 2), max(1, h // 2)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def brought(held: Brought, now: Seen) -> Brought:
    """What was held at the frame before, moved to this one, and how many frames it counts as.

    Where it differs from this frame by more than noise explains it counts as none. Motion is
    measured to what was held, for that has less noise than the frame itself.
    """
    return moved(held, motion_to(held[0], now), now)


def motion_to(picture: Picture, now: Seen, how: Dis = SEARCH) -> Motion:
    """From this frame to a picture of the one before, as large as what it is measured on."""
    before = small_grey(picture, SOFTENED * now.noise)
    motion = dense_inverse_search(now.grey, before, how)
    return trusted(motion, now.grey, before) if now.noise > TREMBLING else motion


def moved(held: Brought, motion: Motion, now: Seen) -> Brought:
    """What was held, moved along a motion, and what is left of its count where it is alike."""
    h, w = now.picture.shape[:2]
    at = places(h, w)
    at += enlarged_motion(motion, h, w)
    there = cv2.remap(held[0], at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # pyright: ignore[reportCallIssue, reportArgumentType]
    small = halved(there)
    size = small.shape[1::-1]
    counted = cv2.remap(
        cv2.resize(held[1], size, interpolation=cv2.INTER_AREA),
        cv2.resize(at, size, interpolation=cv2.INTER_AREA) / 2 - np.float32(0.25),
        None,  # pyright: ignore[reportCallIssue, reportArgumentType]
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    believed = counted * _likeness(small, now, counted)
    return np.asarray(there), np.asarray(cv2.resize(believed, (w, h)))


def _likeness(small: UInt8[np.ndarray, "h w 3"], now: Seen, count: Count) -> Count:
    """1 where two halved pictures differ as noise does, 0 where they show different things."""
    apart = cv2.absdiff(small, now.small)
    power = cv2.multiply(apart, apart, dtype=cv2.CV_32F)
    error = cv2.GaussianBlur(cv2.transform(power, MEAN), (0, 0), NEAR_PX)
    noise = np.float32(now.noise**2 / 4) * (1 + 1 / np.maximum(count, 1))
    alike = ALIKE + ALIKE_NOISE * now.noise
    return np.exp(np.maximum(error - noise, 0) * np.float32(-0.5 / alike**2))


def held_with(now: Seen, what: Brought) -> Brought:
    """The mean of what was brought and the frame itself."""
    picture, count = what
    mean = cv2.blendLinear(now.picture, picture, np.ones_like(count), count)
    return np.asarray(mean), np.minimum(count + 1, CAP)


def nothing(now: Seen) -> Brought:
    """Where nothing is brought the frame stands for it, and counts as no frame."""
    return now.picture, np.zeros(now.picture.shape[:2], np.float32)


def alone(now: Seen) -> tuple[Brought, Brought, Motion]:
    """What `Past.brought` gives where there is no past."""
    return nothing(now), nothing(now), np.zeros((*now.grey.shape, 2), np.float32)


def carried(frames: Sequence[Seen], first: Brought | None = None) -> list[Brought]:
    """For each frame what those before it bring; to the first, `first` is brought."""
    made: list[Brought] = []
    for n, now in enumerate(frames):
        if n:
            made.append(brought(held_with(frames[n - 1], made[-1]), now))
        else:
            made.append(first or nothing(now))
    return made


def both_ways(frames: Iterable[Seen]) -> Iterator[tuple[Seen, Brought, Brought]]:
    """Each frame with what comes from behind, and from at least `LOOK` frames ahead."""
    waiting: list[Seen] = []
    first: Brought | None = None
    for seen in frames:
        waiting.append(seen)
        if len(waiting) == CHUNK + LOOK:
            behind = carried(waiting[: CHUNK + 1], first)
            yield from _chunk(waiting, behind[:-1])
            waiting, first = waiting[CHUNK:], behind[-1]
    yield from _chunk(waiting, carried(waiting, first))


def _chunk(waiting: list[Seen], behind: list[Brought]) -> Iterator[tuple[Seen, Brought, Brought]]:
    ahead = carried(waiting[::-1])[::-1]
    yield from zip(waiting, behind, ahead, strict=False)


@dataclass(frozen=True, eq=False)
class Past:
    """What a live film carries on: the mean of its frames so far, and its last answer.

    No answer is carried where it has more detail than the frames: it would feed on itself.
    """

    mean: Brought
    answer: Picture | None

    def brought(self, now: Seen) -> tuple[Brought, Brought, Motion]:
        """The mean and the answer, moved to this frame, and the motion, measured once.

        Motion is measured to the answer, which has so little noise that a quick search will do.
        The answer is no frame of its own: it counts for `ANSWERED` of those that it was made of.
        """
        if self.answer is None:
            motion = motion_to(self.mean[0], now)
            return moved(self.mean, motion, now), nothing(now), motion
        motion = motion_to(self.answer, now, QUICK)
        behind = moved(self.mean, motion, now)
        return behind, moved((self.answer, ANSWERED * self.mean[1]), motion, now), motion


def shown(
    behind: Brought, ahead: Brought
) -> tuple[UInt8[np.ndarray, "2 h w 3"], UInt8[np.ndarray, "2 h w"]]:
    """Both pictures as a restorer is shown them, with doubt in place of counts."""
    pairs = behind, ahead
    doubts = [doubt_of(CAP / np.maximum(count, TINY)) for _, count in pairs]
    return np.stack([p for p, _ in pairs]), np.stack(doubts)
