"""A schedule is one noise level per step and frame; each frame falls from exactly 1 to exactly 0.

All schedules are one staircase, begun at another moment by each frame. `num_steps` is the number
of steps that each frame takes, so quality means the same in all of them; the number of rows
follows from it. Frames that wait stay at 1, frames that are done stay at 0.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def joint(num_steps: int, num_frames: int, shift: float = 1.0) -> Float[Tensor, "s t"]:
    """All frames at once, at one level.

    >>> joint(num_steps=2, num_frames=3).tolist()
    [[1.0, 1.0, 1.0], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]
    """
    return pyramid(num_steps, num_frames, lag=0, shift=shift)


def autoregressive(
    num_steps: int, num_frames: int, block: int = 1, shift: float = 1.0
) -> Float[Tensor, "s t"]:
    """Blocks of frames, each begun when the one before it is done.

    >>> autoregressive(num_steps=1, num_frames=3, block=2).tolist()
    [[1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    if block < 1:
        raise ValueError(f"A block of {block} frames never ends: give 1 or more.")
    return _staircases(num_steps, num_steps * (_frames(num_frames) // block), shift)


def pyramid(
    num_steps: int, num_frames: int, lag: int = 1, shift: float = 1.0
) -> Float[Tensor, "s t"]:
    """Each frame `lag` steps behind the one before it (Diffusion Forcing, arXiv 2407.01392).

    A lag of 0 is `joint`; a lag of `num_steps` is `autoregressive` with a block of one.

    >>> pyramid(num_steps=2, num_frames=2).tolist()
    [[1.0, 1.0], [0.5, 1.0], [0.0, 0.5], [0.0, 0.0]]
    """
    if lag < 0:
        raise ValueError(f"A lag of {lag} steps would begin with the last frame: give 0 or more.")
    return _staircases(num_steps, lag * _frames(num_frames), shift)


def shifted(level: Float[Tensor, "*s"], shift: float) -> Float[Tensor, "*s"]:
    """Levels moved towards noise by `shift` > 1, as large pictures need; 0 and 1 stay.

    Esser et al., arXiv 2403.03206, equation 23, written so that both ends are exact.
    """
    if not 0 < shift < float("inf"):
        raise ValueError(f"shift is {shift}, but it is a ratio of noise: give one above 0.")
    return shift * level / (shift * level + (1 - level))


def _frames(num_frames: int) -> Int[Tensor, " t"]:
    if num_frames < 1:
        raise ValueError(f"A schedule for {num_frames} frames is empty: give 1 or more.")
    return torch.arange(num_frames)


def _staircases(num_steps: int, starts: Int[Tensor, " t"], shift: float) -> Float[Tensor, "s t"]:
    if num_steps < 1:
        raise ValueError(f"{num_steps} steps lead nowhere: give 1 or more.")
    rows = torch.arange(num_steps + int(starts.max()) + 1)
    steps_done = (rows[:, None] - starts).clamp(0, num_steps)
    return shifted(1 - steps_done / num_steps, shift)
