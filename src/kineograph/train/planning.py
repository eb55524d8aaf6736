"""What is chosen for the machine is measured first: a few steps on a copy tell time and memory."""

import time
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from kineograph import scale
from kineograph.data.clips import Source, rng_for
from kineograph.data.loader import Arrays, Batches, as_batch, stacked
from kineograph.train import machine, optimise
from kineograph.train.lessons import Lesson

SPARED_SECONDS, USED_SHARE = 20.0, 0.92
"""Of the budget: what saving and the last measures take, and what steps may, of the rest."""
LEAST_STEPS = 40
NUM_PRACTISED = 6
"""Steps on a copy, of which the later half tells how long one takes."""
NUM_BESIDE = min(2, machine.num_cores())
"""Clips are prepared beside the step, by another core where there is one."""
MEMORY_SHARE = 0.5
"""Of what is free, at most so much is used."""
HOLES = 1.7
"""A pool whose clips come and go leaves so many times its size in holes, in some hundred steps."""


@dataclass(frozen=True)
class Plan:
    """What was chosen for the machine, and what that will take: peak memory, and steps in time."""

    batch_size: int
    steps: int
    seconds_a_step: float
    peak_mb: float


def batches_of(
    source: Source,
    lesson: Lesson,
    batch_size: int,
    seed: int,
    ranks: scale.Ranks,
    kept: dict[int, Arrays],
) -> Batches:
    """What the processes draw together; `kept` are clips that are prepared already."""
    return Batches(
        source,
        batch_size // ranks.world,
        seed,
        lesson.prepare,
        rank=ranks.rank,
        world=ranks.world,
        reuse=lesson.reuse,
        kept=kept,
    )


def chosen(
    net: nn.Module,
    lesson: Lesson,
    source: Source,
    minutes: float,
    seed: int,
    began: float,
    ranks: scale.Ranks | None = None,
    kept: dict[int, Arrays] | None = None,
) -> Plan:
    """The batch that fits the memory, by steps of one and two clips; then steps as they will be,
    of fewer clips where the time would else be too short.

    began: when the minutes began, by `time.monotonic`. kept: is given the clips prepared here.
    ValueError if not even one clip fits, or the time is too short to learn anything.
    """
    ranks = ranks or scale.Ranks()
    most, pool_mb = _fitting(net, lesson, source)
    batch, kept = max(1, most // ranks.world) * ranks.world, {} if kept is None else kept
    while True:
        batches = batches_of(source, lesson, batch, seed, ranks, kept)
        batches.fill(NUM_BESIDE)
        machine.forget_peak()
        a_step = _practised(net, lesson, batches)
        spent = time.monotonic() - began + SPARED_SECONDS
        steps = int((minutes * 60 - spent) * USED_SHARE / max(a_step, 1e-3))
        if steps >= LEAST_STEPS or batch == ranks.world:
            break
        batch = max(1, batch // (2 * ranks.world)) * ranks.world  # fewer clips, and more steps
    if steps < LEAST_STEPS:
        needed = (LEAST_STEPS * a_step / USED_SHARE + spent) / 60
        raise ValueError(
            f"{minutes:g} minutes are {max(0, steps)} steps of {a_step:.1f} s here, too few to "
            f"learn anything: give --minutes {needed:.1f} or more."
        )
    return Plan(batch, steps, a_step, machine.peak_mb() + HOLES * pool_mb)


def _fitting(net: nn.Module, lesson: Lesson, source: Source) -> tuple[int, float]:
    """How many clips a step may have, and what the pool takes. ValueError if none may."""
    one, two = (_tried(net, lesson, source, n) for n in (1, 2))
    a_clip = max(1.0, two.peak_mb - one.peak_mb)
    pool_mb = (lesson.reuse.pool if lesson.reuse else 0) * one.kept_mb
    beside, most = (1 + HOLES) * pool_mb, MEMORY_SHARE * machine.free_mb()
    if a_clip > most - beside:
        raise ValueError(
            f"One clip takes {a_clip + beside:.0f} MB more, and only {most:.0f} may be used: give "
            "smaller clips (--size-px), or free some memory."
        )
    return min(lesson.batch_size, int((most - beside) / a_clip)), pool_mb


def _practised(net: nn.Module, lesson: Lesson, batches: Batches) -> float:
    """Seconds of a step on a copy, with clips prepared beside it as they will be."""
    copy = deepcopy(net)
    optimizer = optimise.adamw(copy, 1e-4, 0.0, (0.9, 0.99))
    stream, seconds = batches(), []
    for _ in range(NUM_PRACTISED):
        start = time.perf_counter()
        loss, _ = lesson.objective(copy, next(stream), torch.Generator())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
    stream.close()
    return float(np.mean(seconds[NUM_PRACTISED // 2 :]))


@dataclass(frozen=True)
class _Trial:
    """A step as it was measured: the process's peak, and what a prepared clip takes."""

    peak_mb: float
    kept_mb: float


def _tried(net: nn.Module, lesson: Lesson, source: Source, num_clips: int) -> _Trial:
    """A step of so many clips on a copy."""
    copy = deepcopy(net)
    batches = Batches(source, num_clips, prepare=lesson.prepare)
    machine.forget_peak()
    clips = [batches.made(n) for n in range(num_clips)]
    kept = sum(array.nbytes for array in clips[0].values()) / 1e6
    if lesson.reuse:
        clips = [lesson.reuse.choose(clip, rng_for(0, n)) for n, clip in enumerate(clips)]
        clips = [{**clip, "indices": np.array(n)} for n, clip in enumerate(clips)]
    loss, _ = lesson.objective(copy, as_batch(stacked(clips)), torch.Generator())
    loss.backward()
    return _Trial(machine.peak_mb(), kept)
