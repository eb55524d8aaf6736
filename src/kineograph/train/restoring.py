"""Restorers are trained one lesson at a time, each on clips that were spoiled at random."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from kineograph.data import footage, shots, simulate
from kineograph.data.augment import Frames
from kineograph.data.clips import ClipOptions, ClipSource, rng_for
from kineograph.data.loader import Batches, as_batch, stacked
from kineograph.models import weights
from kineograph.models.net import Kineo
from kineograph.train import checkpoint, lessons
from kineograph.train.lessons import LESSONS, Lesson
from kineograph.train.loop import FitOptions, FitResult, fit
from kineograph.train.recipes import MIX, RARE, take_mean_weights
from kineograph.train.watch import HeldOut

WATCHED_SEED, FURTHER_SEED = 7, 1
FURTHER_STEPS = 1000
SHIPPED = tuple(name for name in LESSONS if name != "edges")
GENTLY = 1 / 3
"""What goes on from learned weights learns at so much of the rate of what begins from nothing."""


def train(
    name: str,
    out: Path,
    minutes: float | None = None,
    steps: int | None = None,
    workers: int = 1,
    further: bool = False,
    learning_rate: float | None = None,
) -> FitResult:
    """Trains one restorer; resumes what `out` holds. `further`: goes on, gently, from the shipped
    one, on other clips."""
    lesson = LESSONS[name]
    film = footage.fetch("bbb")
    options = ClipOptions(num_frames=lesson.num_frames, size_px=lesson.size_px)
    learnt = ClipSource(film, shots.learnt_shots(), options)
    source = partial(simulate.mixed, learnt, weights={**MIX, **RARE})
    seed = FURTHER_SEED if further else 0
    batches = Batches(
        source,
        lesson.batch_size,
        seed,
        prepare=lesson.prepare,
        num_workers=workers,
        reuse=lesson.reuse,
    )
    rate = learning_rate or lesson.learning_rate * (GENTLY if further else 1)
    how = options_of(steps or (FURTHER_STEPS if further else lesson.steps), minutes, rate, seed)
    net = shipped(name) if further else lessons.begun(lesson)
    return fit(net, lesson.objective, batches, how, out, held_out=watched(lesson, film))


def shipped(name: str) -> nn.Module:
    """The shipped restorer, to be trained further."""
    model = weights.load()
    assert isinstance(model, Kineo)
    return model.restorers[name].train().requires_grad_(True)


def options_of(
    steps: int, minutes: float | None, learning_rate: float, seed: int = 0
) -> FitOptions:
    """What the runs of all restorers have in common."""
    return FitOptions(
        steps=steps,
        minutes=minutes,
        learning_rate=learning_rate,
        betas=(0.9, 0.99),
        rate_shape="wsd",
        decay_share=0.35,
        checkpoint_every=300,
        held_out_every=300,
        precision="fp32",
        seed=seed,
    )


def ship(
    name: str, run: Path, result: FitResult, to: Path | None = None, further: bool = False
) -> Path:
    """Puts a trained restorer into the shipped checkpoint, beside the others, with its card."""
    path = to or weights.path_of(weights.SHIPPED)
    model = weights.load(str(path))
    if not isinstance(model, Kineo):
        raise ValueError(f"{path} is of another kind: restorers go into the predictor's file.")
    net = lessons.begun(LESSONS[name])
    steps = take_mean_weights(net, run)
    saved = checkpoint.load_latest(run / "checkpoints")
    assert saved is not None
    model.restorers[name] = net
    card = weights.card(str(path))
    made = {
        "recipe": f"{__name__}.train({name!r})",
        "steps": steps,
        "clips": steps * LESSONS[name].batch_size,
        "objective": LESSONS[name].objective.__name__,
        "learning_rate": saved.scalars["options"]["learning_rate"],
        "seconds": result.seconds,
        "loss": result.loss,
        "faults": LESSONS[name].faults,
    }
    others = card.get("restorers", {})
    if further:
        made = {**made, "recipe": f"{made['recipe'][:-1]}, further=True)", "after": others[name]}
    weights.save(model, path, {**card, "restorers": {**others, name: made}}, small=True)
    return path


def watched(lesson: Lesson, film: np.ndarray, num: int = 32) -> HeldOut:
    """Clips of training shots that the run does not train on."""
    options = ClipOptions(num_frames=lesson.num_frames, size_px=lesson.size_px)
    source = ClipSource(film, shots.watched_shots(), options)
    return watched_by(lesson, [source(WATCHED_SEED, n) for n in range(num)], WATCHED_SEED)


def watched_by(lesson: Lesson, clips: Sequence[Frames], seed: int) -> HeldOut:
    """These clips, spoiled once and for all, to watch a run by."""
    made: list[dict[str, Any]] = []
    for index, clip in enumerate(clips):
        prepared = lesson.prepare(clip, rng_for(seed, index, 3))
        made.append({"frames": clip, "indices": np.array(index), **prepared})
    size = lesson.batch_size
    batches = [as_batch(stacked(made[i : i + size])) for i in range(0, len(made), size)]
    return HeldOut(batches, dict(lesson.watched))
