"""Neighbouring frames, pulled along the motion to where they show what a frame shows.

Motion is measured on small, smoothed, grey pictures, so that neither noise nor size matters much;
the frames themselves are moved at their own size.
"""

import math

import cv2
import numpy as np
from jaxtyping import Float, Shaped, UInt8

from kineograph.models.motion import Dis, dense_inverse_search

QUICK = Dis(finest_scale=1, stride_px=4, num_descents=12, num_refinements=2)
MOTION_PX = 180
"""The short side at which motion is measured."""
UNLIKE = 255
ROW = 1024
TRUSTED_PX, NOTHING = 7, 2.0
"""Motion must explain a place of that size, by more than so many squared levels."""
Picture = UInt8[np.ndarray, "h w 3"]


def noise_level(picture: Picture) -> float:
    """The standard deviation of white noise, in levels, from the finest diagonal details.

    Donoho and Johnstone 1994: the median of |Haar HH| / 0.6745, which edges hardly move.
    """
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)).astype(np.float32)
    h, w = (n // 2 * 2 for n in grey.shape)
    a, b = grey[:h:2, :w:2], grey[:h:2, 1:w:2]
    c, d = grey[1:h:2, :w:2], grey[1:h:2, 1:w:2]
    of_grey = float(np.median(np.abs(a - b - c + d))) / 2 / 0.6745
    return of_grey / math.sqrt(0.299**2 + 0.587**2 + 0.114**2)


def small_grey(picture: Picture, noise: float = 0.0) -> UInt8[np.ndarray, "h2 w2"]:
    """What motion is measured on."""
    grey = grey_within(picture, MOTION_PX)
    width = min(2.0, noise * min(1.0, MOTION_PX / min(picture.shape[:2])) / 10)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), width) if width > 0.3 else grey)


def grey_within(picture: Picture, short_px: int, most: float = 1.0) -> UInt8[np.ndarray, "h2 w2"]:
    """The picture in grey, its short side no longer than that; enlarged `most` times at most."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    h, w = grey.shape
    ratio = min(most, short_px / min(h, w))
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
    size = (round(w * ratio), round(h * ratio))
    return grey if ratio == 1 else np.asarray(cv2.resize(grey, size, interpolation=how))


def enlarged_motion(
    motion: Float[np.ndarray, "h2 w2 2"], height: int, width: int
) -> Float[np.ndarray, "h w 2"]:
    """Motion measured on a picture of another size, in pixels of this one."""
    h, w = motion.shape[:2]
    if (h, w) == (height, width):
        return motion
    ratio = np.array([width / w, height / h], np.float32)
    how = cv2.INTER_LINEAR if height > h else cv2.INTER_AREA
    return np.asarray(cv2.resize(motion * ratio, (width, height), interpolation=how))


def places(height: int, width: int) -> Float[np.ndarray, "h w 2"]:
    """The position (x, y) of every pixel."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], -1)


def pulled(
    picture: Shaped[np.ndarray, "h w *c"], at: Float[np.ndarray, "h2 w2 2"], sharp: bool = False
) -> Shaped[np.ndarray, "h2 w2 *c"]:
    """The picture read at places (x, y); beyond its edge the edge goes on."""
    how = cv2.INTER_LANCZOS4 if sharp else cv2.INTER_LINEAR
    return cv2.remap(picture, at, None, how, borderMode=cv2.BORDER_REPLICATE)  # pyright: ignore[reportCallIssue, reportArgumentType]


def trusted(
    motion: Float[np.ndarray, "h w 2"],
    here: UInt8[np.ndarray, "h w"],
    there: UInt8[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w 2"]:
    """Less motion where it explains the frame no better than standing still does."""
    now, before = here.astype(np.float32), there.astype(np.float32)
    width = (TRUSTED_PX, TRUSTED_PX)
    still = cv2.blur((now - before) ** 2, width)
    moved = cv2.blur((now - pulled(before, places(*here.shape) + motion)) ** 2, width)
    return motion * np.clip(1.2 - (moved + NOTHING) / (still + NOTHING), 0, 1)[..., None]


def read_at(
    picture: Picture, at: Float[np.ndarray, "n 2"], sharp: bool = False
) -> UInt8[np.ndarray, "n 3"]:
    """The colours at n places (x, y), however many: OpenCV reads rows of at most 32766."""
    rows = -(-len(at) // ROW)
    whole = np.pad(at, ((0, rows * ROW - len(at)), (0, 0)))
    return pulled(picture, whole.reshape(rows, ROW, 2), sharp).reshape(-1, 3)[: len(at)]


def moved(
    picture: Shaped[np.ndarray, "h w *c"], motion: Float[np.ndarray, "h w 2"]
) -> Shaped[np.ndarray, "h w *c"]:
    """out(x) = picture(x + motion(x)), motion in pixels as (dx, dy)."""
    return pulled(picture, places(*motion.shape[:2]) + motion)


def difference(
    one: Float[np.ndarray, "h w 3"], other: Float[np.ndarray, "h w 3"], width_px: int = 5
) -> Float[np.ndarray, "h w"]:
    """How far two pictures are apart around each pixel, in levels, over the channels' mean."""
    apart = cv2.absdiff(one, other)
    return cv2.blur(apart, (width_px, width_px)).mean(-1)


def last_frame(
    grey: Picture, grey_before: Picture, coloured_before: Picture
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """The frame before in its colours, moved onto a grey one; by how many levels they differ."""
    h, w = grey.shape[:2]
    motion = dense_inverse_search(small_grey(grey), small_grey(grey_before), QUICK)
    at = places(h, w) + enlarged_motion(motion, h, w)
    moved = pulled(grey_before.astype(np.float32), at)
    doubt = np.minimum(np.rint(difference(moved, grey.astype(np.float32))), UNLIKE)
    made = np.rint(pulled(coloured_before.astype(np.float32), at))
    return made.astype(np.uint8), doubt.astype(np.uint8)
