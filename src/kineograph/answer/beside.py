"""A real game beside the dream of it: both begin at the same frames and get the same actions."""

import math
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from kineograph.answer.dream import Dream, Moment, Start
from kineograph.data.clips import rng_for
from kineograph.data.episodes import plate_of
from kineograph.data.live import Live
from kineograph.data.recording import held
from kineograph.models.world import WorldShape

NUM_WARM = 80
"""Steps before the dream begins, so that what moves is not in the plate: who is played, too."""


class Real(NamedTuple):
    """What really came of an action. psnr: of the dreamed frame, in dB; NaN once it is over."""

    frame: UInt8[np.ndarray, "3 h w"]
    reward: float
    ended: bool
    psnr: float


class Beside:
    """A dream and its game, which stands still once it has ended."""

    def __init__(self, dream: Dream, game: Live) -> None:
        self.dream, self.game = dream, game
        self.last, self.ended = dream.past[-1], False

    def begin(self, seed: int) -> tuple[Moment, Real]:
        """Goes to where the game with this seed is after a while. ValueError if it ends first."""
        frames = warmed(self.game, seed, self.dream.shape.num_past)
        dreamed = self.dream.begin(start_at(frames, self.dream.shape.num_past), seed)
        self.last, self.ended = dreamed, False
        return Moment(dreamed, 0.0, 0.0), Real(dreamed, 0.0, False, math.inf)

    def step(self, action: int) -> tuple[Moment, Real]:
        """One frame on, in both."""
        moment, reward = self.dream.step(action), 0.0
        if not self.ended:
            came = self.game.step(action)
            self.last = np.ascontiguousarray(np.moveaxis(came.frame, -1, 0))
            reward, self.ended = came.reward, came.ended
        psnr = math.nan if self.ended else psnr_db(self.last, moment.frame)
        return moment, Real(self.last, reward, self.ended, psnr)

    def close(self) -> None:
        self.game.close()


def check_fits(game: Live, shape: WorldShape, name: str, names: Sequence[str] = ()) -> None:
    """ValueError if the game cannot be played beside that world, whose actions are called so."""
    if game.num_actions != shape.num_actions:
        raise ValueError(
            f"{name} has {game.num_actions} actions, and the world {shape.num_actions}: a game "
            "can only be beside a world that was learned from it."
        )
    if called(names) and called(game.names) and list(names) != list(game.names):
        raise ValueError(
            f"{name} calls its actions {', '.join(game.names)}, and the world {', '.join(names)}: "
            "a game can only be beside a world that was learned from it."
        )
    game.reset(0)


def called(names: Sequence[str]) -> bool:
    """Whether actions have names that say something, and are not only counted."""
    return not all(name.isdecimal() for name in names)


def warmed(game: Live, seed: int, num_past: int) -> UInt8[np.ndarray, "t h w 3"]:
    """The game's first frames, played by chance; half as many as came before it ended so."""
    num_warm = max(NUM_WARM, num_past - 1)
    while num_warm >= num_past - 1:
        frames = [game.reset(seed)]
        for action in islice(held(rng_for(seed, 0), game.num_actions), num_warm):
            frame, _, ended = game.step(action)
            if ended:
                break
            frames.append(frame)
        else:
            return np.stack(frames)
        num_warm = len(frames) // 2
    raise ValueError(
        f"This game with seed {seed} is over before there are {num_past} frames to dream on from."
    )


def start_at(frames: UInt8[np.ndarray, "t h w 3"], num_past: int) -> Start:
    """Where a dream begins that goes on from these."""
    past = np.ascontiguousarray(np.moveaxis(frames[-num_past:], -1, 1))
    return Start(torch.from_numpy(past), torch.from_numpy(plate_of(frames)))


def psnr_db(real: UInt8[np.ndarray, "3 h w"], dreamed: UInt8[np.ndarray, "3 h w"]) -> float:
    """Infinite where they are the same."""
    error = float(np.square(real.astype(np.float64) - dreamed).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf
