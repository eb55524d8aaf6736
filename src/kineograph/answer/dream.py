"""A dream: a game that goes on in a world, frame by frame, as actions are given."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from kineograph import runtime
from kineograph.models.playable import Playable
from kineograph.models.world import World


@dataclass(frozen=True, eq=False)
class Start:
    """Where a dream begins: frames that were seen, and what stood there all along."""

    past: UInt8[Tensor, "p 3 h w"]
    plate: UInt8[Tensor, "3 h w"]


class Moment(NamedTuple):
    """What came of an action. end: the chance that the game was over."""

    frame: UInt8[np.ndarray, "3 h w"]
    reward: float
    end: float


class Dream:
    """A world, played. The same start, seed and actions are the same game, on one backend.

    luck: how far what comes may be from the likeliest; 1 as the world has learned, 0 no surprise.
    """

    def __init__(self, world: World, backend: runtime.Backend = "auto", luck: float = 1.0) -> None:
        playable = Playable(world)
        self.shape, self.luck = world.shape, luck
        self.run = runtime.prepared(playable, playable.example(), backend)
        self.rng = np.random.default_rng(0)
        size = (3, self.shape.height_px, self.shape.width_px)
        self.past = np.zeros((self.shape.num_past, *size), np.uint8)
        self.plate = np.zeros(size, np.uint8)

    def begin(self, start: Start, seed: int = 0) -> UInt8[np.ndarray, "3 h w"]:
        """Goes to a start; gives its last frame."""
        self.rng = np.random.default_rng(seed)
        self.past, self.plate = start.past.numpy().copy(), start.plate.numpy().copy()
        return self.past[-1]

    def step(self, action: int) -> Moment:
        """One frame on. ValueError for an action that the world does not have."""
        if not 0 <= action < self.shape.num_actions:
            raise ValueError(
                f"This world has actions 0 to {self.shape.num_actions - 1}; got {action}."
            )
        acted = np.zeros((1, self.shape.num_actions), np.float32)
        acted[0, action] = 1
        drawn = self.rng.standard_normal((1, *self.shape.luck_size), dtype=np.float32)
        frame, reward, end = self.run(self.past[None], self.plate[None], acted, self.luck * drawn)
        self.past = np.concatenate([self.past[1:], frame])
        return Moment(frame[0], float(reward[0]), float(end[0]))


def starts_of(past: UInt8[Tensor, "s p 3 h w"], plates: UInt8[Tensor, "s 3 h w"]) -> list[Start]:
    """Those that a world's file holds, one by one."""
    return [Start(p, plate) for p, plate in zip(past.unbind(0), plates.unbind(0), strict=True)]


def seeded(starts: list[Start], seed: int) -> Start:
    """The start that a seed stands for."""
    return starts[seed % len(starts)]
