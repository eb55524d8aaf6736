"""A question holds, for each cell of a video, a value and how noisy that value is.

Where nothing is known the value is 0, whatever was given: an answer cannot peek, and NaN may
stand for what is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a video: `frames`, and `sigma` from 0 (exactly) to 1 (nothing).

    Raises ValueError where the shapes disagree, sigma leaves [0, 1], or a value that is known at
    all is not finite.

    >>> past = Known.exactly(torch.rand(1, 8, 3, 32, 32))
    >>> question = past.followed_by(4)  # predict
    >>> question.num_frames, question.sigma[0, :, 0, 0, 0].tolist()[6:10]
    (12, [0.0, 0.0, 1.0, 1.0])
    """

    frames: Float[Tensor, "b t c h w"]
    sigma: Float[Tensor, "b t 1 h w"]

    def __post_init__(self) -> None:
        _check(self.frames, self.sigma, "sigma", "0 is known exactly, 1 is not known")
        object.__setattr__(self, "frames", _kept(self.frames, self.sigma < 1))

    @classmethod
    def nothing(
        cls, b: int, t: int, c: int, h: int, w: int, device: torch.device | str | None = None
    ) -> "Known":
        """A video of that shape of which nothing is known."""
        frames = torch.zeros(b, t, c, h, w, device=device)
        return cls(frames, torch.ones(b, t, 1, h, w, device=device))

    @classmethod
    def exactly(cls, frames: Float[Tensor, "b t c h w"]) -> "Known":
        """Every cell is known exactly."""
        return cls(frames, torch.zeros_like(frames[:, :, :1]))

    @property
    def num_frames(self) -> int:
        return self.frames.shape[1]

    def followed_by(self, num_frames: int) -> "Known":
        """These frames, then `num_frames` of which nothing is known."""
        return _joined(self, self._unknown(num_frames))

    def preceded_by(self, num_frames: int) -> "Known":
        """`num_frames` of which nothing is known, then these."""
        return _joined(self._unknown(num_frames), self)

    def at_frames(self, indices: Sequence[int]) -> "Known":
        """Only the frames at `indices` stay known; negative ones count from the end."""
        beyond = [i for i in indices if not -self.num_frames <= i < self.num_frames]
        if beyond:
            raise ValueError(f"There is no frame {beyond[0]}: the video has {self.num_frames}.")
        inside = torch.zeros_like(self.sigma, dtype=torch.bool)
        inside[:, list(indices)] = True
        return self.region(inside)

    def region(self, inside: Bool[Tensor, "#b #t 1 #h #w"]) -> "Known":
        """Only the cells where `inside` is true stay known."""
        return Known(self.frames, torch.where(inside, self.sigma, 1.0))

    def forget(self, sigma: float | Float[Tensor, "#b #t 1 #h #w"]) -> "Known":
        """Every cell is at least as noisy as `sigma`."""
        least = torch.as_tensor(sigma, dtype=self.sigma.dtype, device=self.sigma.device)
        return Known(self.frames, torch.maximum(self.sigma, least))

    def __or__(self, other: "Known") -> "Known":
        """In each cell the better known of the two; this one where they tie."""
        if self.frames.shape != other.frames.shape:
            raise ValueError(
                f"Only videos of one shape can be joined by |, but these are "
                f"{tuple(self.frames.shape)} and {tuple(other.frames.shape)}."
            )
        frames = torch.where(other.sigma < self.sigma, other.frames, self.frames)
        return Known(frames, torch.minimum(self.sigma, other.sigma))

    def __getitem__(self, frames: slice) -> "Known":
        """A stretch of film time."""
        return Known(self.frames[:, frames], self.sigma[:, frames])

    def _unknown(self, num_frames: int) -> "Known":
        if num_frames < 0:
            raise ValueError(f"Cannot add {num_frames} frames: give 0 or more.")
        b, _, c, h, w = self.frames.shape
        frames = self.frames.new_zeros(b, num_frames, c, h, w)
        return Known(frames, self.sigma.new_ones(b, num_frames, 1, h, w))


@dataclass(frozen=True, eq=False)
class Guide:
    """Another video that says something about this one, with a `trust` from 0 (none) to 1."""

    frames: Float[Tensor, "b t c h w"]
    trust: Float[Tensor, "b t 1 h w"]

    def __post_init__(self) -> None:
        _check(self.frames, self.trust, "trust", "0 is no trust, 1 is full trust")
        object.__setattr__(self, "frames", _kept(self.frames, self.trust > 0))

    @classmethod
    def none_like(cls, known: Known) -> "Guide":
        """No guide: nothing in it is to be trusted."""
        return cls(torch.zeros_like(known.frames), torch.zeros_like(known.sigma))


def _check(frames: Tensor, level: Tensor, name: str, meaning: str) -> None:
    if frames.ndim != 5 or not frames.is_floating_point():
        raise ValueError(
            f"The frames are {tuple(frames.shape)} of {frames.dtype}: give floating point "
            f"frames shaped (b, t, c, h, w)."
        )
    expected = (*frames.shape[:2], 1, *frames.shape[3:])
    if tuple(level.shape) != expected:
        raise ValueError(f"{name} is {tuple(level.shape)}, but these frames need {expected}.")
    if not ((level >= 0) & (level <= 1)).all():
        low, high = level.min().item(), level.max().item()
        raise ValueError(f"{name} runs from {low} to {high}, but {meaning}: stay in [0, 1].")


def _kept(frames: Tensor, inside: Tensor) -> Tensor:
    kept = torch.where(inside, frames, 0.0)
    num_bad = int((~kept.isfinite()).sum())
    if num_bad:
        raise ValueError(
            f"{num_bad} values that are said to be known are NaN or infinite: mend them, or mark "
            f"their cells as not known."
        )
    return kept


def _joined(first: Known, second: Known) -> Known:
    frames = torch.cat([first.frames, second.frames], dim=1)
    return Known(frames, torch.cat([first.sigma, second.sigma], dim=1))
