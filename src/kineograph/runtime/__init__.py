"""The same answers by the fastest means at hand: eager torch, which is the reference, or OpenVINO.

A backend turns a plain model into a function of arrays. Models know nothing of it.
"""

import importlib
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

Backend = Literal["auto", "eager", "openvino"]
Arrays = tuple[np.ndarray, ...]
Runs = Callable[..., Arrays]
"""Takes arrays as the model takes tensors, and gives arrays as it gives tensors."""


def chosen(backend: Backend) -> Backend:
    """What "auto" stands for here. ValueError for one that is not installed."""
    there = find_spec("openvino") is not None
    if backend == "auto":
        return "openvino" if there else "eager"
    if backend == "openvino" and not there:
        raise ValueError("OpenVINO is not installed: pip install 'kineograph[fast]', or use eager.")
    return backend


def prepared(model: nn.Module, example: tuple[Tensor, ...], backend: Backend = "auto") -> Runs:
    """The model as a function of arrays, of the example's shapes. ValueError as in `chosen`."""
    model = model.eval().requires_grad_(False)
    return _openvino(model, example) if chosen(backend) == "openvino" else _eager(model)


def _eager(model: nn.Module) -> Runs:
    @torch.inference_mode()
    def run(*arrays: np.ndarray) -> Arrays:
        answers = model(*(torch.from_numpy(array) for array in arrays))
        return tuple(answer.numpy() for answer in answers)

    return run


def _openvino(model: nn.Module, example: tuple[Tensor, ...]) -> Runs:
    openvino = _quiet_openvino()
    converted = openvino.convert_model(model, example_input=example)
    converted.reshape({n: list(x.shape) for n, x in enumerate(example)})
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(converted, "CPU", hints)

    def run(*arrays: np.ndarray) -> Arrays:
        answers = compiled(list(arrays))
        return tuple(answers[n].copy() for n in range(len(compiled.outputs)))

    return run


def _quiet_openvino() -> Any:
    """OpenVINO, which else tells Google Analytics of its import and of each model it is given."""
    sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]
    return importlib.import_module("openvino")
