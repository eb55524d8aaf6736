"""OpenVINO on the CPU in floats, or with its convolutions in 8 bits, and its .xml files."""

import importlib
import logging
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from kineograph.runtime.kinds import Arrays, Runs, traced

EXACT = ("Add", "Subtract", "Multiply", "Divide", "Exp", "MatMul", "MVN", "ReduceMean", "ReduceMax")
"""What stays in floats, so that what stands still in a picture stays so: convolutions take all the
time, and sums of 8 bits would wear the last frame at each step."""
RT_INFO = "kineograph"
"""Where a file holds what is said about it."""


def openvino(converted: Any) -> Runs:
    """A converted model, compiled."""
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = quiet_openvino().Core().compile_model(converted, "CPU", hints)

    def run(*arrays: np.ndarray) -> Arrays:
        answers = compiled(list(arrays))
        return tuple(answers[n].copy() for n in range(len(compiled.outputs)))

    return run


def in_floats(model: nn.Module, example: tuple[Tensor, ...]) -> Any:
    """The model as OpenVINO holds it."""
    openvino = quiet_openvino()
    with traced():
        converted = openvino.convert_model(model, example_input=example)
    converted.reshape({n: list(x.shape) for n, x in enumerate(example)})
    return converted


def in_8_bits(model: nn.Module, example: tuple[Tensor, ...], calibration: Iterable[Arrays]) -> Any:
    """The same with convolutions whose ranges are those that these questions lead to.

    ValueError if there are none.
    """
    questions = [list(question) for question in calibration]
    if not questions:
        raise ValueError("8 bits need questions to be calibrated on; got 0 of them.")
    nncf = _quiet_nncf()
    with redirect_stdout(StringIO()):  # its bars have no switch
        return nncf.quantize(
            in_floats(model, example),
            nncf.Dataset(questions),
            subset_size=len(questions),
            ignored_scope=nncf.IgnoredScope(types=list(EXACT), validate=False),
        )


def describe(
    converted: Any, about: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> None:
    """Names its inputs and outputs, and keeps what is said about the model in it."""
    for values, named in ((converted.inputs, inputs), (converted.outputs, outputs)):
        for value, name in zip(values, named, strict=True):
            value.get_tensor().set_names({name})
    for key, said in about.items():
        converted.set_rt_info(said, [RT_INFO, key])


def save(converted: Any, path: Path) -> None:
    """An .xml, with its .bin beside it."""
    quiet_openvino().save_model(converted, path, compress_to_fp16=False)


def quiet_openvino() -> Any:
    """OpenVINO, which else tells Google Analytics of its import and of each model it is given."""
    sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]
    return importlib.import_module("openvino")


def _quiet_nncf() -> Any:
    """NNCF, which tells by the same package, and much to the terminal."""
    quiet_openvino()
    nncf = importlib.import_module("nncf")
    nncf.set_log_level(logging.ERROR)
    return nncf
