"""A learned world as a Gymnasium environment: what is learned from a game can stand in for it.

After `register()`: `gymnasium.make("kineograph/World-v0", world="kineo-fish")`. It needs
`kineograph[games]`. (As a plugin that Gymnasium finds by itself it would make each program that
imports Gymnasium wait for torch.)
"""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from kineograph import runtime
from kineograph.answer.dream import Dream, luck_of, seeded, starts_of
from kineograph.models import weights

NAME = "kineograph/World-v0"
OVER = 0.5
"""From this chance on, the game is taken to be over."""


class DreamedGame(gymnasium.Env[np.ndarray, np.int64]):
    """Frames as h w 3 bytes, the world's own actions and rewards.

    The same seed and actions are the same game. ValueError for a world that is not there, or has
    no moments to begin at.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 15}  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        world: str = weights.SHIPPED_WORLD,
        render_mode: str | None = None,
        backend: runtime.Backend = "auto",
        luck: float | None = None,
    ) -> None:
        learned = weights.load_world(world)
        if not learned.shape.num_starts:
            raise ValueError(f"{world} keeps no moments to begin at: learn it again.")
        luck = luck_of(weights.card(world)) if luck is None else luck
        self.dream, self.render_mode = Dream(learned, backend, luck), render_mode
        self.starts = starts_of(learned)
        shape = (learned.shape.height_px, learned.shape.width_px, 3)
        self.action_space = spaces.Discrete(learned.shape.num_actions)
        self.observation_space = spaces.Box(0, 255, shape, np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31))
        self.dream.begin(seeded(self.starts, drawn), drawn)
        return self._seen(), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        moment = self.dream.step(int(action))
        return self._seen(), moment.reward, moment.end > OVER, False, {"end": moment.end}

    def render(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The frame as it is now."""
        return self._seen()

    def _seen(self) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(self.dream.past[-1], 0, -1))


def register() -> None:
    """Makes the environment known to Gymnasium by its name."""
    gymnasium.register(NAME, entry_point="kineograph.answer.environment:DreamedGame")
