"""What a restorer is shown of a frame to come: the guess, and the newest frames moved to it.

The guess (`guess.py`, `weigh.py`) is right where things go on as they did. How they change, how a
flame rises or a figure turns, differs from footage to footage and can be learned from it: by a
small network that starts at the guess, and is the same kind that restores frames.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from kineograph.models.candidates import CANDIDATES, NUM_SOURCES, candidate
from kineograph.models.net import Said
from kineograph.models.restorer import RestorerShape, Shown
from kineograph.models.weigh import FARTHEST
from kineograph.video.levels import in_bytes

NAME = "next"
"""What the restorer is called among a model's."""
SHOWN = (2, 6, 8)
"""Which candidates are shown: the last three frames, each moved to where it would be."""
NUM_AHEAD = len(SHOWN) + 1
"""Those, and the last frame as it is."""
SHAPE = RestorerShape(NUM_AHEAD, 2, (24, 48, 96), (3, 5))
BIAS = (-5.0,) * NUM_AHEAD
"""At first these pictures count for next to nothing beside the guess."""


@torch.no_grad()
def shown_ahead(known: Float[Tensor, "b 8 3 h w"], said: Said, horizons: Sequence[int]) -> Shown:
    """What is shown of the frames that `said` answers, clip by clip: b * n of them.

    horizons: how far ahead each is; 1 is the next frame.
    """
    newest = known[:, -NUM_SOURCES:]
    made = [
        _pictures(newest, path, float(s))
        for path, s in zip(said.paths.unbind(1), said.steps, strict=True)
    ]
    own = in_bytes(said.blend).flatten(0, 1)
    pictures = in_bytes(torch.stack(made, 1)).flatten(0, 1)
    told = known.new_tensor([told_of(horizon) for horizon in horizons])
    sure = torch.zeros_like(pictures[:, :, 0])
    return Shown(own, torch.full_like(own[:, :1], 255), pictures, sure, told.repeat(len(known), 1))


def told_of(horizon: int) -> tuple[float, float]:
    """How far ahead a frame is, as numbers near 1."""
    return horizon / FARTHEST, math.log2(horizon) / math.log2(FARTHEST)


def _pictures(
    newest: Float[Tensor, "b 3 3 h w"], paths: Float[Tensor, "b 3 2 h w"], steps: float
) -> Float[Tensor, "b k 3 h w"]:
    moved = [candidate(CANDIDATES[c], newest, paths, steps) for c in SHOWN]
    return torch.stack([*moved, newest[:, -1]], 1)
