"""What is foretold stands beside what is there now."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from kineograph.answer.continuing import Sampling, foretold
from kineograph.answer.restoring import Frame
from kineograph.models.kept import Kept
from kineograph.models.window import Predictor


@dataclass(frozen=True, eq=False)
class Recent:
    """The newest frames, oldest first; `number` is the last one's, and those before have one less
    each."""

    frames: Sequence[Frame]
    number: int


def beside(clips: Iterable[Recent], foretell: Callable[[Recent], Frame]) -> Iterator[Frame]:
    """The last frame of each clip, and to its right what `foretell` makes of the clip."""
    for clip in clips:
        yield torch.cat([clip.frames[-1], foretell(clip)], -1)


def foretelling(
    model: Predictor, num_ahead: int, sampling: Sampling | None = None
) -> Callable[[Recent], Frame]:
    """What foretells the frame so many after the newest, clip by clip of one film.

    What clips share is measured once, so each costs what is new in it.
    """
    kept = Kept((0,))

    def foretell(clip: Recent) -> Frame:
        return foretold(model, clip.frames, clip.number, num_ahead, kept, sampling)

    return foretell
