"""A person's own footage is learned from: a restorer goes on from the shipped one, on clips of it.

What is chosen for the machine is measured first: two steps on a copy tell time and memory.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kineograph.answer import Sampling, continued
from kineograph.data.augment import Augment, Frames
from kineograph.data.clips import ClipOptions, Source
from kineograph.data.folder import write_json
from kineograph.data.loader import Batches, as_batch
from kineograph.models import ahead, store, weights
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.net import Kineo
from kineograph.models.restorer import Restorer
from kineograph.train import checkpoint, machine, restoring
from kineograph.train.lessons import LESSONS, Lesson, begun, to_come
from kineograph.train.loop import FitResult, fit
from kineograph.train.recipes import take_mean_weights
from kineograph.train.watch import Pictures, strips
from kineograph.video.levels import frames_of

Continue = Callable[[Float[Tensor, "t 3 h w"], int], Float[Tensor, "n 3 h w"]]
MOST_WATCHED = 12
"""Clips that are held out are watched by; more would take longer than they tell."""
SPARED_SECONDS, USED_SHARE = 20.0, 0.92
"""Of the budget: what saving and the last measures take, and what steps may, of the rest."""
LEAST_STEPS = 40
MEMORY_SHARE = 0.5
"""Of what is free, at most so much is used."""
PLAN = "plan.json"


@dataclass(frozen=True)
class Learning:
    """What is learned, and how long that may take.

    lesson: which of the model's restorers; the one of what comes next by default. scratch: from
    nothing but the classical answer, instead of from the shipped weights.
    """

    minutes: float = 10.0
    lesson: str = ahead.NAME
    scratch: bool = False
    learning_rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= 100_000:
            raise ValueError(f"minutes is {self.minutes}: give more than 0, and at most 100,000.")
        if self.lesson not in LESSONS:
            raise ValueError(f"There is no lesson {self.lesson!r}: give one of {list(LESSONS)}.")


@dataclass(frozen=True)
class Plan:
    """What was chosen for the machine, and what that will take: peak memory, and steps in time."""

    batch_size: int
    steps: int
    seconds_a_step: float
    peak_mb: float


@dataclass(frozen=True, eq=False)
class Learned:
    """A model that has learned, how the run went, and dB on what was held out, by who answers."""

    model: Kineo
    result: FitResult
    plan: Plan
    decibels: dict[str, float]


@dataclass(frozen=True)
class _Run:
    """Where a run stands as a sitting begins."""

    folder: Path
    step: int
    seconds_before: float
    began: float

    @staticmethod
    def found(folder: Path, began: float) -> "_Run":
        saved = checkpoint.load_latest(folder / "checkpoints")
        if saved is None:
            return _Run(folder, 0, 0.0, began)
        return _Run(folder, saved.step, float(saved.scalars["seconds_before"]), began)

    def minutes(self, how: Learning) -> float:
        """How long the run may have trained in all when this sitting ends."""
        left = how.minutes * 60 - (time.monotonic() - self.began) - SPARED_SECONDS
        return (self.seconds_before + max(0.0, left)) / 60


def clip_options(lesson: Lesson, size_px: int) -> ClipOptions:
    """Clips as they are filmed: never upside down or backwards, where smoke would fall."""
    kept = Augment(upside_down=0.0, reverse=0.0, colour=0.3, gain=0.1, gamma=0.1, saturation=0.2)
    return ClipOptions(lesson.num_frames, size_px, (1,), (1.0,), kept)


def lesson_for(how: Learning, model: Kineo) -> Lesson:
    """The lesson, asked with the model's own guess, at the rate that was asked for."""
    lesson = LESSONS[how.lesson]
    if how.lesson == ahead.NAME:
        lesson = replace(lesson, prepare=partial(to_come, model.weigh))
    return replace(lesson, learning_rate=how.learning_rate or lesson.learning_rate)


def learn(
    model: Kineo,
    source: Source,
    held_out: Sequence[Frames],
    how: Learning,
    out: Path,
    others: Mapping[str, Continue] | None = None,
    told: Callable[[Plan], None] | None = None,
    began: float | None = None,
) -> Learned:
    """A copy of the model that has learned from the clips; resumes what `out` holds.

    source: clips of `LESSONS[how.lesson].num_frames` frames. held_out: clips of 16 frames that are
    only measured by. others: what else continues films, to be measured beside. told: hears what
    was chosen before the first step. began: when the minutes began, by `time.monotonic`.
    ValueError if it does not fit in memory or in the time.
    """
    run = _Run.found(out, time.monotonic() if began is None else began)
    lesson = lesson_for(how, model)
    net = _start(model, lesson, how)
    plan = _plan(net, lesson, source, how, run)
    if told is not None:
        told(plan)
    held = list(held_out)[:MOST_WATCHED]
    batches = Batches(source, plan.batch_size, how.seed, lesson.prepare)
    options = replace(
        restoring.options_of(plan.steps, run.minutes(how), lesson.learning_rate, how.seed),
        held_out_every=max(20, plan.steps // 8),
        checkpoint_every=max(20, plan.steps // 8),
        pictures_every=max(20, plan.steps // 4),
        warmup_steps=min(30, plan.steps // 4),
    )
    result = fit(
        net,
        restoring.objective,
        batches,
        options,
        out,
        held_out=restoring.watched_by(lesson, held, 0) if held else None,
        pictures=_pictures(model, how.lesson, held[:2]) if how.lesson == ahead.NAME else None,
    )
    take_mean_weights(net, out)
    learned = with_net(model, how.lesson, net)
    everyone = {"before": model, "learned": learned}
    measured = {name: partial(_mean, one) for name, one in everyone.items()}
    decibels = {
        name: decibels_of(go_on, held) for name, go_on in {**measured, **(others or {})}.items()
    }
    return Learned(learned, result, plan, decibels if held else {})


def save(learned: Learned, name: str, about: Mapping[str, Any]) -> Path:
    """Puts the model under its name into the store, with a card that says what made it."""
    path = store.place(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    result = learned.result
    made = {
        "recipe": f"{__name__}.learn",
        "steps": result.step,
        "seconds": result.seconds,
        "loss": result.loss,
        "held_out_decibels": learned.decibels,
        "plan": asdict(learned.plan),
    }
    weights.save(learned.model, path, {"name": name, **made, **about})
    return path


def with_net(model: Kineo, name: str, net: Restorer) -> Kineo:
    """A copy of the model with one restorer in place of its own."""
    made = deepcopy(model)
    made.restorers[name] = deepcopy(net).eval().requires_grad_(False)
    return made


def decibels_of(go_on: Continue, clips: Sequence[Frames]) -> float:
    """PSNR of the frames after the first 8, mean over frames and clips."""
    found = []
    for clip in clips:
        frames = frames_of(clip)
        known, truth = frames[:NUM_KNOWN], frames[NUM_KNOWN:]
        error = (go_on(known, len(truth)) - truth).square().mean((1, 2, 3))
        found.append(float((10 * torch.log10(4 / error.clamp(min=1e-6))).mean()))
    return float(np.mean(found)) if found else float("nan")


def _mean(model: Kineo, known: Tensor, num_frames: int) -> Float[Tensor, "n 3 h w"]:
    return torch.stack(list(continued(model, known, num_frames, Sampling(1))))


def _start(model: Kineo, lesson: Lesson, how: Learning) -> Restorer:
    if how.scratch or how.lesson not in model.restorers:
        return begun(lesson)
    own = deepcopy(model.restorers[how.lesson])
    assert isinstance(own, Restorer)
    return own.requires_grad_(True)


def _plan(net: Restorer, lesson: Lesson, source: Source, how: Learning, run: _Run) -> Plan:
    """What is chosen; a run that was stopped keeps its plan, one that was done gets more steps."""
    path = run.folder / PLAN
    before = Plan(**json.loads(path.read_text())) if path.is_file() else None
    if before is not None and run.step < before.steps:
        return before
    plan = chosen(net, lesson, source, how, time.monotonic() - run.began)
    plan = replace(plan, steps=plan.steps + (before.steps if before else 0))
    run.folder.mkdir(parents=True, exist_ok=True)
    write_json(asdict(plan), path)
    return plan


def chosen(
    net: Restorer, lesson: Lesson, source: Source, how: Learning, seconds_spent: float
) -> Plan:
    """Measures steps of one and two clips on a copy: from these, the batch that fits the memory.

    ValueError if not even one clip fits, or the time is too short to learn anything.
    """
    seconds, peaks = zip(*(_tried(net, lesson, source, n) for n in (1, 2)), strict=True)
    a_clip = max(1.0, peaks[1] - peaks[0])
    room = MEMORY_SHARE * machine.free_mb()
    batch = min(lesson.batch_size, 1 + int(max(0.0, room - a_clip) / a_clip))
    if a_clip > room:
        raise ValueError(
            f"One clip takes {a_clip:.0f} MB more and only {room:.0f} may be used: give smaller "
            "clips (--size-px), or free some memory."
        )
    a_step = seconds[0] + max(0.0, seconds[1] - seconds[0]) * (batch - 1)
    left = (how.minutes * 60 - seconds_spent - SPARED_SECONDS) * USED_SHARE
    steps = int(left / max(a_step, 1e-3))
    if steps < LEAST_STEPS:
        needed = (LEAST_STEPS * a_step / USED_SHARE + SPARED_SECONDS + seconds_spent) / 60
        raise ValueError(
            f"{how.minutes:g} minutes are {max(0, steps)} steps of {a_step:.1f} s here, too few to "
            f"learn anything: give --minutes {needed:.1f} or more."
        )
    return Plan(batch, steps, a_step, peaks[1] + a_clip * max(0, batch - 2))


def _tried(net: Restorer, lesson: Lesson, source: Source, num_clips: int) -> tuple[float, float]:
    """Seconds of one step of so many clips, after one to warm up; the process's peak in MB."""
    copy = deepcopy(net)
    batches = Batches(source, num_clips, prepare=lesson.prepare, num_workers=0)
    start = 0.0
    for n in range(2):
        start = time.perf_counter()
        batch = as_batch(batches.arrays(n))
        loss, _ = restoring.objective(copy, batch, torch.Generator())
        loss.backward()
        copy.zero_grad(set_to_none=True)
    return time.perf_counter() - start, machine.peak_mb()


def _pictures(model: Kineo, name: str, clips: Sequence[Frames]) -> Pictures:
    """Strips of the mean and a sample, as the model would draw them with the net as it is."""
    drawn = strips(clips)

    def of(net: nn.Module) -> Mapping[str, Float[Tensor, "c h w"]]:
        assert isinstance(net, Restorer)
        return drawn(with_net(model, name, net))

    return of
