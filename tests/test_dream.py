"""A dream is decided by its start, seed and actions, whichever backend runs it."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from kineograph.answer.dream import Dream, Moment, seeded, starts_of
from kineograph.models import weights
from kineograph.models.world import World
from kineograph.runtime import Backend, chosen
from tiny_world import tiny_world

ACTIONS = (0, 3, 1, 1, 2, 0, 3, 2)


def dreamed(
    world: World, seed: int = 5, backend: Backend = "eager", actions: tuple[int, ...] = ACTIONS
) -> list[Moment]:
    """What comes of the actions."""
    dream = Dream(world, backend)
    dream.begin(seeded(starts_of(world), seed), seed)
    return [dream.step(action) for action in actions]


def frames_of(moments: list[Moment]) -> np.ndarray:
    return np.stack([moment.frame for moment in moments]).astype(int)


def rewards_of(moments: list[Moment]) -> np.ndarray:
    return np.array([[moment.reward, moment.end] for moment in moments])


def test_the_same_seed_and_actions_are_the_same_game() -> None:
    world = tiny_world()
    first, second = dreamed(world), dreamed(world)
    assert (frames_of(first) == frames_of(second)).all()
    assert (rewards_of(first) == rewards_of(second)).all()


def test_seed_and_actions_both_decide() -> None:
    world = tiny_world()
    frames = frames_of(dreamed(world))
    luckier = frames_of(dreamed(world, seed=5 + world.shape.num_starts))  # from the same start
    assert (frames != luckier).any()
    assert (frames != frames_of(dreamed(world, actions=ACTIONS[::-1]))).any()
    assert (frames[1:] != frames[:-1]).any()


def test_without_luck_no_seed_is_asked() -> None:
    world = tiny_world()
    dream = Dream(world, "eager", luck=0.0)
    start = starts_of(world)[0]
    found = []
    for seed in (1, 2):
        dream.begin(start, seed)
        found.append(frames_of([dream.step(action) for action in ACTIONS]))
    assert (found[0] == found[1]).all()


def test_a_dream_begins_with_the_last_frame_of_its_start_and_leaves_the_start_alone() -> None:
    world = tiny_world()
    kept = world.starts.clone()
    dream = Dream(world, "eager")
    for n, start in enumerate(starts_of(world)):
        assert (dream.begin(start) == kept[n, -1].numpy()).all()
        dream.step(0)
    assert torch.equal(world.starts, kept)


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_openvino_answers_as_eager_does() -> None:
    world = tiny_world()
    dreams = Dream(world, "eager"), Dream(world, "openvino")
    start = starts_of(world)[0]
    for dream in dreams:
        dream.begin(start, seed=3)
    for action in ACTIONS:
        plain, fast = (dream.step(action) for dream in dreams)
        assert abs(plain.frame.astype(int) - fast.frame.astype(int)).max() <= 1
        assert fast.reward == pytest.approx(plain.reward, abs=1e-3)
        assert fast.end == pytest.approx(plain.end, abs=1e-3)
        dreams[1].past = dreams[0].past.copy()  # or a level's difference would grow


@pytest.mark.parametrize("action", [-1, 4])
def test_an_action_that_the_world_does_not_have_is_refused(action: int) -> None:
    dream = Dream(tiny_world(), "eager")
    with pytest.raises(ValueError, match=f"actions 0 to 3; got {action}"):
        dream.step(action)


def test_a_backend_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kineograph.runtime.find_spec", lambda name: None)
    assert chosen("auto") == "eager"
    with pytest.raises(ValueError, match="OpenVINO is not installed"):
        chosen("openvino")


def test_a_world_is_the_same_after_its_file(tmp_path: Path) -> None:
    world, path = tiny_world(), tmp_path / "tiny.safetensors"
    weights.save(world, path, {"actions": ["a", "b", "c", "d"]})
    found = weights.load_world(str(path))
    assert found.shape == world.shape
    assert torch.equal(found.starts, world.starts)
    assert torch.equal(found.plates, world.plates)
    assert weights.card(str(path)) == {"actions": ["a", "b", "c", "d"]}
    ours, theirs = dreamed(world, actions=(2,)), dreamed(found, actions=(2,))
    assert abs(frames_of(ours) - frames_of(theirs)).max() <= 3  # weights are held in float16
    np.testing.assert_allclose(rewards_of(ours), rewards_of(theirs), atol=2e-2)


def test_a_world_predicts_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    weights.save(tiny_world(), path, {})
    with pytest.raises(ValueError, match=r"tiny\.safetensors holds a world alone"):
        weights.load(str(path))
