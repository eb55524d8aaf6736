"""What comes is learned by two small networks: one moves the last frame, the other mends the mean.

The guess (`guess.py`, `weigh.py`) is right where things go on as they did. How they change, how a
flame rises or a figure turns, differs from footage to footage and can be learned from it. Both
networks start at the guess. The mover's picture is a sample, as sharp as the film; the mender is
shown it, too, beside the newest frames moved along the guess, and answers the mean.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from kineograph.models.candidates import CANDIDATES, NUM_SOURCES, candidate, shares
from kineograph.models.layers import warped
from kineograph.models.mover import Mover
from kineograph.models.net import Plan, Said, broad, pulled
from kineograph.models.restorer import Restorer, RestorerShape, Shown
from kineograph.models.weigh import FARTHEST
from kineograph.video.levels import from_levels, in_bytes

NAME = "next"
"""What it is called among the lessons."""
SHOWN = (2, 6, 8)
"""Which candidates are shown: the last three frames, each moved to where it would be."""
STILL = 1
"""The candidate that is the last frame as it is, which is shown after those."""
NUM_AHEAD = len(SHOWN) + 1
SHAPE = RestorerShape(NUM_AHEAD + 1, 2, (24, 48, 96), (3, 5))
ODDS, MOVED_ODDS, SOFT_ODDS = -5.0, -4.0, -5.0
"""At first these pictures count for next to nothing beside the guess."""
PACE, BELIEF = 0.05, 0.1
"""How much samples differ, as shares."""


@dataclass(frozen=True, eq=False)
class Coming:
    """A frame to come as it is asked for: what is shown of it, and where the guess moves it."""

    shown: Shown
    path: Float[Tensor, "n 2 h w"]


class Ahead(nn.Module):
    """The mover and the mender.

    draws: whether samples are the mover's, too. What has learned one footage moves it better than
    the large network does; over all kinds of film that one moves more like them.
    """

    draws: Bool[Tensor, ""]

    def __init__(self) -> None:
        super().__init__()
        self.move = Mover(NUM_AHEAD, SHAPE.num_told, SHAPE.channels)
        self.mend = Restorer(SHAPE)
        self.register_buffer("draws", torch.tensor(False))
        self.mend.bias.data[:] = ODDS
        self.mend.bias.data[-1] = MOVED_ODDS
        assert self.mend.say.bias is not None
        self.mend.say.bias.data[-4 * len(SHAPE.soft_px) :] = SOFT_ODDS

    def forward(self, coming: Coming) -> tuple[Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"]]:
        """The mean, and the last frame moved. No gradient goes from the one into the other."""
        moved = warped(last_of(coming.shown), self.move(coming.shown, coming.path))
        return self.mend(beside(coming.shown, moved)), moved

    def plan(
        self, coming: Coming, said: Said, noise: Float[Tensor, "n 3 h w"] | None = None
    ) -> Plan:
        """How to make one clip's frames, at any size: their mean, or with noise a sample.

        The noise is broad and the same for all frames. It makes things go a little faster or
        slower, and believes the change of motion that was learned more or less.
        """
        motion = self.move(coming.shown, coming.path)
        if noise is None:
            return self._mean_plan(coming, said, motion)
        pace, belief = broad(noise, 2).split(1, 1)
        motion = (1 + PACE * pace) * motion + BELIEF * belief * (motion - coming.path)
        return pulled(motion, said.steps)

    def _mean_plan(self, coming: Coming, said: Said, motion: Tensor) -> Plan:
        moved = warped(last_of(coming.shown), motion)
        gates, pictures, correction = self.mend.chosen(beside(coming.shown, moved))
        own, *made, moved_gate = F.pixel_shuffle(gates[:, : 2 + NUM_AHEAD].flatten(1, 2), 2).split(
            1, 1
        )
        classical = own * shares(said.weights[0], own.shape[-2:])
        for index, gate in zip((*SHOWN, STILL), made, strict=True):
            classical[:, index] += gate[:, 0]
        soft = gates[:, 2 + NUM_AHEAD :]
        added = correction
        for gate, picture in zip(soft.unbind(1), pictures[2 + NUM_AHEAD :], strict=True):
            added = added + (gate[:, None] * picture.unflatten(1, (-1, 4))).flatten(1, 2)
        unused = torch.zeros_like(moved_gate), torch.zeros_like(motion)
        return Plan(
            torch.cat([classical, moved_gate, unused[0]], 1),
            said.paths[0],
            said.steps,
            torch.stack([motion, unused[1]], 1),
            F.pixel_shuffle(added, 2),
        )


def last_of(shown: Shown) -> Float[Tensor, "n 3 h w"]:
    """The last known frame, in [-1, 1]."""
    return from_levels(shown.made[:, NUM_AHEAD - 1])


def beside(shown: Shown, moved: Float[Tensor, "n 3 h w"]) -> Shown:
    """The same, with one more picture."""
    made = torch.cat([shown.made, in_bytes(moved.detach())[:, None]], 1)
    return replace(shown, made=made, doubt=torch.zeros_like(made[:, :, 0]))


@torch.no_grad()
def coming_of(
    known: Float[Tensor, "b 8 3 h w"], said: Said, horizons: Sequence[int | float]
) -> Coming:
    """What is asked of the frames that `said` answers, clip by clip: b * n of them.

    horizons: how far ahead each is; 1 is the next frame.
    """
    newest = known[:, -NUM_SOURCES:]
    made = [
        _pictures(newest, path, float(s))
        for path, s in zip(said.paths.unbind(1), said.steps, strict=True)
    ]
    own = in_bytes(said.blend).flatten(0, 1)
    pictures = in_bytes(torch.stack(made, 1)).flatten(0, 1)
    told = known.new_tensor([told_of(horizon) for horizon in horizons]).repeat(len(known), 1)
    sure = torch.zeros_like(pictures[:, :, 0])
    shown = Shown(own, torch.full_like(own[:, :1], 255), pictures, sure, told)
    return Coming(shown, said.paths[:, :, 0].flatten(0, 1))


def told_of(horizon: int | float) -> tuple[float, float]:
    """How far ahead a frame is, as numbers near 1."""
    return horizon / FARTHEST, math.log2(horizon) / math.log2(FARTHEST)


def _pictures(
    newest: Float[Tensor, "b 3 3 h w"], paths: Float[Tensor, "b 3 2 h w"], steps: float
) -> Float[Tensor, "b k 3 h w"]:
    moved = [candidate(CANDIDATES[c], newest, paths, steps) for c in SHOWN]
    return torch.stack([*moved, newest[:, -1]], 1)
