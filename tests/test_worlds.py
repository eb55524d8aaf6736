"""Worlds keep what stands still, learn what actions do, and mend dreams that wear out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from kineograph.cli import main
from kineograph.data.episodes import Episodes, Windows
from kineograph.data.loader import Batch
from kineograph.models.critic import Critic, told_apart
from kineograph.models.luck import Spread, divergence, spread_of
from kineograph.models.world import World, WorldShape
from kineograph.train import dreaming, worlds
from kineograph.train.dreaming import Studied, Study
from kineograph.video.levels import from_levels, in_bytes

SIZE, STEP = 32, 2
WAYS = np.array([(0, STEP), (0, -STEP), (STEP, 0), (-STEP, 0)])
SHAPE = WorldShape(4, SIZE, SIZE, luck=2, channels=(12, 16, 16))


def game(num_episodes: int, length: int = 24, seed: int = 0) -> Episodes:
    """A square is pushed over a picture; the episode ends with a reward."""
    rng = np.random.default_rng(seed)
    frames, actions = [], []
    for _ in range(num_episodes):
        ground = np.kron(rng.integers(0, 120, (4, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        at = rng.integers(8, SIZE - 8, 2)
        for number in range(length):
            frames.append(ground.copy())
            frames[-1][at[0] : at[0] + 6, at[1] : at[1] + 6] = 255
            held = number % 4 == 0
            actions.append(int(rng.integers(4)) if held else actions[-1])
            at = np.clip(at + WAYS[actions[-1]], 0, SIZE - 6)
    ends = np.arange(len(frames)) % length == length - 1
    rewards = ends.astype(np.float32)
    return Episodes(np.stack(frames), np.array(actions), rewards, ends, 4)


def world(seed: int = 0) -> World:
    torch.manual_seed(seed)
    return World(SHAPE)


def batch_of(num_steps: int = 3, size: int = 4) -> Batch:
    windows = Windows(game(6), SHAPE.num_past, num_steps, size, num_workers=0)
    return next(iter(windows(0)))


def asked(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    past = from_levels(batch.frames[:, : SHAPE.num_past])
    plate = from_levels(batch.extra["plate"])
    action = torch.eye(4)[batch.extra["actions"][:, 0]]
    return past, plate, action, torch.zeros(len(past), *SHAPE.luck_size)


def test_what_stands_still_before_its_plate_stays_to_the_byte() -> None:
    past, _, action, _ = asked(batch_of())
    still = past[:, -1:].expand_as(past)
    noise = torch.randn(len(past), *SHAPE.luck_size)
    said = world()(still, still[:, 0], action, noise)
    assert torch.equal(in_bytes(said.frame), in_bytes(still[:, 0]))


def test_luck_is_within_bounds_whatever_is_said() -> None:
    spread = spread_of(1e6 * torch.randn(2, 4, 2, 2))
    assert bool((spread.mean.abs() <= 6).all())
    assert bool((spread.log_variance.abs() <= 3).all())


def test_divergence_is_that_of_normal_distributions() -> None:
    own = Spread(*torch.randn(2, 3, 2, 2, 2).unbind(0))
    other = Spread(*torch.randn(2, 3, 2, 2, 2).unbind(0))
    assert torch.allclose(divergence(own, own), torch.zeros(3), atol=1e-6)
    normal = [
        torch.distributions.Normal(s.mean, (0.5 * s.log_variance).exp()) for s in (own, other)
    ]
    expected = torch.distributions.kl_divergence(*normal).sum((1, 2, 3))
    assert torch.allclose(divergence(own, other), expected, rtol=1e-4)


@pytest.mark.parametrize(("sides", "num_actions"), [((30, 32), 4), ((32, 32), 0)])
def test_a_world_that_cannot_be_is_refused(sides: tuple[int, int], num_actions: int) -> None:
    with pytest.raises(ValueError, match=r"multiples of 16|at least 1 action"):
        WorldShape(num_actions, *sides)


def test_every_weight_learns() -> None:
    torch.manual_seed(0)
    model, batch = Studied(world(), 4), batch_of()
    torch.nn.init.normal_(model.world.say.weight, std=0.1)
    loss, parts = Study(num_dreamed=2)(model, batch, torch.Generator().manual_seed(0))
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
    assert {"critic", "fooled", "decibels_3"} <= set(parts)


def test_the_critic_is_right_where_it_is_sure() -> None:
    there = torch.tensor([1.0, 1.0, 0.0])
    real, made = torch.full((3, 5), 2.0), torch.full((2, 5), -2.0)
    assert float(told_apart(real, made, there)) == 0
    assert float(told_apart(-real, made, there)) == pytest.approx(3.0)
    seen = torch.rand(2, 3, 3, SIZE, SIZE)
    assert Critic(SHAPE)(seen, torch.eye(4)[:2]).shape == (2, (SIZE // 8) ** 2 + (SIZE // 16) ** 2)


def test_dreams_go_on_from_where_they_were() -> None:
    torch.manual_seed(0)
    model, batch = Studied(world().eval(), 3), batch_of()
    generator = torch.Generator().manual_seed(1)
    lived = dreaming.dreamed_on(model, batch, 3, generator)
    assert model.ages.tolist() == [3, 3, 3]
    assert lived.frames.shape == (9, 3, SIZE, SIZE)
    assert torch.equal(model.dreamed[:, -1].sum(), in_bytes(lived.frames[-3:]).sum())
    model.ages[0] = dreaming.MOST_AGE
    dreaming.begin_anew(model, batch, torch.arange(3), torch.Generator().manual_seed(2))
    assert model.ages[0] == 0
    assert torch.equal(model.dreamed[0], batch.frames[0, : SHAPE.num_past])


def test_worn_frames_are_bytes_and_some_are_as_they_were() -> None:
    past = from_levels(torch.randint(0, 256, (64, 3, 3, SIZE, SIZE), dtype=torch.uint8))
    worn = dreaming.worn(past, torch.Generator().manual_seed(0))
    levels = (worn + 1) * 127.5
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    kept = sum(torch.allclose(a, b, atol=1e-5) for a, b in zip(worn, past, strict=True))
    assert 0.4 < kept / 64 < 0.8


def test_a_game_is_learned_goes_on_and_can_be_played(tmp_path: Path) -> None:
    stages = (worlds.Stage(1, 16, 3e-3, 0.6), worlds.Stage(2, 16, 1.5e-3, 0.4))
    how = worlds.Course(0.4, device="cpu", stages=stages, channels=(24, 32, 32))
    learned = worlds.learn([game(20)], how, tmp_path)
    numbers = learned.numbers
    assert numbers["next_frame_db"] > numbers["copy_last_db"]  # by how much, a busy machine decides
    assert numbers["luck"] in worlds.LUCKS
    assert learned.world.starts.shape == (8, 3, 3, SIZE, SIZE)
    again = worlds.learn([game(20)], how, tmp_path)  # its minutes are over
    assert again.numbers["steps"] == numbers["steps"]
    for own, other in zip(learned.world.parameters(), again.world.parameters(), strict=True):
        assert torch.equal(own, other)


def test_one_episode_is_too_few() -> None:
    with pytest.raises(ValueError, match="2 episodes or more"):
        worlds.parted(game(1))


def test_fullness_is_the_share_of_what_does_not_stand_there() -> None:
    plates = np.full((2, 3, 8, 8), 100, np.uint8)
    frames = plates.copy()
    frames[0, 1, :4] = 180
    frames[1] += 20  # light that flickers is no thing
    assert worlds.fullness(frames, plates) == pytest.approx(0.25)


def test_a_name_that_is_taken_is_not_learned_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KINEOGRAPH_MODELS", str(tmp_path))
    (tmp_path / "fire.safetensors").write_bytes(b"a person's own")
    with pytest.raises(SystemExit):
        main(["world", "learn", str(tmp_path), "--name", "fire"])
    assert "already" in capsys.readouterr().err
    assert (tmp_path / "fire.safetensors").read_bytes() == b"a person's own"
