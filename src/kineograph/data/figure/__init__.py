"""A walking figure as a Gymnasium environment: actions in, motion out."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from kineograph.data.figure.drawing import Stage, dressed
from kineograph.data.figure.moving import ACTIONS, FPS, standing
from kineograph.data.recording import FIGURE

SIZE_PX = 128
STARS_M = ((-1.4, 0.35), (0.5, 1.9), (1.4, 1.0), (-0.6, 2.0), (0.0, 0.5))
"""Where a star is, one after the other."""
REACH_M = 0.42
MOST_FRAMES = 300


class FigureGame(gymnasium.Env[np.ndarray, np.int64]):
    """A figure that walks, jumps, crouches and kicks a ball, and a star worth 1 that moves on.

    An episode is cut after 20 seconds; another one has other colours and another land.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": FPS}  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, render_mode: str | None = "rgb_array", size_px: int = SIZE_PX) -> None:
        self.render_mode, self.size_px = render_mode, size_px
        self.action_space = spaces.Discrete(len(ACTIONS))
        self.observation_space = spaces.Box(0, 255, (size_px, size_px, 3), np.uint8)
        self._begin(np.random.default_rng(0))

    def _begin(self, rng: np.random.Generator) -> None:
        self.figure, self.stage = standing(rng), Stage(dressed(rng), self.size_px)
        self.star, self.num_frames = int(rng.integers(len(STARS_M))), 0

    def get_action_meanings(self) -> list[str]:
        """What each action does."""
        return list(ACTIONS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._begin(self.np_random)
        return self.render(), {}

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.figure.act(int(action))
        self.num_frames += 1
        reached = self._reached()
        self.star = (self.star + reached) % len(STARS_M)
        return self.render(), float(reached), False, self.num_frames >= MOST_FRAMES, {}

    def render(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The stage as it is now."""
        return self.stage.drawn(self.figure, STARS_M[self.star])

    def _reached(self) -> int:
        """1 where the body, the head or a hand is at the star."""
        at = np.array(STARS_M[self.star])
        parts = ("torso", "head", "hand_near", "hand_far")
        places = [self.figure.data.geom(name).xpos[[0, 2]] for name in parts]
        return int(min(np.linalg.norm(place - at) for place in places) < REACH_M)


def register() -> None:
    """Makes the figure known to Gymnasium by its name."""
    if FIGURE not in gymnasium.registry:
        gymnasium.register(FIGURE, entry_point=f"{__name__}:{FigureGame.__name__}")
