"""A model as a file that other programs run; whole, or not there at all."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from kineograph import runtime
from kineograph.runtime import by_onnx, by_openvino
from kineograph.runtime.kinds import Arrays

NEEDS = {".onnx": ("onnx",), ".xml": ("openvino",)}
"""The kinds of files, and the packages that write them."""


@dataclass(frozen=True)
class Described:
    """What a file says besides the network: a card, and what its inputs and outputs mean."""

    card: Mapping[str, object]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    def texts(self) -> dict[str, str]:
        """As JSON, by name."""
        return {
            "card": json.dumps(self.card),
            "inputs": json.dumps(dict(self.inputs)),
            "outputs": json.dumps(dict(self.outputs)),
        }


def checked(path: Path, small: bool = False) -> Path:
    """The path of a file that can be written; small: in 8 bits.

    ValueError for another kind of file, a folder that is not there, or a package that is missing.
    """
    if path.suffix not in NEEDS:
        raise ValueError(f"A world is exported to {' or '.join(NEEDS)}; got {path.name!r}.")
    if small and path.suffix != ".xml":
        raise ValueError(f"8 bits are written for OpenVINO, to an .xml; got {path.name!r}.")
    if not path.parent.is_dir():
        raise ValueError(f"{path} cannot be written: {path.parent} is no folder; make it first.")
    runtime.need(*NEEDS[path.suffix], *(("nncf",) if small else ()))
    return path


def write(
    model: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    said: Described,
    calibration: Iterable[Arrays] | None = None,
) -> tuple[Path, ...]:
    """Writes an .onnx, or an .xml with its .bin, in 8 bits where calibrated; gives their paths.

    ValueError as in `checked`.
    """
    checked(path, calibration is not None)
    model = model.eval().requires_grad_(False)
    if path.suffix == ".onnx":
        held = by_onnx.as_bytes(model, example, said.inputs, said.outputs)
        whole = by_onnx.described(held, said.texts(), {**said.inputs, **said.outputs})
        return _replacing((path,), lambda part: part.write_bytes(whole))
    if calibration is None:
        converted = by_openvino.in_floats(model, example)
    else:
        converted = by_openvino.in_8_bits(model, example, calibration)
    by_openvino.describe(converted, said.texts(), said.inputs, said.outputs)
    return _replacing(
        (path, path.with_suffix(".bin")), lambda part: by_openvino.save(converted, part)
    )


def _replacing(paths: tuple[Path, ...], save: Callable[[Path], object]) -> tuple[Path, ...]:
    """Saves aside under the first path's other name, then renames; the first comes last, as it is
    what is opened."""
    asides = {path.with_name(f".part-{path.name}"): path for path in paths}
    try:
        save(next(iter(asides)))
        for aside, path in reversed(asides.items()):
            aside.replace(path)
    finally:
        for aside in asides:
            aside.unlink(missing_ok=True)
    return paths
