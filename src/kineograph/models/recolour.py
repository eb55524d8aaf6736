"""Colours that have the mean and covariance of another clip's, moved no farther than needed.

The linear optimal transport between Gaussians (Pitié and Kokaram, 2007), in CIE Lab.
"""

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

LEAST_VARIANCE = 0.5
"""In squared Lab units: flat colours are not torn apart."""
MOST_GAIN = 4.0


def recoloured(
    frames: Float[Tensor, "t 3 h w"],
    like: Float[Tensor, "n 3 h2 w2"],
    given: Float[Tensor, "m 3 h3 w3"] | None = None,
) -> Float[Tensor, "t 3 h w"]:
    """`frames` moved as moves the colours of `given` (of themselves, if None) onto those of `like`.

    RGB in [-1, 1], clipped to it.
    """
    mean, spread = _moments(frames if given is None else given)
    new_mean, new_spread = _moments(like)
    lab = (_lab(frames) - mean) @ _transport(spread, new_spread) + new_mean
    return _rgb(lab).to(frames.dtype)


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


def _moments(
    frames: Float[Tensor, "t 3 h w"],
) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, "3 3"]]:
    colours = _lab(frames).reshape(-1, 3)
    spread = np.cov(colours.T, ddof=0) + LEAST_VARIANCE * np.eye(3)
    return colours.mean(0), spread


def _lab(frames: Float[Tensor, "t 3 h w"]) -> Float[np.ndarray, "t h w 3"]:
    rgb = rearrange((frames.float().clamp(-1, 1) + 1) / 2, "t c h w -> t h w c")
    return np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2Lab) for one in rgb.numpy()]).astype(float)


def _rgb(lab: Float[np.ndarray, "t h w 3"]) -> Float[Tensor, "t 3 h w"]:
    rgb = [cv2.cvtColor(one, cv2.COLOR_Lab2RGB) for one in lab.astype(np.float32)]
    frames = rearrange(torch.from_numpy(np.stack(rgb)), "t h w c -> t c h w")
    return (2 * frames - 1).clamp(-1, 1)
