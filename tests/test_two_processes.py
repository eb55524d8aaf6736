"""Two processes that share each batch learn what one learns, and leave one run."""

import json
import multiprocessing
import os
import socket
from pathlib import Path

import numpy as np
import torch

from kineograph import scale
from kineograph.data.clips import ClipSource
from kineograph.models.net import Kineo
from kineograph.train import checkpoint, learning, log
from kineograph.train.learning import Learning, Plan
from tests_support import TINY_SHAPE, footage

STEPS = 6


def learn(out: Path, rank: int = 0, world: int = 1, port: int = 0) -> None:
    torch.set_num_threads(1)
    if world > 1:
        said = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "MASTER_PORT": port}
        os.environ.update({key: str(value) for key, value in said.items()})
        os.environ["MASTER_ADDR"] = "127.0.0.1"
    ranks = scale.join()
    torch.manual_seed(0)
    model = Kineo(TINY_SHAPE).eval().requires_grad_(False)
    how = Learning(minutes=60.0, patience=0)
    source = ClipSource(
        footage(), [(0, 40)], learning.clip_options(learning.lesson_for(how, model), 32)
    )
    if ranks.leads:
        out.mkdir(parents=True, exist_ok=True)
        (out / learning.PLAN).write_text(json.dumps(vars(Plan(2, STEPS, 1.0, 100.0))))
    learning.learn(model, source, [], how, out, ranks=ranks)
    scale.leave()


def test_two_processes_learn_as_one(tmp_path: Path) -> None:
    learn(tmp_path / "one")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    both = [
        context.Process(target=learn, args=(tmp_path / "two", rank, 2, port)) for rank in (0, 1)
    ]
    for child in both:
        child.start()
    for child in both:
        child.join(300)
        assert child.exitcode == 0
    one, two = (
        [line["loss"] for line in log.read(tmp_path / name) if "loss" in line]
        for name in ("one", "two")
    )
    assert len(one) == len(two) == STEPS
    np.testing.assert_allclose(one, two, rtol=2e-4)
    ours, theirs = (checkpoint.load_latest(tmp_path / n / "checkpoints") for n in ("one", "two"))
    assert ours is not None
    assert theirs is not None
    for name, tensor in ours.model.items():
        torch.testing.assert_close(tensor, theirs.model[name], rtol=0, atol=2e-3)
