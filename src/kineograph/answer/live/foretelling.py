"""What is foretold stands beside what is there now."""

from collections.abc import Callable, Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from kineograph.answer.restoring import Frame


def beside(
    clips: Iterable[Float[Tensor, "t 3 h w"]],
    foretell: Callable[[Float[Tensor, "t 3 h w"]], Frame],
) -> Iterator[Frame]:
    """The last frame of each clip, and to its right what `foretell` makes of the clip."""
    for clip in clips:
        yield torch.cat([clip[-1], foretell(clip)], -1)
