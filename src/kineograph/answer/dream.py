"""A dream: a game that goes on in a world, frame by frame, as actions are given."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from kineograph import runtime
from kineograph.models.playable import Playable
from kineograph.models.world import World

MOST_LUCK = 4.0
HELD = 0.8
"""How often an action is held on to where it is chosen by chance."""


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
        calibration = questions(world, luck) if backend == "int8" else None
        self.run = runtime.prepared(playable, playable.example(), backend, calibration)
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
        return self.answer(self.question(action))

    def question(self, action: int) -> runtime.Arrays:
        """What the world is asked next; each time luck is drawn anew. ValueError as in `step`."""
        if not 0 <= action < self.shape.num_actions:
            raise ValueError(
                f"This world has actions 0 to {self.shape.num_actions - 1}; got {action}."
            )
        acted = np.zeros((1, self.shape.num_actions), np.float32)
        acted[0, action] = 1
        drawn = self.rng.standard_normal((1, *self.shape.luck_size), dtype=np.float32)
        return self.past[None], self.plate[None], acted, self.luck * drawn

    def answer(self, question: runtime.Arrays) -> Moment:
        """What comes of it, and goes on from."""
        frame, reward, end = self.run(*question)
        self.past = np.concatenate([self.past[1:], frame])
        return Moment(frame[0], float(reward[0]), float(end[0]))


def starts_of(world: World) -> list[Start]:
    """Those that a world keeps, one by one."""
    return [Start(past, plate) for past, plate in zip(world.starts, world.plates, strict=True)]


def luck_of(card: dict[str, Any]) -> float:
    """What a world's card says; 1 where it says nothing sound."""
    said = card.get("luck")
    return float(said) if isinstance(said, int | float) and 0 <= said <= MOST_LUCK else 1.0


def seeded(starts: list[Start], seed: int) -> Start:
    """The start that a seed stands for."""
    return starts[seed % len(starts)]


def questions(
    world: World, luck: float = 1.0, num: int = 128, every: int = 4, seed: int = 0
) -> list[runtime.Arrays]:
    """What is asked in dreams from all of a world's starts, with actions by chance.

    Each `every`th question is kept. ValueError for a world that has no starts.
    """
    starts = starts_of(world)
    if not starts:
        raise ValueError("This world keeps no moments to begin at: learn it again.")
    dream, rng = Dream(world, luck=luck), np.random.default_rng(seed)
    kept = -(-num // len(starts))
    found = [
        question
        for n, start in enumerate(starts)
        for question in _asked(dream, start, seed + n, kept * every, rng)[::every]
    ]
    return found[:num]


def _asked(
    dream: Dream, start: Start, seed: int, num: int, rng: np.random.Generator
) -> list[runtime.Arrays]:
    """All questions of one dream."""
    dream.begin(start, seed)
    action, found = 0, []
    for n in range(num):
        if n == 0 or rng.random() >= HELD:
            action = int(rng.integers(dream.shape.num_actions))
        found.append(dream.question(action))
        dream.answer(found[-1])
    return found
