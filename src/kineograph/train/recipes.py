"""A run is a named function; the shipped weights are made by `small`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from kineograph.data import footage, shots, simulate
from kineograph.data.augment import Frames
from kineograph.data.clips import ClipOptions, ClipSource, fixed_clips, rng_for
from kineograph.data.loader import Batch, Batches, as_batch, stacked
from kineograph.flow import noised
from kineograph.models import weights
from kineograph.models.guess import Guess, fitted
from kineograph.models.layers import warped
from kineograph.models.motion import NUM_KNOWN, flows, flows_between
from kineograph.models.net import Kineo, Shape
from kineograph.train import checkpoint, weighing
from kineograph.train.loop import FitOptions, FitResult, fit
from kineograph.train.scoring import decibels
from kineograph.train.watch import HeldOut, strips
from kineograph.video.levels import from_levels, in_bytes

FLOOR = 4e-5
"""Squared error (range 2) that counts as none: half a grey level."""
MEAN_SHARE = 0.7
NUM_SCORED = 4
ROLLED_SHARE, NUM_ROLLED = 0.12, 4
WORN_SHARE, STILL_SHARE, WEAR_STREAM = 0.1, 0.05, 2
"""How many clips have grain on their known frames; how many stood still at first."""
WEIGHER_LOG = "weigher.json"
WEIGHING_SEED = 1
"""Other clips than those that the network trains on."""
MIX = {"film": 0.75, "camera": 0.1, "parallax": 0.08, "nonrigid": 0.04, "fast": 0.03}
RARE = {
    "still": 0.03,
    "lighting": 0.03,
    "smoke": 0.015,
    "fire": 0.015,
    "rain": 0.015,
    "snow": 0.015,
}
"""Kinds that what weighs the classical answer meets beside those: it must not take a noisy
sensor or a flame for a cartoon."""
WEIGHED_WORN_SHARE = 0.2


@dataclass(frozen=True)
class Mixture:
    """Film and simulated motion over its stills, mixed by weight."""

    film: ClipSource
    chances: tuple[tuple[str, float], ...]
    worn_share: float = WORN_SHARE

    def __call__(self, seed: int, index: int) -> Frames:
        clip = simulate.mixed(self.film, seed, index, dict(self.chances))
        return worn(clip, rng_for(seed, index, WEAR_STREAM), self.worn_share)


def worn(clip: Frames, rng: np.random.Generator, share: float = WORN_SHARE) -> Frames:
    """Some clips get grain on the known frames; some stand still until a random known frame."""
    chance = rng.random()
    if chance < share:
        grain = rng.normal(0, rng.uniform(0.5, 5), (NUM_KNOWN, *clip.shape[1:]))
        noisy = np.clip(np.rint(clip[:NUM_KNOWN] + grain), 0, 255).astype(np.uint8)
        return np.concatenate([noisy, clip[NUM_KNOWN:]])
    if chance < share + STILL_SHARE:
        first = int(rng.integers(1, NUM_KNOWN))
        return np.concatenate([np.repeat(clip[first : first + 1], first, 0), clip[first:]])
    return clip


def with_flows(clip: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What the loader computes beside each clip."""
    return _flows_of(clip)


def _flows_of(clip: Frames) -> dict[str, np.ndarray]:
    return {"flows": flows(clip[:NUM_KNOWN])}


def predict_objective(
    model: nn.Module, batch: Batch, generator: torch.Generator, mean_share: float = MEAN_SHARE
) -> tuple[Tensor, dict[str, Tensor]]:
    """The log of each frame's squared error, for horizon 1, random others and random noise levels.

    The logarithm weighs every clip alike: with plain squared error a few fast clips own the loss
    and the nearly still ones are spoiled. `mean_share` of the clips are asked for the mean
    (sigma 1), the others from a noisy version, as sampling does. One batch in several goes on
    from frames of the model's own, as long films do.
    """
    rolled = float(torch.rand((), generator=generator, device=generator.device)) < ROLLED_SHARE
    if rolled:
        batch, mean_share = rolled_on(model, batch, generator), 1.0
    b, t = batch.frames.shape[:2]
    device = batch.frames.device
    order = 1 + torch.randperm(t - NUM_KNOWN - 1, generator=generator, device=device)
    which = torch.cat([order.new_zeros(1), order[: NUM_SCORED - 1].sort().values])
    if rolled:
        which = torch.arange(NUM_ROLLED, device=device)
    level = random_levels(b, mean_share, generator, device)
    clean, question = asked(batch, level.view(b, 1, 1, 1, 1), generator)
    answer, plan = model(*question, which)
    truth = clean[:, NUM_KNOWN + which]
    error = log_error(answer, truth)
    moved = motion_error(plan.motions, clean, truth)
    parts = {"decibels": decibels(error.mean())}
    return error.mean() + 0.2 * moved, parts


@torch.no_grad()
def rolled_on(model: nn.Module, batch: Batch, generator: torch.Generator) -> Batch:
    """The clips four frames on: the newest four known frames are the model's own.

    Only the first four of the frames to foretell are true then; the others repeat the last one.
    """
    _, question = asked(batch, 1.0, generator)
    which = torch.arange(NUM_ROLLED, device=batch.frames.device)
    answer, _ = model(*question, which)
    own = in_bytes(answer.float())
    first, end = NUM_ROLLED, NUM_KNOWN + NUM_ROLLED
    rest = batch.frames[:, end : end + NUM_ROLLED]
    padding = rest[:, -1:].expand(-1, NUM_KNOWN - NUM_ROLLED, -1, -1, -1)
    frames = torch.cat([batch.frames[:, first:NUM_KNOWN], own, rest, padding], 1)
    return Batch(frames, batch.indices, {"flows": flows_between(frames[:, :NUM_KNOWN])})


def asked(
    batch: Batch, level: float | Float[Tensor, "b 1 1 1 1"], generator: torch.Generator
) -> tuple[Float[Tensor, "b t c h w"], tuple[Tensor, Tensor, Guess]]:
    """The clean frames, and what the model is given: noised to `level` after the known ones."""
    clean = from_levels(batch.frames)
    sigma = torch.zeros_like(clean[:, :, :1])
    sigma[:, NUM_KNOWN:] = level
    noise = torch.randn(clean.shape, generator=generator, device=clean.device)
    guess = fitted(clean[:, :NUM_KNOWN], batch.extra["flows"])
    return clean, (noised(clean, noise, sigma), sigma, guess)


def random_levels(
    b: int, mean_share: float, generator: torch.Generator, device: torch.device
) -> Float[Tensor, " b"]:
    """Sigma 1 for a share of the clips, else logit-normal (Esser et al., arXiv 2403.03206)."""
    noisy = torch.sigmoid(1.2 * torch.randn(b, generator=generator, device=device) - 0.2)
    asked_for_mean = torch.rand(b, generator=generator, device=device) < mean_share
    return torch.where(asked_for_mean, 1.0, noisy)


def log_error(answer: Tensor, truth: Tensor) -> Float[Tensor, "*frames"]:
    return torch.log((answer.float() - truth).square().mean((-1, -2, -3)) + FLOOR)


def motion_error(
    motions: Float[Tensor, "m k 2 h w"], clean: Tensor, truth: Tensor
) -> Float[Tensor, ""]:
    """The first learned motion alone should foretell the frame too, or it would never be used."""
    n = truth.shape[1]
    last = clean[:, NUM_KNOWN - 1].repeat_interleave(n, 0)
    return log_error(warped(last, motions[:, 0]), truth.flatten(0, 1)).mean()


def held_out_objective(
    model: nn.Module, batch: Batch, generator: torch.Generator, level: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """The same log error over all horizons at one fixed noise level."""
    clean, question = asked(batch, level, generator)
    answer, _ = model(*question)
    return log_error(answer, clean[:, NUM_KNOWN:]).mean(), {}


def small(out: Path, minutes: float | None = None, steps: int = 400) -> FitResult:
    """The shipped predictor: Big Buck Bunny's training shots with simulated motion.

    First what weighs the classical answer, in a few minutes, then the network on top of it.
    Resumes what `out` holds. `minutes` ends a sitting early; the rate's shape follows `steps`.
    """
    film = footage.fetch("bbb")
    source = ClipSource(film, shots.learnt_shots(), ClipOptions())
    torch.manual_seed(0)
    model = Kineo()
    batches = Batches(Mixture(source, tuple(MIX.items())), 8, prepare=with_flows)
    if checkpoint.load_latest(out / "checkpoints") is None:
        wide = Mixture(source, tuple({**MIX, **RARE}.items()), WEIGHED_WORN_SHARE)
        weighed = Batches(wide, 16, seed=WEIGHING_SEED, prepare=with_flows)
        options = weighing.WeighingOptions()
        before, after = weighing.train(model.weigh, weighed, options)
        told = {"clips": options.num_clips, "log error untrained": before, "trained": after}
        out.mkdir(parents=True, exist_ok=True)
        (out / WEIGHER_LOG).write_text(json.dumps(told))
    options = replace(
        shipped_options(steps, minutes),
        pictures_every=200,
        flops_per_clip=flops_a_clip(model, as_batch(batches.arrays(0))),
    )
    drawn = strips(fixed_clips(film, shots.watched_shots())[:2])
    return fit(
        model, predict_objective, batches, options, out, held_out=watched(film), pictures=drawn
    )


def shipped_options(steps: int, minutes: float | None) -> FitOptions:
    """What the runs of shipped weights have in common."""
    return FitOptions(
        steps=steps,
        minutes=minutes,
        learning_rate=1e-3,
        betas=(0.9, 0.98),
        rate_shape="wsd",
        decay_share=0.4,
        checkpoint_every=200,
        held_out_every=200,
        seed=0,
    )


def flops_a_clip(model: nn.Module, batch: Batch) -> float:
    """Multiplications and additions of matrices for one clip of a step, forward and backward."""
    generator = torch.Generator().manual_seed(0)
    with FlopCounterMode(display=False) as counter:
        predict_objective(model, batch, generator)[0].backward()
    model.zero_grad(set_to_none=True)
    return counter.get_total_flops() / len(batch.frames)


def watched(film: np.ndarray) -> HeldOut:
    """Training shots that the run does not train on, to watch it by; not the held-out shots."""
    clips = fixed_clips(film, shots.watched_shots())
    objectives = {f"sigma-{s}": partial(held_out_objective, level=s) for s in (1.0, 0.5, 0.1)}
    return HeldOut(batches_of([np.asarray(c) for c in clips]), objectives)


def batches_of(clips: Sequence[Frames], size: int = 8) -> list[Batch]:
    """Fixed clips as batches, with their flows."""
    made = []
    for first in range(0, len(clips), size):
        chosen = enumerate(clips[first : first + size], first)
        parts = [{"frames": clip, "indices": np.array(n), **_flows_of(clip)} for n, clip in chosen]
        made.append(as_batch(stacked(parts)))
    return made


def ship(run: Path, name: str, card: dict[str, Any], to: Path, shape: Shape | None = None) -> Path:
    """The mean weights of a run's newest checkpoint, as a file that `weights.load` reads."""
    return ship_model(Kineo(shape), run, to / f"{name}.safetensors", card)


def ship_model(model: weights.Model, run: Path, path: Path, card: dict[str, Any]) -> Path:
    """The same for any model that can be saved; `model` says its shape."""
    steps = take_mean_weights(model, run)
    weights.save(model, path, {**card, "steps": steps}, small=True)
    return path


def take_mean_weights(model: nn.Module, run: Path) -> int:
    """Puts the mean weights of a run's newest checkpoint into the model; gives its step."""
    saved = checkpoint.load_latest(run / "checkpoints")
    if saved is None:
        raise ValueError(f"{run} holds no checkpoint: train first.")
    checkpoint.restore(checkpoint.tensors_of(model), saved.ema)
    return saved.step
