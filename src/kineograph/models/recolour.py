"""Colours that have the mean and covariance of another clip's, moved no farther than needed.

The linear optimal transport between Gaussians (Pitié and Kokaram, 2007), in CIE Lab.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

LEAST_VARIANCE = 0.5
"""In squared Lab units: flat colours are not torn apart."""
MOST_GAIN = 4.0


@dataclass(frozen=True, eq=False)
class Colours:
    """The mean and the covariance of some colours, in Lab."""

    mean: Float[np.ndarray, " 3"]
    spread: Float[np.ndarray, "3 3"]

    def with_more(self, more: "Colours", share: float) -> "Colours":
        """Those of a mixture that has such a share of `more` in it."""
        away = more.mean - self.mean
        within = (1 - share) * self.spread + share * more.spread
        between = share * (1 - share) * np.outer(away, away)
        return Colours(self.mean + share * away, within + between)


def colours_of(frames: Float[Tensor, "t 3 h w"]) -> Colours:
    """The colours of all pixels of a clip in [-1, 1]."""
    colours = _lab(frames).reshape(-1, 3)
    spread = np.cov(colours.T, ddof=0) + LEAST_VARIANCE * np.eye(3)
    return Colours(colours.mean(0), spread)


def moved(frames: Float[Tensor, "t 3 h w"], given: Colours, like: Colours) -> Tensor:
    """`frames` moved as moves the one onto the other. RGB in [-1, 1], clipped to it."""
    lab = (_lab(frames) - given.mean) @ _transport(given.spread, like.spread) + like.mean
    return _rgb(lab).to(frames.dtype)


def moved_picture(
    picture: Float[np.ndarray, "h w 3"], given: Colours, like: Colours
) -> Float[np.ndarray, "h w 3"]:
    """The same of a single picture, quickly: RGB in [-1, 1], clipped to it."""
    turned = _transport(given.spread, like.spread).T
    matrix = np.column_stack([turned, like.mean - turned @ given.mean]).astype(np.float32)
    lab = cv2.cvtColor(
        np.clip(picture * np.float32(0.5) + np.float32(0.5), 0, 1), cv2.COLOR_RGB2Lab
    )
    rgb = cv2.cvtColor(cv2.transform(lab, matrix), cv2.COLOR_Lab2RGB)
    return np.clip(rgb * np.float32(2) - np.float32(1), -1, 1)


def _transport(
    spread: Float[np.ndarray, "3 3"], new_spread: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "3 3"]:
    root, inverse = _power(spread, 0.5), _power(spread, -0.5)
    map_ = inverse @ _power(root @ new_spread @ root, 0.5) @ inverse
    gains, axes = np.linalg.eigh(map_)
    return (axes * gains.clip(1 / MOST_GAIN, MOST_GAIN)) @ axes.T


def _power(matrix: Float[np.ndarray, "3 3"], exponent: float) -> Float[np.ndarray, "3 3"]:
    values, axes = np.linalg.eigh(matrix)
    return (axes * values**exponent) @ axes.T


def _lab(frames: Float[Tensor, "t 3 h w"]) -> Float[np.ndarray, "t h w 3"]:
    rgb = rearrange((frames.float().clamp(-1, 1) + 1) / 2, "t c h w -> t h w c")
    return np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2Lab) for one in rgb.numpy()]).astype(float)


def _rgb(lab: Float[np.ndarray, "t h w 3"]) -> Float[Tensor, "t 3 h w"]:
    rgb = [cv2.cvtColor(one, cv2.COLOR_Lab2RGB) for one in lab.astype(np.float32)]
    frames = rearrange(torch.from_numpy(np.stack(rgb)), "t h w c -> t c h w")
    return (2 * frames - 1).clamp(-1, 1)
