"""PyTorch itself: eager, which is the reference, or compiled to C++."""

import os
import subprocess
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from kineograph.runtime.kinds import Arrays, Runs, traced

A_PROGRAM = b'#include <cmath>\nextern "C" float half(float x) { return std::ldexp(x, -1); }\n'


def eager(model: Callable[..., tuple[Tensor, ...]]) -> Runs:
    """The model as it is."""

    @torch.inference_mode()
    def run(*arrays: np.ndarray) -> Arrays:
        answers = model(*(torch.from_numpy(array) for array in arrays))
        return tuple(answer.numpy() for answer in answers)

    return run


def compiled(model: nn.Module, example: tuple[Tensor, ...]) -> Runs:
    """Compiled before it is asked anything; its plain operations are, not how Python says them."""
    from torch.fx.experimental.proxy_tensor import make_fx  # takes its time to import

    run = eager(torch.compile(make_fx(model)(*example), fullgraph=True))
    with traced():  # as torch itself calls what it calls old
        run(*(tensor.numpy() for tensor in example))
    return run


def compiles() -> bool:
    """Whether the C++ compiler that torch would call works."""
    call = [os.environ.get("CXX", "g++"), "-x", "c++", "-fsyntax-only", "-"]
    try:
        return subprocess.run(call, input=A_PROGRAM, capture_output=True).returncode == 0
    except OSError:
        return False
