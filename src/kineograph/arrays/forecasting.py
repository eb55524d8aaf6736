"""Every channel of a stack is continued as a grey film; what was never known stays unknown."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from kineograph.arrays.fill import filled
from kineograph.arrays.scale import Scale, robust
from kineograph.arrays.stack import ArrayError, Stack, check_bytes

MAX_FRAMES = 100_000
_CONTEXT = 32  # steps that are filled and shown to the model

Predict = Callable[[Tensor, int, int | None], Tensor]
"""`predict(frames, num_frames, seed)`: RGB `t 3 h w` in [-1, 1] to the `n 3 h w` that follow.

A seed asks for a sample, None for the mean.
"""
Progress = Callable[[int, int], None]
"""`progress(done, total)`, in answers of the model."""


@dataclass(frozen=True)
class Forecast:
    """What follows a stack, in its stored values (before scale_factor); NaN: never known.

    mean: the model's own mean, which is closer to what comes than the samples' mean
    spread: the standard deviation over the samples
    """

    mean: Float[np.ndarray, "n c h w"]
    spread: Float[np.ndarray, "n c h w"]
    samples: Float[np.ndarray, "s n c h w"]
    stack: Stack

    @property
    def num_frames(self) -> int:
        """How many steps are foretold."""
        return self.mean.shape[0]


def forecast(
    stack: Stack,
    num_frames: int,
    predict: Predict,
    samples: int = 4,
    seed: int = 0,
    progress: Progress | None = None,
) -> Forecast:
    """The next `num_frames` steps of every channel, and how far `samples` draws of them differ.

    Values are scaled to [-1, 1] by the `robust` scale of a channel's known cells, in all steps;
    unknown cells are filled for the model, and are NaN in the answer if no step knows them.
    Sample i is drawn with the seed `seed + i`, each channel alike. Raises ValueError for counts
    out of range, or an answer of more than 4 GiB.
    """
    if not 1 <= num_frames <= MAX_FRAMES:
        raise ArrayError(f"{num_frames} steps are wanted: ask for 1 to {MAX_FRAMES:,}.")
    if not 2 <= samples <= 1000:
        raise ArrayError(f"{samples} samples are wanted: a spread needs 2 to 1000 of them.")
    _, channels, height, width = stack.values.shape
    shape = (samples + 2, num_frames, channels, height, width)
    check_bytes(int(np.prod(shape, dtype=object)) * 8, "the forecast")
    answers = np.full((samples + 1, *shape[1:]), np.nan)
    seeds = [None, *range(seed, seed + samples)]
    for channel in range(channels):
        if not stack.known[:, channel].any():
            continue
        frames, scale = frames_of(stack, channel)
        for index, drawn in enumerate(seeds):
            answers[index, :, channel] = _values(predict(frames, num_frames, drawn), scale)
            if progress is not None:
                progress(channel * len(seeds) + index + 1, channels * len(seeds))
    answers[..., ~stack.known.any(0)] = np.nan
    return Forecast(answers[0], answers[1:].std(0, ddof=1), answers[1:], stack)


def frames_of(stack: Stack, channel: int) -> tuple[Float[Tensor, "t 3 h w"], Scale]:
    """The last steps of a channel as grey RGB frames without a hole, and their scale."""
    values, known = stack.values[:, channel], stack.known[:, channel]
    scale = robust(values[known])
    recent, seen = values[-_CONTEXT:], known[-_CONTEXT:]
    if not seen.any():
        recent, seen = values, known
    grey = filled(scale.to_unit(np.where(seen, recent, scale.knots[0])), seen)
    return repeat(grey, "t h w -> t 3 h w").clamp(-1, 1).contiguous(), scale


def _values(frames: Float[Tensor, "n 3 h w"], scale: Scale) -> Float[np.ndarray, "n h w"]:
    grey = frames.double().mean(1).clamp(-1, 1).cpu()
    return scale.from_unit(grey.numpy())
