"""A tiny training run that tests call, and that one of them kills from outside."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kineograph.data.loader import Batch, Batches
from kineograph.train.loop import FitOptions, FitResult, HeldOut, fit

OPTIONS = FitOptions(
    steps=20, learning_rate=1e-2, warmup_steps=4, ema_decay=0.9, precision="fp32", seed=7,
    checkpoint_every=3, keep=2, held_out_every=5, log_every=5, tensorboard=False, quiet=True,
)  # fmt: skip


def clip(seed: int, index: int) -> np.ndarray:
    rng = np.random.default_rng((seed, index))
    return rng.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)


BATCHES = Batches(clip, batch_size=3, seed=7, num_workers=0)


def tiny_model() -> nn.Module:
    """With dropout, so that the global generator matters, and one tied weight."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(48, 16), nn.Dropout(0.2), nn.Linear(16, 16), nn.Linear(16, 48))
    model.append(nn.Linear(48, 16))
    model[4].weight = model[0].weight
    return model


def objective(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    frames = batch.frames.flatten(2).float() / 127.5 - 1
    noise = torch.randn(frames.shape, generator=generator, device=frames.device)
    loss = model(frames + noise).square().mean()
    return loss, {"size": loss.detach().sqrt()}


def slowly(batches: Batches, seconds: float, position: int) -> Iterator[Batch]:
    """Gives a killer the time to hit any moment."""
    import time

    for batch in batches(position):
        time.sleep(seconds)
        yield batch


def run(out: Path, seconds: float = 0.0, options: FitOptions = OPTIONS) -> FitResult:
    torch.set_num_threads(1)
    held_out = HeldOut([next(BATCHES(1000))], {"loss": objective})
    batches = partial(slowly, BATCHES, seconds) if seconds else BATCHES
    return fit(tiny_model(), objective, batches, options, out, held_out=held_out)
