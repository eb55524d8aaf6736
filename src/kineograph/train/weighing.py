"""Trains the `Weigher` of a model: a few numbers, on clips that are turned into clues beforehand.

The squared error of a blend is a quadratic form of its weights, so each cell of a clip is kept as
one small matrix a horizon, and hundreds of passes over all clips take a minute.
"""

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kineograph.data.loader import Batch, Batches
from kineograph.models.candidates import NUM_SOURCES, effect_of, normal_equations, split
from kineograph.models.guess import fitted, foretold
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.weigh import Weigher, heard
from kineograph.train.optimise import rate_at, set_rate
from kineograph.video.levels import from_levels

FLOOR = 1e-5
LEAST_SPREAD = 0.1
"""Of a clue: one that hardly varied where it was learned must not rule elsewhere."""


@dataclass(frozen=True)
class WeighingOptions:
    """How to train a weigher. `num_clips` are prepared first, `horizons` of each."""

    num_clips: int = 2_400
    horizons: tuple[int, ...] = (1, 2, 4, 8)
    steps: int = 1_000
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    seed: int = 0


class Examples(NamedTuple):
    """What a weigher is told of clips at a horizon, and what its answer is scored by."""

    clues: Float[Tensor, "n heard h8 w8"]
    weights: Float[Tensor, "n free h8 w8"]
    belief: Float[Tensor, "n 1 h8 w8"]
    normal: Float[Tensor, "n k k h8 w8"]


def examples(batch: Batch, horizons: tuple[int, ...]) -> Iterator[Examples]:
    """Those of a batch, horizon by horizon."""
    frames = from_levels(batch.frames)
    guess = fitted(frames[:, :NUM_KNOWN], batch.extra["flows"])
    newest = frames[:, NUM_KNOWN - NUM_SOURCES : NUM_KNOWN]
    for horizon in horizons:
        made = foretold(newest, guess.motions, horizon)
        normal = normal_equations(made, frames[:, NUM_KNOWN + horizon - 1])
        fit = guess.fit_at(horizon)
        clues, belief = heard(fit, split(normal)[0], horizon)
        yield Examples(clues, fit.weights, belief, normal)


def squared_error(told: Examples, weights: Float[Tensor, "n free h8 w8"]) -> Float[Tensor, " n"]:
    """Of each blend, mean over cells and channels; within a cell the weights are constant."""
    _, _, left = effect_of(weights, told.normal)
    return left.mean((1, 2, 3)).clamp(min=0) / 3


def train(weigher: Weigher, batches: Batches, options: WeighingOptions) -> tuple[float, float]:
    """Trains it in place; gives the log error before and after, over all that it was shown."""
    told = _gathered(batches, options)
    weigher.mean.copy_(told.clues.mean((0, 2, 3))[:, None, None])
    weigher.spread.copy_(told.clues.std((0, 2, 3))[:, None, None] + LEAST_SPREAD)
    weigher.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        weigher.parameters(), options.learning_rate, (0.9, 0.98), weight_decay=options.weight_decay
    )
    generator = torch.Generator().manual_seed(options.seed)
    before = _mean_log_error(weigher, told)
    for step in range(options.steps):
        set_rate(optimizer, rate_at(step, options.steps, "cosine", 50))
        chosen = torch.randint(len(told.clues), (options.batch_size,), generator=generator)
        _log_errors(weigher, Examples(*(x[chosen] for x in told))).mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    weigher.requires_grad_(False)
    return before, _mean_log_error(weigher, told)


def _log_errors(weigher: Weigher, told: Examples) -> Float[Tensor, " n"]:
    weights = weigher.decided(told.clues, told.weights, told.belief)
    return torch.log(squared_error(told, weights) + FLOOR)


@torch.no_grad()
def _mean_log_error(weigher: Weigher, told: Examples) -> float:
    parts = [Examples(*p) for p in zip(*(x.split(256) for x in told), strict=True)]
    return sum(float(_log_errors(weigher, p).sum()) for p in parts) / len(told.clues)


def _gathered(batches: Batches, options: WeighingOptions) -> Examples:
    """All examples at once: about 0.2 MB each at 128 x 128."""
    num = math.ceil(options.num_clips / batches.batch_size)
    with closing(batches(0)) as stream:
        made = [e for batch in islice(stream, num) for e in examples(batch, options.horizons)]
    return Examples(*(torch.cat(parts) for parts in zip(*made, strict=True)))
