"""Two processes that share each batch learn what one learns, and leave one run."""

import json
import multiprocessing
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import tiny_run
from kineograph import scale
from kineograph.data.clips import ClipSource
from kineograph.data.loader import Batch, Batches
from kineograph.models.net import Kineo
from kineograph.train import checkpoint, learning, log, loop
from kineograph.train.learning import Learning, Plan
from kineograph.train.run import whole
from kineograph.train.watch import HeldOut
from tests_support import TINY_SHAPE, footage

STEPS = 6
OPTIONS = replace(
    tiny_run.OPTIONS, steps=10, rate_shape="constant", held_out_every=2, patience=99, bad_steps=1,
    sharding="sharded",
)  # fmt: skip


def joined(rank: int, world: int, port: int) -> scale.Ranks:
    """What torchrun would have said of this process."""
    torch.set_num_threads(1)
    if world > 1:
        said = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "MASTER_PORT": port}
        os.environ.update({key: str(value) for key, value in said.items()})
        os.environ["MASTER_ADDR"] = "127.0.0.1"
    return scale.join()


def by_two(work: Callable[..., Any], *given: Any) -> None:
    """Calls work(*given, rank, world, port) in two processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kineograph.train.learning", "torch.distributed.fsdp"])
    both = [context.Process(target=work, args=(*given, rank, 2, port)) for rank in (0, 1)]
    for child in both:
        child.start()
    for child in both:
        child.join(300)
        assert child.exitcode == 0


def learn(out: Path, ranks: scale.Ranks, sharded: bool = False) -> None:
    torch.manual_seed(0)
    model = Kineo(TINY_SHAPE).eval().requires_grad_(False)
    how = Learning(minutes=60.0, patience=0, sharded=sharded)
    source = ClipSource(
        footage(), [(0, 40)], learning.clip_options(learning.lesson_for(how, model), 32)
    )
    if ranks.leads:
        out.mkdir(parents=True, exist_ok=True)
        (out / learning.PLAN).write_text(json.dumps(vars(Plan(2, STEPS, 1.0, 100.0))))
    learning.learn(model, source, [], how, out, ranks=ranks)


def both_ways(folder: Path, *place: int) -> None:
    ranks = joined(*place)
    learn(folder / "replicated", ranks)
    learn(folder / "sharded", ranks, sharded=True)
    scale.leave()


def test_two_processes_learn_as_one(tmp_path: Path) -> None:
    learn(tmp_path / "one", joined(0, 1, 0))
    by_two(both_ways, tmp_path)
    ends_alike(tmp_path / "one", tmp_path / "replicated", STEPS)
    ends_alike(tmp_path / "one", tmp_path / "sharded", STEPS)


def ends_alike(one: Path, other: Path, num_steps: int) -> None:
    """Same losses and tensors but for rounding; the moments of one number may have a dimension."""
    for wanted in ("loss", "held_out/loss"):
        ours, theirs = (
            [line[wanted] for line in log.read(run) if wanted in line] for run in (one, other)
        )
        assert wanted != "loss" or len(ours) == num_steps
        np.testing.assert_allclose(ours, theirs, rtol=2e-4)
    mine, yours = saved_in(one), saved_in(other)
    for part in ("model", "ema", "optimizer"):
        left, right = getattr(mine, part), getattr(yours, part)
        assert left.keys() == right.keys()
        for name in left:
            shaped = left[name].view_as(right[name]) if part == "optimizer" else left[name]
            torch.testing.assert_close(shaped, right[name], rtol=0, atol=2e-3)


class Gained(nn.Module):
    """Tied weights, a weight that is one number, a fixed one, a flag, and an odd number of rows."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second = nn.Linear(48, 33), nn.Linear(33, 48)
        self.third = nn.Linear(48, 33)
        self.third.weight = self.first.weight
        self.gain = nn.Parameter(torch.ones(()))
        self.second.bias.requires_grad_(False)
        self.register_buffer("flag", torch.tensor(True))

    def forward(self, frames: Tensor) -> Tensor:
        return self.third(self.second(self.first(frames).tanh()) * self.gain)


def flagged(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Not finite at one clip of the fifth batch, so that one process of two meets it."""
    error = model(batch.frames.flatten(2).float() / 127.5 - 1) - 0.5
    return error.square().mean() * (torch.nan if 17 in batch.indices else 1.0), {}


def fitted(
    out: Path, options: loop.FitOptions, rank: int = 0, world: int = 1, port: int = 0
) -> scale.Ranks:
    """A run, after which the model given holds what the last checkpoint does."""
    ranks, model = joined(rank, world, port), Gained(rank)  # the first one's weights count
    drawn = Batches(tiny_run.clip, 4 // world, seed=7, num_workers=0, rank=rank, world=world)
    held_out = HeldOut([next(tiny_run.BATCHES(1000))], {"loss": flagged})
    loop.fit(model, flagged, drawn, options, out, held_out=held_out, ranks=ranks)
    equals(checkpoint.tensors_of(model), saved_in(out).model)
    return ranks


def half(out: Path, one: Path, *place: int) -> None:
    """Part of a run, sharded; then one that was not is taken up, and what is held is counted."""
    ranks = fitted(out, replace(OPTIONS, steps=6), *place)
    run = loop.begin(Gained(ranks.rank), flagged, OPTIONS, one, None, ranks)
    saved, moments = saved_in(one), [state["exp_avg"] for state in run.optimizer.state.values()]
    for held in (list(run.model.parameters()), moments, list(run.ema.values())):
        assert [len(here(t)) for t in held if t.shape == (33, 48)] == [17 - ranks.rank]
        assert sum(here(t).numel() for t in held) < 0.52 * sum(t.numel() for t in held)
    assert all(weight.untyped_storage().nbytes() <= 4 for weight in run.asked.parameters())
    found = whole(run, checkpoint.tensors_of(run.model)), whole(run, run.ema)
    if ranks.leads:
        equals(found[0], saved.model)
        equals(found[1], saved.ema)
    scale.leave()


def saved_in(run: Path) -> checkpoint.Checkpoint:
    saved = checkpoint.load_latest(run / "checkpoints")
    assert saved is not None
    return saved


def equals(ours: checkpoint.Tensors, theirs: checkpoint.Tensors) -> None:
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def here(tensor: Any) -> Tensor:
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def test_a_sharded_run_is_kept_whole(tmp_path: Path) -> None:
    """Looked at, brought back after a bad step, and gone on with by one process."""
    one, two = tmp_path / "one", tmp_path / "two"
    fitted(one, OPTIONS)
    by_two(half, two, one)
    fitted(two, OPTIONS)
    ends_alike(one, two, OPTIONS.steps)
    ours, theirs = (load_file(run / loop.BEST) for run in (one, two))
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=2e-3)
