"""Motion seen in the last frames is carried on into the next ones, by optical flow alone."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from kineograph.models.motion import Dis, dense_inverse_search

Grey = UInt8[np.ndarray, "h w"]
Motion = Float[np.ndarray, "h w 2"]
Picture = Float[np.ndarray, "h w c"]

SAMPLING = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}


@dataclass(frozen=True)
class Farneback:
    """Polynomial expansion flow (Farneback 2003), the options of cv2.calcOpticalFlowFarneback."""

    levels: int = 3
    window_px: int = 15
    num_iterations: int = 3
    poly_px: int = 5
    poly_sigma: float = 1.1
    gaussian_window: bool = True
    border_px: int = 24
    smallest_px: int = 1


@dataclass(frozen=True)
class Extrapolation:
    """How flow becomes frames. Displacement at horizon h is flow * (d + d^2 + ... + d^h).

    upsample: flow is measured on pictures enlarged so many times.
    num_flows: the mean of so many last flows.
    median_px, smooth_px: median aperture (0, 3 or 5) and Gaussian sigma over the flow.
    dead_px: shorter motion counts as none, so that still pixels are copied untouched.
    trust: motion is scaled by e_still / (e_still + trust * e_moved), the local squared errors
        with which the last frame follows from the one before it, unmoved and moved.
    """

    estimator: Farneback | Dis
    upsample: int = 1
    num_flows: int = 1
    median_px: int = 0
    smooth_px: float = 0.0
    dead_px: float = 0.0
    trust: float = 0.0
    transport: Literal["still", "sought", "splat"] = "sought"
    damping: float = 1.0
    sampling: Literal["linear", "cubic", "lanczos"] = "linear"


def estimate(now: Grey, before: Grey, estimator: Farneback | Dis) -> Motion:
    """Backward motion: now(x) = before(x + motion(x))."""
    if isinstance(estimator, Farneback):
        return _farneback(now, before, estimator)
    return dense_inverse_search(now, before, estimator)


def _farneback(now: Grey, before: Grey, how: Farneback) -> Motion:
    """OpenCV takes the last row and column for outside, and still pictures seem to move there;
    a border, cut off afterwards, keeps that out of the picture."""
    flags = cv2.OPTFLOW_FARNEBACK_GAUSSIAN if how.gaussian_window else 0
    pad = how.border_px
    wide = [np.pad(grey, pad, mode="edge") for grey in (now, before)]
    options = (0.5, how.levels, how.window_px, how.num_iterations, how.poly_px, how.poly_sigma)
    motion = cv2.calcOpticalFlowFarneback(*wide, None, *options, flags)  # pyright: ignore
    return np.ascontiguousarray(motion[pad : pad + now.shape[0], pad : pad + now.shape[1]])


def warp(source: np.ndarray, motion: Motion, sampling: str = "linear") -> np.ndarray:
    """out(x) = source(x + motion(x)); beyond the border the nearest pixel is repeated."""
    height, width = motion.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    at = x + motion[..., 0], y + motion[..., 1]
    out = cv2.remap(source, *at, SAMPLING[sampling], borderMode=cv2.BORDER_REPLICATE)
    return out.reshape(height, width, *source.shape[2:])  # OpenCV drops a lone channel


def last_motion(pictures: list[Picture], how: Extrapolation) -> Motion:
    """Backward motion of the last picture, averaged, smoothed and trusted as `how` says."""
    used = pictures[-(how.num_flows + 1) :]
    greys = [_grey(picture, how.upsample) for picture in used]
    flows = [estimate(now, before, how.estimator) for before, now in pairwise(greys)]
    motion = np.stack(flows).mean(axis=0) / np.float32(how.upsample)
    if how.upsample > 1:
        height, width = used[0].shape[:2]
        motion = cv2.resize(motion, (width, height), interpolation=cv2.INTER_AREA)
    if how.median_px:
        parts = [np.ascontiguousarray(motion[..., i]) for i in (0, 1)]
        motion = np.stack([cv2.medianBlur(part, how.median_px) for part in parts], axis=-1)
    motion = _blur(motion, how.smooth_px)
    length = np.linalg.norm(motion, axis=-1, keepdims=True)
    return motion * (length >= how.dead_px) * _trust(used[-2], used[-1], motion, how.trust)


def _trust(before: Picture, now: Picture, motion: Motion, weight: float) -> np.ndarray:
    if weight == 0:
        return np.ones((*motion.shape[:2], 1), np.float32)
    still = _blur(np.square(before - now).mean(axis=-1), 2.0)
    moved = _blur(np.square(warp(before, motion) - now).mean(axis=-1), 2.0)
    floor = 1e-5  # 0.4 of an 8-bit step, squared: errors below it tell nothing
    return (still / (still + weight * moved + floor))[..., None]


def motion_at(motion: Motion, reach: float, transport: str) -> Motion:
    """Backward motion of the frame `reach` steps ahead: new(x) = last(x + result(x))."""
    if transport == "still":
        return motion * np.float32(reach)
    if transport == "sought":
        carried = motion
        for _ in range(4):
            carried = warp(motion, carried * np.float32(reach))
        return carried * np.float32(reach)
    return splat(motion, reach) * np.float32(reach)


def splat(motion: Motion, reach: float) -> Motion:
    """The motion moved along itself by bilinear splatting, fast motion in front; holes grow in."""
    height, width = motion.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    to_x, to_y = x - reach * motion[..., 0], y - reach * motion[..., 1]
    left, top = np.floor(to_x).astype(int), np.floor(to_y).astype(int)
    total = np.zeros((height, width, 3), np.float64)
    for dx in (0, 1):
        for dy in (0, 1):
            weight = (1 - abs(to_x - left - dx)) * (1 - abs(to_y - top - dy))
            column, row = left + dx, top + dy
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            at = row[inside] * width + column[inside]
            for i, value in enumerate((motion[..., 0] * weight, motion[..., 1] * weight, weight)):
                total[..., i] += np.bincount(at, value[inside], height * width).reshape(
                    height, width
                )
    return _filled(total.astype(np.float32))


def _filled(total: np.ndarray) -> Motion:
    """Normalised splat; where nothing landed, a wider and wider neighbourhood answers."""
    out = np.zeros_like(total[..., :2])
    missing = np.ones(total.shape[:2], bool)
    for sigma in (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0):
        near = _blur(total, sigma)
        answered = missing & (near[..., 2] > (0.3 if sigma == 0 else 0.1))
        out[answered] = near[answered, :2] / near[answered, 2:]
        missing &= ~answered
    return out


def extrapolate(pictures: list[Picture], num_frames: int, how: Extrapolation) -> list[Picture]:
    """The next frames: the last picture pulled along its own motion."""
    motion = last_motion(pictures, how)
    reaches = np.cumsum(how.damping ** np.arange(1, num_frames + 1))
    motions = [motion_at(motion, float(reach), how.transport) for reach in reaches]
    return [warp(pictures[-1], moved, how.sampling) for moved in motions]


def _blur(values: np.ndarray, sigma_px: float) -> np.ndarray:
    if sigma_px == 0:
        return values
    return cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)


def _grey(picture: Picture, upsample: int) -> UInt8[np.ndarray, "h2 w2"]:
    """Luma in 8 bits, as both estimators ask, enlarged; pictures run over [-1, 1]."""
    is_colour = picture.shape[2] == 3
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if is_colour else picture.mean(axis=-1)
    if upsample > 1:
        grey = cv2.resize(grey, None, fx=upsample, fy=upsample, interpolation=cv2.INTER_CUBIC)
    return np.clip(np.rint((grey + 1) * 127.5), 0, 255).astype(np.uint8)
