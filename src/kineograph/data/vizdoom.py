"""Scenarios of ViZDoom as Gymnasium environments whose actions have names."""

import importlib
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

VIZDOOM = "vizdoom:"
ID = re.compile(r"Vizdoom[\w-]+-v\d+")
TICS, TICS_PER_SECOND = 2, 35
"""Of Doom's clock to a frame: so a recording has 17.5 frames a second, about as it is played."""
LEFT_BEHIND = Path("_vizdoom")


def is_vizdoom(game: str) -> bool:
    """Whether it is vizdoom:NAME, or the id of such an environment."""
    return game.startswith(VIZDOOM) or ID.fullmatch(game) is not None


@contextmanager
def opened(game: str) -> Iterator[Any]:
    """A scenario without sound or window. ValueError if ViZDoom is not installed."""
    try:
        importlib.import_module("vizdoom.gymnasium_wrapper")
    except ImportError as error:
        raise ValueError(f"{game} needs ViZDoom: pip install 'kineograph[games]'.") from error
    import gymnasium

    with TemporaryDirectory() as folder, nothing_left():
        quiet = {"doom_config_path": str(Path(folder) / "vizdoom.ini"), "sound_enabled": False}
        quiet |= {"audio_buffer_enabled": False}  # its sound breaks off where there is no device
        env = gymnasium.make(id_of(game), render_mode="rgb_array", frame_skip=TICS, **quiet)
        with closing(env):
            told(env.unwrapped)
            yield env


@contextmanager
def nothing_left() -> Iterator[None]:
    """Takes away the folder that Doom makes in the one where it is started, if it was not there."""
    was_there = LEFT_BEHIND.exists()
    try:
        yield
    finally:
        if not was_there:
            with suppress(OSError):
                LEFT_BEHIND.rmdir()


def id_of(game: str) -> str:
    """The environment's id: vizdoom:Basic is VizdoomBasic-v1."""
    return f"Vizdoom{game.removeprefix(VIZDOOM)}-v1" if game.startswith(VIZDOOM) else game


def told(env: Any) -> None:
    """Lets it say what its actions are called, its rate, and that time is up only breaks off."""
    names, step = names_of(env), env.step

    def stepped(action: Any) -> Any:
        seen, reward, ended, cut, more = step(action)
        return seen, reward, ended and not cut, cut, more

    env.get_action_meanings, env.step = lambda: names, stepped
    env.metadata = {**env.metadata, "render_fps": TICS_PER_SECOND / TICS}


def names_of(env: Any) -> list[str]:
    """The buttons that each action presses."""
    buttons = env.game.get_available_buttons()[env.num_delta_buttons :]
    names = np.array([button.name.lower().replace("_", " ") for button in buttons])
    one_by_one = [np.zeros(len(names)), *np.eye(len(names))]
    pressed = getattr(env, "button_map", one_by_one)
    return [" + ".join(names[np.asarray(which) > 0]) or "none" for which in pressed]
