"""Unknown cells take smooth values from their neighbours in space and time."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

_NUM_SMOOTHINGS = 24


def filled(
    values: Float[np.ndarray, "t h w"], known: Bool[np.ndarray, "t h w"]
) -> Float[Tensor, "t h w"]:
    """The values with every unknown cell filled; known cells stay as they are.

    Pull and push (Gortler et al., The Lumigraph, 1996, section 3.4.2) over a pyramid of means,
    then the unknown cells alone are smoothed.
    """
    if known.all():
        return torch.from_numpy(values.astype(np.float32))
    weight = torch.from_numpy(known.astype(np.float32))[None, None]
    start = torch.from_numpy(np.where(known, values, 0).astype(np.float32))[None, None]
    now = _pulled_and_pushed(start, weight)
    for _ in range(_NUM_SMOOTHINGS):
        around = F.avg_pool3d(F.pad(now, (1,) * 6, mode="replicate"), 3, 1)
        now = torch.where(weight > 0, start, around)
    return now[0, 0]


def _pulled_and_pushed(
    values: Float[Tensor, "1 1 t h w"], weight: Float[Tensor, "1 1 t h w"]
) -> Float[Tensor, "1 1 t h w"]:
    if weight.min() > 0:
        return values
    halved = [2 if size > 1 else 1 for size in values.shape[2:]]
    share = F.avg_pool3d(weight, halved, ceil_mode=True)
    means = F.avg_pool3d(values * weight, halved, ceil_mode=True) / share.clamp(min=1e-12)
    coarse = _pulled_and_pushed(means, (share > 0).float())
    pushed = F.interpolate(coarse, values.shape[2:], mode="trilinear")
    return torch.where(weight > 0, values, pushed)
