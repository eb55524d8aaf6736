"""What is learned by a run killed at random moments is what is learned by one never stopped.

KINEO_KILLS says how many times; the full measure is 50.
"""

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import torch

from kineograph.data.clips import ClipSource
from kineograph.models.net import Kineo
from kineograph.train import checkpoint, learning, log
from kineograph.train.learning import Learning, Plan
from tests_support import TINY_SHAPE, footage

KILLS = int(os.environ.get("KINEO_KILLS", "2"))
STEPS = 20 * KILLS


def learn(out: Path) -> None:
    """A tiny model learns the same few frames, on one core."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Kineo(TINY_SHAPE).eval().requires_grad_(False)
    how = Learning(minutes=60.0, patience=0)
    film = footage()
    source = ClipSource(film, [(0, 40)], learning.clip_options(learning.lesson_for(how, model), 32))
    out.mkdir(parents=True, exist_ok=True)
    (out / learning.PLAN).write_text(json.dumps(vars(Plan(1, STEPS, 1.0, 100.0))))
    learning.learn(model, source, [film[20:36, :32, :32].copy()], how, out)


def test_killed_at_random_moments_it_learns_the_same(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kineograph.train.learning", "torch._dynamo"])
    moments = random.Random(0)
    done, ended = 0, False
    while done < KILLS:
        child = context.Process(target=learn, args=(killed,), daemon=True)
        child.start()
        before = len(lines(killed))
        wanted = before + moments.randint(0, 30)
        while child.is_alive() and len(lines(killed)) <= wanted:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.2))
        ended = not child.is_alive()
        child.kill()
        child.join()
        if ended:
            break
        assert child.exitcode == -signal.SIGKILL
        done += 1
    if not ended:
        learn(killed)
    learn(whole)
    ours, theirs = (checkpoint.load_latest(one / "checkpoints") for one in (whole, killed))
    assert ours is not None
    assert theirs is not None
    assert done >= KILLS // 2, "the run was over before it was killed often enough"
    assert ours.step == theirs.step == STEPS
    for part in checkpoint.PARTS:
        mine, yours = getattr(ours, part), getattr(theirs, part)
        assert mine.keys() == yours.keys()
        assert all(torch.equal(mine[name], yours[name]) for name in mine), part
    losses = [
        [(n["step"], n["loss"]) for n in log.read(one) if "loss" in n] for one in (whole, killed)
    ]
    assert losses[0] == losses[1]


def lines(out: Path) -> list[str]:
    path = out / "log.jsonl"
    return path.read_text().splitlines() if path.exists() else []
