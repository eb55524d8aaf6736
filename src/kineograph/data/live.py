"""A real game that is stepped, one action at a time, whether of Gymnasium or of Procgen."""

from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import UInt8

from kineograph.data import procgen_player
from kineograph.data.actions import actions_of
from kineograph.data.procgen import MOST_SEED, Running, is_procgen
from kineograph.data.recording import check_picture, environment, sized


class Came(NamedTuple):
    """What came of an action. After the end a game must be reset."""

    frame: UInt8[np.ndarray, "h w 3"]
    reward: float
    ended: bool


class Live(ABC):
    """A game that is played until it is closed; ValueError where it breaks off.

    names: what its actions are called; their numbers where it does not say.
    """

    names: tuple[str, ...]

    @property
    def num_actions(self) -> int:
        return len(self.names)

    @abstractmethod
    def reset(self, seed: int) -> UInt8[np.ndarray, "h w 3"]:
        """Begins; gives the first frame. The same seed and actions are the same game."""

    @abstractmethod
    def step(self, action: int) -> Came: ...

    @abstractmethod
    def close(self) -> None: ...


def opened(game: str, width_px: int, height_px: int) -> Live:
    """`game` is what `recording.record` takes; its frames are brought to this size as recordings
    are. ValueError if it cannot be played."""
    kind = ProcgenGame if is_procgen(game) else GymnasiumGame
    return kind(game, width_px, height_px)


@final
class GymnasiumGame(Live):
    """An environment of Gymnasium."""

    def __init__(self, game: str, width_px: int, height_px: int) -> None:
        self.game, self.size_px = game, (width_px, height_px)
        with ExitStack() as held:
            self.env: Any = held.enter_context(environment(game))
            self.actions = actions_of(self.env, game)
            self.names = self.actions.names
            self.held = held.pop_all()

    def reset(self, seed: int) -> UInt8[np.ndarray, "h w 3"]:
        self.env.reset(seed=seed)
        return self._seen()

    def step(self, action: int) -> Came:
        _, reward, terminated, truncated, _ = self.env.step(self.actions.given[action])
        return Came(self._seen(), float(reward), bool(terminated or truncated))

    def close(self) -> None:
        self.held.close()

    def _seen(self) -> UInt8[np.ndarray, "h w 3"]:
        """Recordings are squares; what is none must be shown as it is."""
        picture, (width, height) = self.env.render(), self.size_px
        check_picture(picture, self.game)
        if width == height:
            return sized(picture, self.game, width)
        if picture.shape[:2] != (height, width):
            raise ValueError(
                f"{self.game} shows {picture.shape[1]}x{picture.shape[0]} px, and the world "
                f"{width}x{height}: they must be the same where they are no squares."
            )
        return picture.copy()


@final
class ProcgenGame(Live):
    """A game of Procgen, in a program that each reset starts anew."""

    def __init__(self, game: str, width_px: int, height_px: int) -> None:
        if width_px != height_px:
            raise ValueError(f"{game} shows squares, and the world {width_px}x{height_px} px.")
        self.game, self.size_px = game, width_px
        self.names = procgen_player.ACTIONS
        self.running: Running | None = None
        self.last = np.zeros((width_px, width_px, 3), np.uint8)

    def reset(self, seed: int) -> UInt8[np.ndarray, "h w 3"]:
        self.close()
        self.running = Running(self.game, self.size_px, seed % (MOST_SEED + 1), "--live")
        self.last = self.running.moment()["frame"]
        return self.last

    def step(self, action: int) -> Came:
        assert self.running is not None
        self.running.act(action)
        came = self.running.moment()
        ended = bool(came["end"])
        if not ended:  # else it already shows the episode after
            self.last = came["frame"]
        return Came(self.last, float(came["reward"]), ended)

    def close(self) -> None:
        if self.running is not None:
            self.running.close()
        self.running = None
