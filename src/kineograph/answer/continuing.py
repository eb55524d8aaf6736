"""The only meeting point of question, model and kernel: windows of frames, one after another."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from kineograph import sample, schedule
from kineograph.answer.tiles import sized
from kineograph.flow import velocity_from_clean
from kineograph.models.candidates import NUM_SOURCES
from kineograph.models.kept import Kept
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.net import Kineo
from kineograph.models.window import Predictor, Window, foreseeing, foreseen, opened
from kineograph.sample import Progress
from kineograph.video.levels import to_8_bits

WORKING_PX = 144
"""Motion is thought out at no more than this short side, and carried out at the film's own size."""

MOST_APART = 2
"""Of 16 watched clips, 24 frames ahead, one window of every third frame had 22.4 dB, three windows
of all frames 23.1; of 24 clips, 12 ahead, one of every second frame 23.94, two of all 23.91."""


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn. One step gives the mean; more steps give a sample."""

    steps: int = 1
    seed: int = 0
    working_px: int = WORKING_PX

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 1000:
            raise ValueError(f"steps is {self.steps}: give 1 (the mean) to 1000.")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}: give 0 to 2**63 - 1.")
        if not 32 <= self.working_px <= 2048:
            raise ValueError(f"working_px is {self.working_px}: give 32 to 2048.")


def continued(
    model: Predictor,
    known: Float[Tensor, "t 3 h w"],
    num_frames: int,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> Iterator[Float[Tensor, "3 h w"]]:
    """The frames after `known`, one by one, at its size, in the 256 levels that a file can hold.

    Windows of 8 follow one another, so memory and time per frame do not depend on how many.
    The last 8 known frames count; fewer are taken as a film that stood still before.
    """
    if known.shape[0] < 1 or num_frames < 1:
        raise ValueError(
            f"{known.shape[0]} known frames and {num_frames} wanted: give at least 1 of both."
        )
    sampling = sampling or Sampling()
    generator = torch.Generator().manual_seed(sampling.seed)
    recent = _at_least(known[-NUM_KNOWN:], NUM_KNOWN)
    size = _working_size(known.shape[-2], known.shape[-1], sampling.working_px)
    small = deque([sized(frame, *size) for frame in recent], maxlen=NUM_KNOWN)
    newest = deque(recent[-NUM_SOURCES:], maxlen=NUM_SOURCES)
    done = 0
    while done < num_frames:
        window = answered_window(model, torch.stack(list(small)), sampling, generator)
        sources = torch.stack(list(newest))
        for index in range(min(window.question.num_frames - NUM_KNOWN, num_frames - done)):
            # What a file cannot hold may not become context, or small errors grow.
            frame = to_8_bits(window.frame(index, sources))
            newest.append(frame)
            small.append(sized(frame, *size))
            done += 1
            if progress is not None:
                progress(done, num_frames)
            yield frame


@torch.inference_mode()
def answered_window(
    model: Predictor,
    known: Float[Tensor, "8 3 h w"],
    sampling: Sampling,
    generator: torch.Generator,
) -> Window:
    """The next window of frames, thought out at the size of `known`."""
    window = opened(model, known, mean=sampling.steps == 1)
    return _sampled(window, sampling.steps, generator)


def _sampled(window: Window, steps: int, generator: torch.Generator) -> Window:
    """The window, answered through the kernel."""
    noise = torch.randn(window.question.frames.shape, generator=generator)

    def velocity(latents: Tensor, sigma: Tensor) -> Tensor:
        return velocity_from_clean(latents, window.clean(latents, sigma), sigma)

    levels = schedule.joint(steps, window.question.num_frames)
    sample.euler(velocity, window.question, noise, levels)
    return window


def stride_of(num_ahead: int) -> int | None:
    """How far apart known frames are for one window to reach so many ahead; None: too far."""
    stride = -(-num_ahead // NUM_KNOWN)
    return stride if stride <= MOST_APART else None


@torch.inference_mode()
def foretold(
    model: Predictor,
    frames: Sequence[Float[Tensor, "3 h w"]],
    number: int,
    num_ahead: int,
    kept: Kept,
    sampling: Sampling | None = None,
) -> Float[Tensor, "3 h w"]:
    """The one frame that comes so many after the last of these, at its size: its mean.

    frames: the newest ones, of which the last has this number and those before it one less each;
    `num_recent_of` says how many count. kept: carried from call to call, so that only what is new
    is measured. Where one window cannot reach so far it is `continued`'s last frame.
    """
    sampling, stride = sampling or Sampling(), stride_of(num_ahead)
    if stride is None or not isinstance(model, Kineo) or foreseeing(model) is None:
        *_, answer = continued(model, torch.stack(list(frames[-NUM_KNOWN:])), num_ahead, sampling)
        return answer
    at = [max(0, len(frames) - 1 - stride * n) for n in reversed(range(NUM_KNOWN))]
    kept.goes_on([number - len(frames) + 1 + place for place in at])
    size = _working_size(frames[-1].shape[-2], frames[-1].shape[-1], sampling.working_px)
    small = [
        kept.once("small", (n,), partial(sized, frames[place], *size)) for n, place in enumerate(at)
    ]
    window = foreseen(model, torch.stack(small), num_ahead / stride, kept)
    _sampled(window, 1, torch.Generator().manual_seed(sampling.seed))
    newest = torch.stack([frames[place] for place in at[-NUM_SOURCES:]])
    return to_8_bits(window.frame(0, newest))


def num_recent_of(num_ahead: int) -> int:
    """How many of the newest frames `foretold` looks at."""
    return (NUM_KNOWN - 1) * (stride_of(num_ahead) or 1) + 1


def _working_size(height: int, width: int, working_px: int) -> tuple[int, int]:
    ratio = min(1.0, working_px / min(height, width))
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def _at_least(frames: Tensor, count: int) -> list[Tensor]:
    missing = count - frames.shape[0]
    return [frames[0]] * missing + list(frames)
