"""The bench of worlds times what it says, and tells a world that obeys from one that does not."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from kineograph.answer.dream import Dream, Start, starts_of
from kineograph.data.episodes import Episodes
from kineograph.evaluate import bench_realtime, diamond, world_quality
from kineograph.evaluate.bench_realtime import Options, Work
from kineograph.evaluate.obeying import Obeyed, green, obeyed, way_of
from kineograph.evaluate.timing import timed_of
from kineograph.models import weights
from kineograph.models.world import World, WorldShape
from test_episodes import interpreter
from tiny_world import tiny_world

__all__ = ["interpreter"]
SIDE_PX = 64
SAMPLER = """
from dataclasses import dataclass
import time
import torch
from data import Batch
from utils import LossAndLogs

@dataclass
class InnerModelConfig:
    img_channels: int
    num_steps_conditioning: int
    cond_channels: int
    depths: list
    channels: list
    attn_depths: list
    num_actions: int

@dataclass
class DenoiserConfig:
    inner_model: InnerModelConfig
    sigma_data: float
    sigma_offset_noise: float

class Denoiser(torch.nn.Linear):
    def __init__(self, config):
        super().__init__(config.inner_model.cond_channels, config.inner_model.num_actions)

@dataclass
class DiffusionSamplerConfig:
    num_steps_denoising: int

class DiffusionSampler:
    def __init__(self, denoiser, config):
        self.denoiser = denoiser
    def sample(self, past, actions):
        assert past.shape == (1, 4, 3, 64, 64) and actions.shape == (1, 4)
        {body}
        return past[:, -1], []
"""


def checkout(folder: Path, body: str) -> Path:
    """A folder laid out as DIAMOND's, whose sampler does this."""
    package = folder / "src" / "models" / "diffusion"
    package.mkdir(parents=True)
    (folder / "src" / "data").mkdir()
    for apart in (folder / "src" / "data" / "__init__.py", folder / "src" / "utils.py"):
        apart.write_text("raise SystemExit('the trainer was drawn in')")
    (package / "__init__.py").write_text("from .denoiser import *")
    (package / "denoiser.py").write_text(SAMPLER.format(body=body))
    return folder


def test_diamond_is_timed_as_a_program_of_its_own(tmp_path: Path) -> None:
    peer = diamond.timed(checkout(tmp_path, "time.sleep(0.02)"), 0.1)
    assert peer.num_parameters == 257 * 18
    assert 1 <= peer.timed.num_frames <= 6
    assert 20 <= peer.timed.median_ms < 500
    assert peer.times_per_pixel(peer.timed.fps, 128, 128) == pytest.approx(4.0)


def test_a_diamond_that_fails_says_why(tmp_path: Path) -> None:
    broken = checkout(tmp_path, "raise RuntimeError('it is cut')")
    with pytest.raises(ValueError, match="cannot be timed: RuntimeError: it is cut"):
        diamond.timed(broken, 0.1)
    with pytest.raises(ValueError, match="is no checkout of DIAMOND"):
        Options(diamond=tmp_path / "none")
    with pytest.raises(ValueError, match=r"timed 1 to 600 seconds; got 0\.5"):
        Options(seconds=0.5)


def test_times_are_what_they_were() -> None:
    timed = timed_of([0.010] * 98 + [0.030] * 2)
    assert timed.num_frames == 100
    assert timed.fps == pytest.approx(100 / 1.04)
    assert timed.median_ms == pytest.approx(10)
    assert timed.p99_ms == pytest.approx(30)
    products, convolutions = Work(10**9, 2e11, 4e11).shares(timed)
    assert (products, convolutions) == pytest.approx((0.5, 0.25))


NAMES = ("left", "right up", "none", "down")
WATER, GREEN = (40, 60, 200), (20, 220, 30)
HALF_PX, SPEED_PX = 3, 2


def drawn(at: np.ndarray) -> np.ndarray:
    """A green square in the water, there."""
    frame = water()
    x, y = at
    frame[:, y - HALF_PX : y + HALF_PX + 1, x - HALF_PX : x + HALF_PX + 1] = np.array(
        GREEN, np.uint8
    )[:, None, None]
    return frame


def water() -> np.ndarray:
    return np.full((SIDE_PX, SIDE_PX, 3), WATER, np.uint8).transpose(2, 0, 1).copy()


def swum(at: np.ndarray, action: int, sign: int = 1) -> np.ndarray:
    """Where it is a frame later."""
    moved = at + sign * SPEED_PX * way_of(NAMES[action]).astype(int)
    return np.clip(moved, HALF_PX, SIDE_PX - 1 - HALF_PX)


def dream_of(sign: int) -> Dream:
    """A dream by an oracle in place of a network: the square goes where it is told, or back."""
    dream = Dream(World(WorldShape(4, SIDE_PX, SIDE_PX, channels=(8, 8, 8))), "eager")

    def run(past: np.ndarray, plate: np.ndarray, action: np.ndarray, noise: np.ndarray) -> Any:
        at = green(past[0, -1], water())
        assert at is not None
        frame = drawn(swum(at.astype(int), int(action.argmax()), sign))
        return frame[None], np.zeros(1, np.float32), np.zeros(1, np.float32)

    dream.run = run
    return dream


def start(x: int, y: int) -> Start:
    past = np.stack([drawn(np.array([x, y]))] * 3)
    return Start(torch.from_numpy(past), torch.from_numpy(water()))


def seen(dream: Dream) -> np.ndarray | None:
    return green(dream.past[-1], dream.plate)


@pytest.mark.parametrize(("sign", "num_obeyed"), [(1, 5), (-1, 0), (0, 0)])
def test_who_obeys_is_told_from_who_does_not(sign: int, num_obeyed: int) -> None:
    starts = [start(32, 32), start(5, 32)]  # from the second it cannot go left
    found = obeyed(dream_of(sign), starts, NAMES, seen)
    assert found == Obeyed(5, num_obeyed)


def test_a_way_with_two_words_must_be_gone_in_both() -> None:
    assert way_of("right up").tolist() == [1, -1]
    assert way_of("none").tolist() == way_of("").tolist() == way_of("left jump").tolist() == [0, 0]
    dream = dream_of(1)
    assert obeyed(dream, [start(20, 20)], ("", "", "", "down"), seen).num_obeyed == 1
    assert obeyed(dream, [start(20, 20)], ("", "", "", "right down"), seen) == Obeyed(1, 0)


def swimming(num_frames: int) -> Episodes:
    """An episode of it, in which it never stands still."""
    at, frames, actions = np.array([32, 32]), [], []
    for n in range(num_frames):
        actions.append((0, 3, 1, 1)[n // 7 % 4])
        frames.append(drawn(at).transpose(1, 2, 0))
        at = swum(at, actions[-1])
    over = np.arange(num_frames) == num_frames - 1
    return Episodes(np.stack(frames), np.array(actions), np.zeros(num_frames, np.float32), over, 4)


def test_an_oracle_foretells_its_game_to_the_byte() -> None:
    found = world_quality.foretold(dream_of(1), swimming(60), 40)
    wrong = world_quality.foretold(dream_of(-1), swimming(60), 40)
    assert found.next_db == world_quality.MOST_DB
    assert wrong.next_db < found.copy_db == wrong.copy_db < 40
    assert 20 <= found.num_frames <= 40


def test_what_stands_still_is_counted_to_the_byte() -> None:
    found = world_quality.lasting(dream_of(1), [start(32, 32), start(20, 20)], 150)
    square = (2 * HALF_PX + 1) ** 2 / SIDE_PX**2
    assert found.num_dreams == 2
    assert found.still == pytest.approx((1 - square, 1 - square))
    assert found.worst_still == pytest.approx(1 - square)
    assert found.full == pytest.approx((square, square))


def test_what_cannot_be_measured_says_why() -> None:
    square = World(WorldShape(9, 16, 16, channels=(8, 8, 8)))
    assert world_quality.game_of({"game": "procgen bigfish, easy"}) == "procgen:bigfish"
    assert world_quality.game_of({"game": "vizdoom:Basic"}) == "vizdoom:Basic"
    assert "names no game" in str(world_quality.recorded("", square))
    assert "48x32" in str(world_quality.recorded("procgen:counting", tiny_world()))
    assert "cannot be played" in str(world_quality.recorded("KineographNone-v0", square))


@pytest.mark.usefixtures("interpreter")
def test_episodes_are_recorded_anew() -> None:
    held = world_quality.recorded("procgen:counting", World(WorldShape(9, 16, 16)), 30)
    assert isinstance(held, Episodes)
    assert len(held) == 30
    few = world_quality.recorded("procgen:counting", World(WorldShape(4, 16, 16)), 30)
    assert few == "procgen:counting has 9 actions, and the world 4."


def test_a_world_without_a_game_is_timed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # and so no browser
    monkeypatch.setattr(bench_realtime, "backends", lambda: ("eager",))
    briefly = partial(world_quality.lasting, num_frames=2 * world_quality.LOOKED_AT)
    monkeypatch.setattr(world_quality, "lasting", briefly)
    path = tmp_path / "tiny.safetensors"
    weights.save(tiny_world(), path, {"name": "tiny"})
    peer = checkout(tmp_path / "peer", "time.sleep(0.01)")
    options = Options(str(path), seconds=1.0, diamond=peer, stream_frames=6)

    def serving(*_: Any) -> Any:
        raise AssertionError("there is no browser to serve")

    bench_realtime.bench_realtime(tmp_path / "out", Console(quiet=True), serving, options)
    whole = json.loads((tmp_path / "out" / "realtime.json").read_text())
    eager, theirs = whole["alone"]["eager"], whole["diamond"]["timed"]
    assert eager["num_frames"] >= 5
    assert whole["times_per_pixel"]["eager"] == pytest.approx(
        eager["fps"] * 32 * 48 / (theirs["fps"] * 64 * 64)
    )
    assert "names no game" in whole["quality"]["foretold"]
    assert whole["quality"]["lasting"]["num_dreams"] == len(starts_of(tiny_world()))
    text = (tmp_path / "out" / "report.md").read_text()
    assert "DIAMOND's denoiser, 0.0M random weights, 64x64, 3 steps" in text
    assert "obeyed: not measured. There is no script" in text
    assert [went["num_frames"] for went in whole["streams"].values()] == [6] * 7
    assert "- scale 2 from 128x72, live: 6 frames" in text
