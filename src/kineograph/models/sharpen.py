"""Blur is measured where edges should be sharp, and undone as far as noise allows.

How much another little blur softens the sharpest edges tells how soft they are (Zhuo and Sim 2011),
here in four directions, so that what was shaken is told from what is out of focus. It is undone in
the Fourier domain (Wiener 1949), under the usual spectrum of pictures.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional as F

from kineograph.models.aligned import Picture
from kineograph.models.carried import halved

PROBE_PX = 1.0
"""The little blur."""
EDGE_SHARE, EDGE_LEVELS, SHARPEST = 0.9, 4.0, 0.9
"""Edges are steeper than that share of all pixels and than so many levels a pixel; the sharpest
tenth of them speak."""
LEAST_EDGES, LEAST_DIRECTIONS = 12, 3
MEASURED = (0.45, 0.52, 0.70, 1.03, 1.40, 1.92)
TRUE = (0.0, 0.5, 0.8, 1.3, 1.8, 2.5)
"""Widths as the edges of training shots show them, and of the blur that they were given."""
WIDE, LEAST_PX = 4.0, 128
"""Variances above this are measured again at half the size, in pictures of so many pixels."""
LEAST_BLUR = 0.2
"""A variance below this, in square pixels, is no blur."""
SHAKEN, LONGER, UNSURE = 2.5, 1.25, 3.0
"""What is so many times as wide in one direction was shaken: by a path of more than the variance
says, of which less is sure than of focus."""
POWER, FLAT = 20.0, 1e-3
"""The spectrum of pictures, in square levels, is POWER / (frequency^2 + FLAT)."""
RIM_PX = 24
Ratios = list[Float32[np.ndarray, " _"]]
"""How much steeper edges are than after the little blur, by direction: 0, 45, 90, 135 degrees."""
Edges = list[Ratios]
"""Those of a picture, and of ever smaller ones of it, each of half the size."""
Blur = Float[np.ndarray, "2 2"]
"""Its covariance (x, y), in square pixels."""


def edges_of(picture: Picture) -> Edges:
    """What the edges of a picture say of its sharpness."""
    found = [_ratios_of(picture)]
    while min(picture.shape[:2]) // 2 >= LEAST_PX:
        picture = halved(picture)
        found.append(_ratios_of(picture))
    return found


def _ratios_of(picture: Picture) -> Ratios:
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)
    dx, dy = _gradient(grey)
    steep = cv2.magnitude(dx, dy)
    after = cv2.magnitude(*_gradient(np.asarray(cv2.GaussianBlur(grey, (0, 0), PROBE_PX))))
    is_edge = cv2.dilate(steep, np.ones((3, 3), np.uint8)) <= steep
    is_edge &= steep > max(EDGE_LEVELS, float(np.quantile(steep, EDGE_SHARE)))
    ratios = steep[is_edge] / np.maximum(after[is_edge], np.float32(1e-3))
    direction = np.rint(np.arctan2(dy[is_edge], dx[is_edge]) / (np.pi / 4)).astype(int) % 4
    return [ratios[direction == k] for k in range(4)]


def blur_of(pictures: Sequence[Edges]) -> Blur:
    """The blur of some pictures of one size together; zeros where too few edges speak."""
    found = np.zeros((2, 2))
    for halvings, edges in enumerate(zip(*pictures, strict=True)):
        found = 4**halvings * _measured(edges)
        if np.trace(found) / 2 <= 4**halvings * WIDE:
            break
    return found


def _measured(edges: Sequence[Ratios]) -> Blur:
    """The covariance whose widths along the four directions fit best."""
    rows, variances = [], []
    for k, angle in enumerate(np.arange(4) * math.pi / 4):
        ratios = np.concatenate([frame[k] for frame in edges])
        if len(ratios) < LEAST_EDGES:
            continue
        x, y = math.cos(angle), math.sin(angle)
        rows.append([x * x, 2 * x * y, y * y])
        variances.append(_width(float(np.quantile(ratios, SHARPEST))) ** 2)
    if len(rows) < LEAST_DIRECTIONS:
        return np.zeros((2, 2))
    xx, xy, yy = np.linalg.lstsq(np.array(rows), np.array(variances), rcond=None)[0]
    variances, axes = np.linalg.eigh(np.array([[xx, xy], [xy, yy]]))
    return axes @ np.diag(np.maximum(variances, 0)) @ axes.T


def _width(ratio: float) -> float:
    return float(np.interp(PROBE_PX / math.sqrt(max(ratio**2 - 1, 1e-3)), MEASURED, TRUE))


def _gradient(
    grey: Float32[np.ndarray, "h w"],
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    return (
        np.asarray(cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3)) / 8,
        np.asarray(cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3)) / 8,
    )


def is_blurred(blur: Blur) -> bool:
    """Whether there is anything to undo."""
    return bool(np.linalg.eigvalsh(blur)[1] >= LEAST_BLUR)


def sharpened(frame: Float[Tensor, "3 h w"], blur: Blur, noise: float) -> Float[Tensor, "3 h w"]:
    """The frame with the blur undone, as far as noise of so many levels of 255 allows."""
    h, w = frame.shape[-2:]
    rim = min(RIM_PX, h - 1, w - 1)
    wide = F.pad(frame[None], (rim,) * 4, mode="reflect")[0]
    across = torch.fft.rfftfreq(wide.shape[-1])[None]
    down = torch.fft.fftfreq(wide.shape[-2])[:, None]
    passed, doubt = _passed(blur, across, down)
    spectrum = POWER / (across**2 + down**2 + FLAT)
    undo = passed / (passed**2 + (noise * doubt) ** 2 / spectrum)
    made = torch.fft.irfft2(torch.fft.rfft2(wide) * undo, s=wide.shape[-2:])
    return made[:, rim : rim + h, rim : rim + w].clamp(-1, 1)


def _passed(
    blur: Blur, across: Float[Tensor, "1 v"], down: Float[Tensor, "u 1"]
) -> tuple[Float[Tensor, "u v"], float]:
    """How much of each frequency the blur has passed, and how many times more to doubt that."""
    (narrow, broad), axes = np.linalg.eigh(blur)
    (across_narrow, across_broad), (down_narrow, down_broad) = axes.tolist()
    along = across * across_broad + down * down_broad
    aside = across * across_narrow + down * down_narrow
    out_of_focus = torch.exp(-2 * math.pi**2 * float(narrow) * aside**2)
    if broad <= SHAKEN * narrow + 0.1:
        return out_of_focus * torch.exp(-2 * math.pi**2 * float(broad) * along**2), 1.0
    path = math.sqrt(12 * LONGER * broad)
    return out_of_focus * torch.sinc(path * along).clamp(min=0), UNSURE
