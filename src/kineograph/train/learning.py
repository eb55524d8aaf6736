"""A person's own footage is learned from: a restorer goes on from the shipped one, on its clips."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from safetensors.torch import load_file
from torch import Tensor, nn

from kineograph import scale
from kineograph.answer import Sampling, continued
from kineograph.data.augment import Augment, Frames
from kineograph.data.clips import ClipOptions, Source
from kineograph.data.folder import write_json
from kineograph.data.loader import Arrays
from kineograph.imagine import Imagining, generate
from kineograph.models import ahead, store, weights
from kineograph.models.ahead import Ahead
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.net import Kineo
from kineograph.train import checkpoint, lora, machine, planning, restoring, scoring
from kineograph.train.lessons import LESSONS, Lesson, begun, to_come
from kineograph.train.loop import BEST, FitOptions, FitResult, fit
from kineograph.train.nearest import Clip, Stretches
from kineograph.train.planning import Plan
from kineograph.train.recipes import take_mean_weights
from kineograph.train.watch import Pictures, held_out_numbers, strips
from kineograph.video.levels import frames_of, from_levels, in_bytes

Continue = Callable[[Float[Tensor, "t 3 h w"], int], Float[Tensor, "n 3 h w"]]
MOST_WATCHED = 12
"""Clips that are held out are watched by; more would take longer than they tell."""
EXAMPLE_FRAMES, EXAMPLE_PX = 48, 144
NUM_MADE = 2
"""Clips of each kind that are searched for among what was learned from."""
PLAN = "plan.json"


@dataclass(frozen=True)
class Learning:
    """What is learned, and how long that may take.

    lesson: which of the model's networks; the one of what comes next by default. scratch: from
    nothing but the classical answer, instead of from the shipped weights. lora: the rank of the
    changes that are learned, 0 for all weights. patience: ends after so many looks in a row that
    were no better than the best, and takes the best; 0 is never. sharded: of several processes each
    keeps its part of the weights and of what learning adds to them.
    """

    minutes: float = 10.0
    lesson: str = ahead.NAME
    scratch: bool = False
    lora: int = 0
    patience: int = 4
    learning_rate: float | None = None
    seed: int = 0
    sharded: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= 100_000:
            raise ValueError(f"minutes is {self.minutes}: give more than 0, and at most 100,000.")
        if self.lesson not in LESSONS:
            raise ValueError(f"There is no lesson {self.lesson!r}: give one of {list(LESSONS)}.")
        if self.lora and self.scratch:
            raise ValueError("From scratch there is nothing to change a little: leave out lora.")
        if self.patience < 0:
            raise ValueError(f"patience is {self.patience}: give 0 (never) or more looks.")


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
        left = how.minutes * 60 - (time.monotonic() - self.began) - planning.SPARED_SECONDS
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
    usual = lesson.learning_rate * (1 if how.scratch else restoring.GENTLY)
    return replace(lesson, learning_rate=how.learning_rate or usual)


def learn(
    model: Kineo,
    source: Source,
    held_out: Sequence[Frames],
    how: Learning,
    out: Path,
    others: Mapping[str, Continue] | None = None,
    told: Callable[[Plan], None] | None = None,
    began: float | None = None,
    ranks: scale.Ranks | None = None,
) -> Learned:
    """A copy of the model that has learned from the clips; resumes what `out` holds.

    source: clips of `LESSONS[how.lesson].num_frames` frames. held_out: clips of as many that are
    only measured by. others: what else continues films, to be measured beside. told: hears what
    was chosen before the first step. began: when the minutes began, by `time.monotonic`. ranks:
    which process this is, of those that share each batch; only the first one measures.
    ValueError if it does not fit in memory or in the time.
    """
    run = _Run.found(out, time.monotonic() if began is None else began)
    lesson = lesson_for(how, model)
    net = _start(model, lesson, how)
    ranks = ranks or scale.Ranks()
    kept: dict[int, Arrays] = {}
    plan = _plan(net, lesson, source, how, run, ranks, kept)
    if told is not None:
        told(plan)
    held = list(held_out)[:MOST_WATCHED]
    batches = planning.batches_of(source, lesson, plan.batch_size, how.seed, ranks, kept)
    classical = {}
    if how.lesson == ahead.NAME and ranks.leads:
        classical = {name: decibels_of(one, held) for name, one in (others or {}).items()}
    watched = restoring.watched_by(lesson, held, 0) if held else None
    result = fit(
        net,
        lesson.objective,
        batches,
        _options(plan, how, lesson, run.minutes(how), bool(held)),
        out,
        held_out=watched and replace(watched, said=partial(_said, classical)),
        pictures=_pictures(model, how.lesson, held[:2]) if how.lesson == ahead.NAME else None,
        ranks=ranks,
    )
    _take_weights(net, out, how)
    if isinstance(net, Ahead) and held and ranks.leads:
        net.draws = torch.tensor(_draws_better(model, net, how.lesson, held))
    learned = Learned(with_net(model, how.lesson, net), result, plan, {})
    if not (held and ranks.leads):
        return learned
    if how.lesson == ahead.NAME:
        everyone = {"before": partial(_mean, model), "learned": partial(_mean, learned.model)}
        found = {name: decibels_of(one, held) for name, one in everyone.items()}
        return replace(learned, decibels={**found, **classical})
    nets = {"classical start": begun(lesson), "learned": net}
    if how.lesson in model.restorers:
        nets["before"] = model.restorers[how.lesson]
    return replace(learned, decibels=_decibels_asked(lesson, held, nets))


def _options(
    plan: Plan, how: Learning, lesson: Lesson, minutes: float, watched: bool
) -> FitOptions:
    return replace(
        restoring.options_of(plan.steps, minutes, lesson.learning_rate, how.seed),
        held_out_every=max(20, plan.steps // 8),
        checkpoint_every=max(20, plan.steps // 8),
        pictures_every=max(20, plan.steps // 4),
        warmup_steps=min(30, plan.steps // 4),
        timed=True,
        patience=how.patience if watched else 0,
        sharding="sharded" if how.sharded else "replicated",
    )


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
        "peak_mb": round(machine.peak_mb()),
    }
    weights.save(learned.model, path, {"name": name, **made, **about})
    return path


def example_of(films: Stretches) -> UInt8[Tensor, "n 3 h2 w2"]:
    """Two seconds or so from the middle of the longest stretch, to imagine new films of."""
    film, (start, end) = max(
        ((film, shot) for film, shots in films for shot in shots),
        key=lambda one: one[1][1] - one[1][0],
    )
    count = min(EXAMPLE_FRAMES, end - start)
    first = start + (end - start - count) // 2
    ratio = min(1.0, EXAMPLE_PX / min(film.shape[1:3]))
    size = tuple(max(2, round(n * ratio)) for n in (film.shape[2], film.shape[1]))
    small = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in film[first : first + count]]
    return rearrange(torch.from_numpy(np.stack(small)), "t h w c -> t c h w").contiguous()


def made_by(model: Kineo, held_out: Sequence[Clip]) -> list[Clip]:
    """Samples of how held-out clips go on, and new films like the model's example."""
    made = []
    for clip in list(held_out)[:NUM_MADE]:
        film = continued(model, frames_of(clip)[:NUM_KNOWN], NUM_KNOWN, Sampling(2))
        made.append(torch.stack(list(film)))
    if model.example is not None:
        like = from_levels(model.example)
        for seed in range(NUM_MADE):
            height, width = like.shape[-2:]
            made.append(generate(like, NUM_KNOWN, height, width, Imagining(seed)))
    return [rearrange(in_bytes(one), "t c h w -> t h w c").numpy() for one in made]


def with_net(model: Kineo, name: str, net: nn.Module) -> Kineo:
    """A copy of the model with one of its networks replaced."""
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


def _said(classical: Mapping[str, float], numbers: Mapping[str, float]) -> str:
    """How well what is held out is answered, in dB, beside the best classical method."""
    note = f"{float(scoring.decibels(torch.tensor(next(iter(numbers.values()))))):.2f} dB"
    if not classical:
        return note
    best = max(classical, key=lambda name: classical[name])
    return f"{note} ({best} {classical[best]:.2f})"


def _decibels_asked(
    lesson: Lesson, clips: Sequence[Frames], nets: Mapping[str, nn.Module]
) -> dict[str, float]:
    """PSNR of each network's answers to the lesson's question about the clips, by name."""
    asked, found = restoring.watched_by(lesson, clips, 0), {}
    for name, net in nets.items():
        numbers = held_out_numbers(net, asked, torch.device("cpu"), "fp32")
        log_error = torch.tensor(next(iter(numbers.values())))
        found[name] = float(scoring.decibels(log_error))
    return found


def _draws_better(model: Kineo, net: Ahead, name: str, clips: Sequence[Frames]) -> bool:
    """Whether its samples look more like the film than the large network's, where nothing was
    learned."""
    errors = []
    for draws in (False, True):
        net.draws = torch.tensor(draws)
        asked = with_net(model, name, net)
        made = [continued(asked, frames_of(c)[:NUM_KNOWN], NUM_KNOWN, Sampling(2)) for c in clips]
        films = [torch.stack(list(film)) for film in made]
        truths = [frames_of(clip)[NUM_KNOWN : 2 * NUM_KNOWN] for clip in clips]
        errors.append(
            sum(float(scoring.texture_error(f, t)) for f, t in zip(films, truths, strict=True))
        )
    return errors[1] < errors[0]


def _mean(model: Kineo, known: Tensor, num_frames: int) -> Float[Tensor, "n 3 h w"]:
    return torch.stack(list(continued(model, known, num_frames, Sampling(1))))


def _start(model: Kineo, lesson: Lesson, how: Learning) -> nn.Module:
    if how.scratch or how.lesson not in model.restorers:
        return begun(lesson)
    net = deepcopy(model.restorers[how.lesson]).requires_grad_(True)
    return lora.adapted(net, how.lora, how.seed) if how.lora else net


def _take_weights(net: nn.Module, out: Path, how: Learning) -> None:
    """The newest mean weights, or the best ones where the run was watched for that."""
    take_mean_weights(net, out)
    if how.patience and (out / BEST).is_file():
        checkpoint.restore(checkpoint.tensors_of(net), load_file(out / BEST))
    lora.merged(net)


def _plan(
    net: nn.Module,
    lesson: Lesson,
    source: Source,
    how: Learning,
    run: _Run,
    ranks: scale.Ranks,
    kept: dict[int, Arrays],
) -> Plan:
    """What the first process chooses and writes down for all.

    A run that was stopped keeps its plan, one that was done gets more steps.
    """
    path = run.folder / PLAN
    if not ranks.leads:
        scale.wait(ranks)
        return Plan(**json.loads(path.read_text()))
    before = Plan(**json.loads(path.read_text())) if path.is_file() else None
    plan = before
    if before is None or run.step >= before.steps:
        began = run.began
        plan = planning.chosen(net, lesson, source, how.minutes, how.seed, began, ranks, kept)
        plan = replace(plan, steps=plan.steps + (before.steps if before else 0))
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(asdict(plan), path)
    scale.wait(ranks)
    assert plan is not None
    return plan


def _pictures(model: Kineo, name: str, clips: Sequence[Frames]) -> Pictures:
    """Strips of the mean and a sample, as the model would draw them with the net as it is."""
    drawn = strips(clips)

    def of(net: nn.Module) -> Mapping[str, Float[Tensor, "c h w"]]:
        return drawn(with_net(model, name, net))

    return of
