"""PyTorch on a CUDA device: all that a model does is recorded once as a graph, and then replayed.

A small network else keeps the device waiting for Python to start each of its steps. Convolutions
stay in whole float32, without TF32, so that the answers are eager's.
"""

from contextlib import AbstractContextManager
from copy import deepcopy
from threading import Lock
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from kineograph.runtime.kinds import Arrays, Runs

NUM_WARM = 3
ALONE = Lock()
"""While one thread records, no other may ask anything of the device."""


def here() -> bool:
    """Whether torch finds a CUDA device."""
    return torch.cuda.is_available()


def graphs(model: nn.Module, example: tuple[Tensor, ...]) -> Runs:
    """The model as a graph for inputs of the example's shapes."""
    return Recorded(model, example)


@final
class Recorded:
    """A graph with the tensors that it reads and writes, of which it knows the addresses alone."""

    def __init__(self, model: nn.Module, example: tuple[Tensor, ...]) -> None:
        with ALONE:
            self.model = on_device(model)
            self.given = tuple(x.to("cuda", copy=True) for x in example)
            self.graph, self.answers = recorded(self.model, self.given)

    @torch.inference_mode()
    def __call__(self, *arrays: np.ndarray) -> Arrays:
        with ALONE:
            for given, array in zip(self.given, arrays, strict=True):
                assert given.shape == array.shape, "a graph takes the shapes that it was made for"
                given.copy_(torch.from_numpy(array))
            self.graph.replay()
            return tuple(answer.cpu().numpy() for answer in self.answers)


def on_device(model: nn.Module) -> nn.Module:
    """A copy, with the weights of convolutions as its channels are: last in memory."""
    copied = deepcopy(model).to("cuda")
    for weight in copied.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return copied


@torch.inference_mode()
def recorded(
    model: nn.Module, given: tuple[Tensor, ...]
) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]:
    """The graph, and the tensors that hold the answers whenever it has been replayed."""
    graph = torch.cuda.CUDAGraph()
    with whole_floats():
        warm(model, given)
        with torch.cuda.graph(graph):
            answers = model(*given)
    return graph, answers


def warm(model: nn.Module, given: tuple[Tensor, ...]) -> None:
    """Runs it beforehand on a stream of its own, as what is set up at first cannot be recorded."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(NUM_WARM):
            model(*given)
    torch.cuda.current_stream().wait_stream(side)


def whole_floats() -> AbstractContextManager[None]:
    """Convolutions without TF32 while this is entered; products are so by torch's own default."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
