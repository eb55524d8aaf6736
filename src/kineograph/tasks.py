"""Every task side by side: what is known, and nothing else."""

from collections.abc import Iterator
from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor

from kineograph.answer import Progress, Sampling, continued
from kineograph.models import weights
from kineograph.models.window import Predictor

MAX_FRAMES = 10_000_000


def predict(
    frames: Float[Tensor, "t c h w"],
    num_frames: int,
    model: Predictor | None = None,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> Float[Tensor, "n c h w"]:
    """The `num_frames` frames after `frames`, RGB in [-1, 1], at the same size.

    Raises ValueError for an empty or non-finite film, one that is not RGB, or no frames wanted.

    >>> past = torch.zeros(8, 3, 32, 32)
    >>> predict(past, 4).shape
    torch.Size([4, 3, 32, 32])
    """
    return torch.stack(list(predicting(frames, num_frames, model, sampling, progress)))


def predicting(
    frames: Float[Tensor, "t c h w"],
    num_frames: int,
    model: Predictor | None = None,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> Iterator[Float[Tensor, "c h w"]]:
    """`predict` as a stream: frames come as they are made, in memory that does not grow."""
    if frames.ndim != 4 or frames.shape[0] < 1 or frames.shape[1] != 3:
        raise ValueError(f"The frames are {tuple(frames.shape)}: give RGB as (t, 3, h, w), t >= 1.")
    if min(frames.shape[-2:]) < 2:
        h, w = frames.shape[-2:]
        raise ValueError(f"The frames are {w}x{h} px, too small to see motion: give 2x2 or more.")
    if not frames.isfinite().all():
        raise ValueError("The frames hold NaN or infinite values: mend them first.")
    if not 1 <= num_frames <= MAX_FRAMES:
        raise ValueError(f"{num_frames} frames are wanted: ask for 1 to {MAX_FRAMES:,}.")
    return continued(model or weights.load(), frames, num_frames, sampling, progress)


def frames_in(seconds: float, fps: Fraction) -> int:
    """How many frames last so long, at least 1. ValueError if that is no sensible duration."""
    if not 0 < seconds <= 1e6:
        raise ValueError(f"{seconds} seconds: give more than 0, and at most a million.")
    return max(1, round(seconds * fps))
