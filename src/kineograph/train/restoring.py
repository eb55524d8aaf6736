"""Restorers are trained one lesson at a time, each on clips that were spoiled at random."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from kineograph.data import footage, shots, simulate
from kineograph.data.augment import Frames
from kineograph.data.clips import ClipOptions, ClipSource, rng_for
from kineograph.data.loader import Batch, Batches, as_batch, stacked
from kineograph.models import weights
from kineograph.models.net import Kineo
from kineograph.models.restorer import Shown
from kineograph.train.lessons import LESSONS, Lesson, begun
from kineograph.train.loop import FitOptions, FitResult, fit
from kineograph.train.recipes import MIX, RARE, take_mean_weights
from kineograph.train.watch import HeldOut
from kineograph.video.levels import from_levels

FLOOR = 2e-5
"""Squared error (range 2) that counts as none."""
WATCHED_SEED = 7


def objective(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """The log of each frame's squared error where it was not known, so that all clips count."""
    shown, truth = asked(batch)
    error = (model(shown).float() - truth).square().mean(1)
    hole = batch.extra.get("hole")
    hole = torch.ones_like(error) if hole is None else hole.flatten(0, -3).float()
    mean = (error * hole).sum((1, 2)) / hole.sum((1, 2)).clamp(min=1)
    loss = torch.log(mean + FLOOR).mean()
    return loss, {"decibels": 10 / np.log(10) * -loss.detach() + 20 * np.log10(2)}


def asked(batch: Batch) -> tuple[Shown, Float[Tensor, "n 3 h w"]]:
    """A batch as a restorer sees it, and the truth."""
    names = ("own", "trust", "made", "doubt", "told", "truth")
    given = {name: batch.extra[name] for name in names if name in batch.extra}
    if given["own"].ndim == 5:  # several frames of each clip
        given = {name: value.flatten(0, 1) for name, value in given.items()}
    own, made, truth = (planes(given[name]) for name in ("own", "made", "truth"))
    trust = given.get("trust")
    trust = torch.full_like(own[:, :1], 255) if trust is None else trust[:, None]
    return Shown(own, trust, made, given["doubt"], given["told"]), from_levels(truth)


def planes(pictures: UInt8[Tensor, "*n h w c"]) -> UInt8[Tensor, "*n c h w"]:
    """Pictures as files hold them, seen with channels first."""
    return rearrange(pictures, "... h w c -> ... c h w")


def train(
    name: str, out: Path, minutes: float | None = None, steps: int | None = None, workers: int = 1
) -> FitResult:
    """Trains one restorer; resumes what `out` holds."""
    lesson = LESSONS[name]
    film = footage.fetch("bbb")
    options = ClipOptions(num_frames=lesson.num_frames, size_px=lesson.size_px)
    learnt = ClipSource(film, shots.learnt_shots(), options)
    source = partial(simulate.mixed, learnt, weights={**MIX, **RARE})
    batches = Batches(source, lesson.batch_size, prepare=lesson.prepare, num_workers=workers)
    how = options_of(steps or lesson.steps, minutes, lesson.learning_rate)
    return fit(begun(lesson), objective, batches, how, out, held_out=watched(lesson, film))


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


def ship(name: str, run: Path, result: FitResult, to: Path | None = None) -> Path:
    """Puts a trained restorer into the shipped checkpoint, beside the others, with its card."""
    path = to or weights.path_of(weights.SHIPPED)
    model = weights.load(str(path))
    if not isinstance(model, Kineo):
        raise ValueError(f"{path} is of another kind: restorers go into the predictor's file.")
    net = begun(LESSONS[name])
    steps = take_mean_weights(net, run)
    model.restorers[name] = net
    card = weights.card(str(path))
    made = {
        "recipe": f"{__name__}.train({name!r})",
        "steps": steps,
        "clips": steps * LESSONS[name].batch_size,
        "seconds": result.seconds,
        "loss": result.loss,
        "faults": LESSONS[name].faults,
    }
    weights.save(model, path, {**card, "restorers": {**card.get("restorers", {}), name: made}})
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
    return HeldOut(batches, {"log-error": objective})
