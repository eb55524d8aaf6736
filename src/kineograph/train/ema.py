"""A running mean of the weights, which answers better than the weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from kineograph.train.checkpoint import Tensors, tensors_of


def started(model: nn.Module) -> Tensors:
    """The mean at the start: a copy."""
    return {name: tensor.clone() for name, tensor in tensors_of(model).items()}


def decay_at(step: int, decay: float) -> float:
    """Short memory at first, so that the random start is soon forgotten."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update(ema: Tensors, model: nn.Module, decay: float) -> None:
    """Moves the mean a share 1 - decay towards the weights; counters are copied."""
    for name, tensor in tensors_of(model).items():
        if tensor.is_floating_point():
            ema[name].lerp_(tensor, 1 - decay)
        else:
            ema[name].copy_(tensor)


@contextmanager
def applied(ema: Tensors, model: nn.Module) -> Iterator[nn.Module]:
    """The model with the mean as its weights, in eval mode; all put back afterwards, exactly."""
    was_training = model.training
    swap(ema, model)
    model.eval()
    try:
        yield model
    finally:
        swap(ema, model)
        model.train(was_training)


@torch.no_grad()
def swap(ema: Tensors, model: nn.Module) -> None:
    for name, tensor in tensors_of(model).items():
        kept = tensor.clone()
        tensor.copy_(ema[name])
        ema[name].copy_(kept)
