"""The learning rate is a function of the step alone, so a resumed run needs no clock."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from kineograph import scale

RateShape = Literal["cosine", "wsd", "constant"]
MakeOptimizer = Callable[[nn.Module], Optimizer]


def rate_at(
    step: int | float, num_steps: int, shape: RateShape, num_warmup: int, decay_share: float = 0.2
) -> float:
    """The share of the full learning rate at a step counted from 0.

    "cosine" falls all the way; "wsd" (warm up, stay, decay; arXiv 2404.06395) stays and falls
    by 1 - sqrt over the last `decay_share` of the steps.
    """
    if step < num_warmup:
        return (step + 1) / num_warmup
    if shape == "constant":
        return 1.0
    if shape == "cosine":
        done = (step - num_warmup) / max(1, num_steps - num_warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    start = num_steps * (1 - decay_share)
    done = (step - start) / max(1e-9, num_steps - start)
    return 1 - math.sqrt(min(1.0, max(0.0, done)))


def adamw(
    model: nn.Module, learning_rate: float, weight_decay: float, betas: tuple[float, float]
) -> Optimizer:
    """AdamW that decays matrices only: biases, gains and single vectors are left alone."""
    living = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in living if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in living if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return AdamW(groups, lr=learning_rate, betas=betas, fused=True)


def set_rate(optimizer: Optimizer, share: float) -> float:
    """Sets each group to a share of the rate it was made with; returns the first group's."""
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
        group["lr"] = group["initial_lr"] * share
    return optimizer.param_groups[0]["lr"]


def clipped_norm(model: nn.Module, largest: float) -> torch.Tensor:
    """The norm of all gradients, which are then scaled down to `largest` where it is more."""
    return scale.whole(nn.utils.clip_grad_norm_(list(model.parameters()), largest))
