"""A run under way: what it holds, what of it is kept, and how it goes on from there."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from kineograph import scale
from kineograph.data.loader import Batch
from kineograph.train import checkpoint, ema, optimise, precision
from kineograph.train.watch import Meter, Objective

BEST = "best.safetensors"


@dataclass(frozen=True)
class FitOptions:
    """How to train. `steps` shapes the learning rate; `minutes` only ends the run early.

    timed: the rate falls by the minutes where these end sooner than the steps; such a run depends
    on the clock.
    patience: after so many looks in a row at which the first held-out number was no better than
    the best, the run ends; 0 is never. The mean weights that were best are in BEST.
    sharding: between steps each of several processes holds all weights, or its part of them, of
    their mean and of the optimizer's moments; the model given is then empty until the run is done.
    """

    steps: int
    minutes: float | None = None
    timed: bool = False
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    rate_shape: optimise.RateShape = "cosine"
    warmup_steps: int = 100
    decay_share: float = 0.2
    ema_decay: float = 0.999
    clip_norm: float = 1.0
    accumulate: int = 1
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    sharding: Literal["replicated", "sharded"] = "replicated"
    device: str = "cpu"
    seed: int = 0
    checkpoint_every: int = 500
    keep: int = 3
    held_out_every: int = 500
    pictures_every: int = 500
    log_every: int = 20
    bad_steps: int = 5
    patience: int = 0
    flops_per_clip: float | None = None
    tensorboard: bool = True
    quiet: bool = False


CARRIED = ("position", "bad", "rollbacks", "seconds_before", "loss", "best", "looks_since")
"""What of a run a checkpoint carries, beside weights and step."""


class Step(nn.Module):
    """The model and its objective as one call, which is what data parallel training wraps."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return self.objective(self.model, batch, generator)


@dataclass
class Run:
    """A run under way: what a checkpoint holds, and what is built around it.

    model: what is trained. asked: what is looked at, the same one unless the run is sharded.
    """

    model: nn.Module
    asked: nn.Module
    step_module: nn.Module
    optimizer: Optimizer
    ema: checkpoint.Tensors
    options: FitOptions
    precision: precision.Precision
    ranks: scale.Ranks
    folder: Path
    step: int = 0
    position: int = 0
    bad: int = 0
    rollbacks: int = 0
    seconds_before: float = 0.0
    kept_step: int = -1
    looked_step: int = -1
    best: float = math.inf
    looks_since: int = 0
    loss: float = math.nan

    @property
    def device(self) -> torch.device:
        return torch.device(self.options.device)


def resume(run: Run, saved: checkpoint.Checkpoint) -> None:
    """Puts everything back, to the bit."""
    if saved.scalars["seed"] != run.options.seed:
        raise ValueError(
            f"The run in {run.folder.parent} has seed {saved.scalars['seed']}, not "
            f"{run.options.seed}: give that seed, or another folder."
        )
    put_back(run, saved)
    for name in CARRIED:
        setattr(run, name, saved.scalars[name])
    run.step = run.kept_step = saved.step
    checkpoint.restore_random_state(saved.random, run.device)


def put_back(run: Run, saved: checkpoint.Checkpoint) -> None:
    """Weights, their mean, and the optimizer, from a checkpoint."""
    checkpoint.restore(checkpoint.tensors_of(run.model), saved.model)
    checkpoint.restore(run.ema, saved.ema)
    state = checkpoint.unpack_optimizer(saved.optimizer, saved.scalars["optimizer"])
    weights = [weight for group in run.optimizer.param_groups for weight in group["params"]]
    for index, moments in state["state"].items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and name != "step":
                moments[name] = scale.part(value, weights[index])
    run.optimizer.load_state_dict(state)


def keep(run: Run, meter: Meter) -> None:
    """Writes a checkpoint of the run, unless it has written this step."""
    if run.kept_step == run.step:
        return
    moments, numbers = checkpoint.pack_optimizer(run.optimizer.state_dict())
    held = (checkpoint.tensors_of(run.model), run.ema, moments)
    weights, mean, moments = (whole(run, tensors) for tensors in held)
    if run.ranks.leads:
        scalars: dict[str, Any] = {
            **{name: getattr(run, name) for name in CARRIED},
            "seconds_before": run.seconds_before + meter.seconds,
            "seed": run.options.seed,
            "precision": asdict(run.precision),
            "optimizer": numbers,
            "options": asdict(run.options),
            "torch": torch.__version__,
        }
        state = checkpoint.Checkpoint(
            run.step,
            weights,
            mean,
            moments,
            checkpoint.random_state(run.device),
            scalars,
        )
        checkpoint.save(run.folder, state, run.options.keep)
    run.kept_step = run.step
    scale.wait(run.ranks)


def shared_out(
    model: nn.Module, objective: Objective, options: FitOptions, ranks: scale.Ranks
) -> tuple[nn.Module, nn.Module]:
    """What is trained, and its step over all processes.

    Of a sharded run that is a copy, and the model itself is empty until it is asked.
    """
    if options.sharding == "replicated" or ranks.world == 1:
        return model, scale.data_parallel(Step(model, objective), ranks)
    trained = deepcopy(model)
    step_module = scale.sharded(Step(trained, objective), ranks)
    empty(model)
    return trained, step_module


def whole(run: Run, tensors: checkpoint.Tensors) -> checkpoint.Tensors:
    """Tensors as one process would hold them, for the first one; all must ask together."""
    if run.asked is run.model:
        return tensors
    named, found = checkpoint.tensors_of(run.asked), {}
    for name, tensor in tensors.items():
        full = scale.whole(tensor)
        if run.ranks.leads:
            found[name] = full.view(named.get(name, full).shape).cpu()
    return found


@contextmanager
def answering(run: Run, mean: checkpoint.Tensors) -> Iterator[nn.Module]:
    """The model that is asked, with these whole weights and in eval mode, for a while."""
    if run.asked is run.model:
        with ema.applied(mean, run.model) as model:
            yield model
        return
    fill(run.asked, mean)
    was_training = run.asked.training
    try:
        yield run.asked.eval()
    finally:
        run.asked.train(was_training)
        empty(run.asked)


def hand_back(run: Run) -> None:
    """Puts what a sharded run has trained into the model that it was given, on all processes."""
    if run.asked is not run.model:
        trained = checkpoint.tensors_of(run.model)
        fill(run.asked, {name: scale.whole(tensor) for name, tensor in trained.items()})


def empty(model: nn.Module) -> None:
    """Frees the weights; each keeps its shape."""
    for weight in model.parameters():
        weight.data = weight.data.new_zeros(()).expand(weight.shape)


def fill(model: nn.Module, tensors: checkpoint.Tensors) -> None:
    """Undoes `empty`, with these weights."""
    for weight in model.parameters():
        weight.data = weight.data.new_zeros(weight.shape)
    checkpoint.restore(checkpoint.tensors_of(model), tensors)
