"""A run killed at any moment comes out the same, to the bit, as one never stopped."""

import dataclasses
import multiprocessing
import random
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import torch

import tiny_run
from kineograph.train import checkpoint, log

LONGER = dataclasses.replace(tiny_run.OPTIONS, steps=120)
"""Too many steps to be done before the tenth kill."""


def ends_the_same(one: Path, other: Path) -> None:
    """Same weights, mean, optimizer, generators and position; same losses in the log."""
    ours = checkpoint.load_latest(one / "checkpoints")
    theirs = checkpoint.load_latest(other / "checkpoints")
    assert ours is not None
    assert theirs is not None
    assert ours.step == theirs.step == ours.scalars["options"]["steps"]
    assert ours.scalars["position"] == theirs.scalars["position"]
    for part in checkpoint.PARTS:
        mine, yours = getattr(ours, part), getattr(theirs, part)
        assert mine.keys() == yours.keys()
        for name in mine:
            assert torch.equal(mine[name], yours[name]), (part, name)
    assert numbers(one) == numbers(other)


def numbers(out: Path) -> list[tuple[float, ...]]:
    kept = ("step", "loss", "size", "gradient_norm", "rate", "held_out/loss")
    lines = [tuple(line.get(k, -1.0) for k in kept) for line in log.read(out)]
    return [line for line in lines if line[1:] != (-1.0,) * 5]


def test_two_runs_are_the_same_to_the_last_digit(tmp_path: Path) -> None:
    first, second = tiny_run.run(tmp_path / "a"), tiny_run.run(tmp_path / "b")
    assert first.loss == second.loss
    ends_the_same(tmp_path / "a", tmp_path / "b")


def test_killed_ten_times_at_random_moments_it_ends_the_same(tmp_path: Path) -> None:
    tiny_run.run(tmp_path / "whole", options=LONGER)
    moments = random.Random(0)
    for _ in range(10):
        child = start(tmp_path / "killed", seconds=0.04)
        wait_for_new_line(tmp_path / "killed" / "log.jsonl", child)
        time.sleep(moments.uniform(0, 0.25))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    tiny_run.run(tmp_path / "killed", options=LONGER)
    ends_the_same(tmp_path / "whole", tmp_path / "killed")


def start(out: Path, seconds: float) -> ForkServerProcess:
    """A process that has only imports behind it: a server of such saves importing at each start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kineograph.train.loop", "torch._dynamo"])
    child = context.Process(target=tiny_run.run, args=(out, seconds, LONGER), daemon=True)
    child.start()
    return child


def wait_for_new_line(path: Path, child: ForkServerProcess) -> None:
    """Until the child is at work."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    while child.is_alive() and (not path.exists() or path.stat().st_mtime_ns == before):
        time.sleep(0.01)


class Killed(BaseException):
    """Stands for a death at a moment of the test's choosing."""


@pytest.mark.parametrize("call", [1, 2, 7, 12, 18])
def test_dying_inside_a_save_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    tiny_run.run(tmp_path / "whole")
    count, hashed = 0, checkpoint.synced_sha256

    def dies(path: Path) -> str:
        nonlocal count
        count += 1
        if count == call:
            raise Killed
        return hashed(path)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "synced_sha256", dies)
        with pytest.raises(Killed):
            tiny_run.run(tmp_path / "died")
    tiny_run.run(tmp_path / "died")
    ends_the_same(tmp_path / "whole", tmp_path / "died")


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    tiny_run.run(tmp_path / "whole")
    short = dataclasses.replace(tiny_run.OPTIONS, minutes=0.0)
    tiny_run.run(tmp_path / "hurt")
    newest, older = checkpoint.steps_in(tmp_path / "hurt" / "checkpoints")
    weights = newest / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    found = checkpoint.load_latest(tmp_path / "hurt" / "checkpoints")
    assert found is not None
    assert older.name == f"step-{found.step:08d}"
    assert tiny_run.run(tmp_path / "hurt", options=short).step == found.step
    tiny_run.run(tmp_path / "hurt")
    ends_the_same(tmp_path / "whole", tmp_path / "hurt")


def test_another_seed_is_refused(tmp_path: Path) -> None:
    tiny_run.run(tmp_path)
    with pytest.raises(ValueError, match="has seed 7, not 8"):
        tiny_run.run(tmp_path, options=dataclasses.replace(tiny_run.OPTIONS, seed=8))
