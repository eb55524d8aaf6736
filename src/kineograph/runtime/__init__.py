"""The same answers by the fastest means at hand; eager torch is the reference for all others.

A backend turns a plain model into a function of arrays. Models know nothing of it.
"""

from collections.abc import Iterable
from importlib.util import find_spec

from torch import Tensor, nn

from kineograph.runtime import by_cuda, by_onnx, by_openvino, by_torch
from kineograph.runtime.kinds import Arrays, Backend, Runs

__all__ = ["NEEDS", "Arrays", "Backend", "Runs", "chosen", "need", "prepared"]

NEEDS: dict[Backend, tuple[str, ...]] = {
    "openvino": ("openvino",),
    "int8": ("openvino", "nncf"),
    "onnx": ("onnx", "onnxruntime"),
}
CALLED = {"openvino": "OpenVINO", "nncf": "NNCF", "onnx": "ONNX", "onnxruntime": "ONNX Runtime"}


def chosen(backend: Backend) -> Backend:
    """What "auto" stands for here. ValueError for one that does not run here."""
    if backend == "auto":
        return best()
    if backend == "graphs" and not by_cuda.here():
        raise ValueError("Graphs need a CUDA device, and torch finds none here: use eager.")
    need(*NEEDS.get(backend, ()))
    if backend == "compiled" and not by_torch.compiles():
        raise ValueError("torch compiles with a C++ compiler, and none works here: use eager.")
    return backend


def best() -> Backend:
    """The fastest here that answers as eager does."""
    if by_cuda.here():
        return "graphs"
    return "openvino" if find_spec("openvino") else "eager"


def need(*packages: str) -> None:
    """ValueError for the first that is not installed."""
    for package in packages:
        if find_spec(package) is None:
            raise ValueError(
                f"{CALLED[package]} is not installed: pip install 'kineograph[fast]', or use eager."
            )


def prepared(
    model: nn.Module,
    example: tuple[Tensor, ...],
    backend: Backend = "auto",
    calibration: Iterable[Arrays] | None = None,
) -> Runs:
    """The model as a function of arrays, of the example's shapes.

    calibration: questions as they will be asked, which "int8" alone takes its ranges from; its
    answers are near, and those of all others are the same. ValueError as in `chosen`, or for
    "int8" without questions.
    """
    model, backend = model.eval().requires_grad_(False), chosen(backend)
    if backend == "compiled":
        return by_torch.compiled(model, example)
    if backend == "graphs":
        return by_cuda.graphs(model, example)
    if backend == "onnx":
        return by_onnx.onnx(model, example)
    if backend == "openvino":
        return by_openvino.openvino(by_openvino.in_floats(model, example))
    if backend == "int8":
        return by_openvino.openvino(by_openvino.in_8_bits(model, example, calibration or ()))
    return by_torch.eager(model)
