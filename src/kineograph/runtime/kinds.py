"""What a backend is, and what it may say while a model is read."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from torch.jit._trace import TracerWarning

Backend = Literal["auto", "eager", "compiled", "graphs", "openvino", "int8", "onnx"]
Arrays = tuple[np.ndarray, ...]
Runs = Callable[..., Arrays]
"""Takes arrays as the model takes tensors, and gives arrays as it gives tensors."""


@contextmanager
def traced() -> Iterator[None]:
    """Quiet about how others trace a model: by means that torch calls old, for the shapes given."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit\.(trace|script)", DeprecationWarning)
        warnings.filterwarnings("ignore", ".*legacy TorchScript-based ONNX", DeprecationWarning)
        warnings.filterwarnings("ignore", ".*feature will be removed", DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)
        yield
