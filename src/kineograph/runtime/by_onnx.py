"""ONNX Runtime on the CPU, and .onnx files that say what is in them."""

import importlib
import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kineograph.runtime.kinds import Arrays, Runs, traced

OPSET = 17
"""The first that has layer normalisation; runtimes since 2022 read it."""


def onnx(model: nn.Module, example: tuple[Tensor, ...]) -> Runs:
    """The model in ONNX Runtime, on as many threads as torch takes."""
    runtime = quiet_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(
        as_bytes(model, example), options, providers=["CPUExecutionProvider"]
    )
    names = [given.name for given in session.get_inputs()]

    def run(*arrays: np.ndarray) -> Arrays:
        return tuple(session.run(None, dict(zip(names, arrays, strict=True))))

    return run


def as_bytes(
    model: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
) -> bytes:
    """What a file would hold; inputs, outputs: their names, and what they mean."""
    held = io.BytesIO()
    with traced():
        torch.onnx.export(
            model,
            example,
            held,  # pyright: ignore[reportArgumentType] - so the other exporter's types say
            input_names=list(inputs or ()),
            output_names=list(outputs or ()),
            opset_version=OPSET,
            dynamo=False,  # the other exporter needs one more package, for the same answers
        )
    return held.getvalue()


def described(held: bytes, about: Mapping[str, str], meanings: Mapping[str, str]) -> bytes:
    """The same model with what is said about it, and about each input and output."""
    onnx = importlib.import_module("onnx")
    model = onnx.load_from_string(held)
    onnx.helper.set_model_props(model, dict(about))
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = meanings[value.name]
    onnx.checker.check_model(model)
    return model.SerializeToString()


def quiet_onnxruntime() -> Any:
    """ONNX Runtime, which else tells Microsoft of each session, on Linux too since 1.29.

    Only the variable keeps its first event back, and only if it is set before the import.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    runtime = importlib.import_module("onnxruntime")
    runtime.disable_telemetry_events()
    return runtime
