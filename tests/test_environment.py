"""A learned world is an environment as Gymnasium means it."""

from pathlib import Path

import numpy as np
import pytest

from kineograph.models import weights
from tiny_world import tiny_world

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402

from kineograph.answer import environment  # noqa: E402
from kineograph.answer.environment import DreamedGame  # noqa: E402


@pytest.fixture
def world(tmp_path: Path) -> str:
    path = tmp_path / "w.safetensors"
    weights.save(tiny_world(), path, {})
    return str(path)


@pytest.mark.filterwarnings("ignore::UserWarning:gymnasium")
def test_gymnasium_finds_nothing_wrong_with_it(world: str) -> None:
    check_env(DreamedGame(world, render_mode="rgb_array", backend="eager"), skip_render_check=True)


def test_the_same_seed_and_actions_are_the_same_game(world: str) -> None:
    games = [DreamedGame(world, backend="eager") for _ in range(2)]
    first, other = (game.reset(seed=5)[0] for game in games)
    assert np.array_equal(first, other)
    for action in (0, 3, 1):
        one, other = (game.step(np.int64(action)) for game in games)
        assert np.array_equal(one[0], other[0])
        assert one[1:3] == other[1:3]


def test_it_is_made_by_its_name(world: str) -> None:
    environment.register()
    game = gymnasium.make(environment.NAME, world=world, backend="eager")
    frame, _ = game.reset(seed=0)
    assert game.observation_space.contains(frame)
    game.close()


def test_a_world_without_starts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    weights.save(tiny_world(num_starts=0), path, {})
    with pytest.raises(ValueError, match="no moments to begin at"):
        DreamedGame(str(path))
