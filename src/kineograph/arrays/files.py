"""A stack is read from a .npy, .npz, .nc or Zarr, and a forecast is written as the same kind."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float, Shaped

from kineograph.arrays import grids
from kineograph.arrays.coordinates import continued
from kineograph.arrays.forecasting import Forecast
from kineograph.arrays.stack import (
    ArrayError,
    Stack,
    as_stored,
    check_bytes,
    check_kind,
    checked_layout,
    chosen,
    cut_to,
    from_array,
    to_layout,
)
from kineograph.video import disk

SUFFIXES = (".npy", ".npz", ".nc", ".nc4", ".zarr")
_TIMES = ("time", "times", "t")
_MASK = "mask"


def read(
    path: str | Path,
    name: str | None = None,
    layout: str | None = None,
    last: int | None = None,
    fill_value: float | int | None = None,
) -> Stack:
    """The stack in a file: `t h w`, `t c h w`, or any order of these that `layout` tells.

    name: the variable; may be left out where only one has three or four axes
    last: only so many steps from the end
    fill_value: what marks unknown cells, where the file does not say

    A .npz may hold a "mask" (true where unknown) and a "time" beside its values. Nothing is
    unpickled. Raises ValueError for what cannot be read, is no such array, or takes over 4 GiB.
    """
    path = Path(path)
    if last is not None and last < 1:
        raise ArrayError(f"last is {last}: give 1 step or more.")
    kind = kind_of(path)
    if not path.exists():
        raise ArrayError(f"{path} does not exist: check the path.")
    if kind in (".nc", ".zarr"):
        return grids.read(path, kind, name, layout, last, fill_value)
    reader = _read_npy if kind == ".npy" else _read_npz
    try:
        return reader(path, name, layout, last, fill_value)
    except (OSError, EOFError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ArrayError(f"{path} cannot be read ({error}): give a whole {kind} file.") from error


def write(path: str | Path, forecast: Forecast, keep_samples: bool = False) -> None:
    """The given steps as they were stored, bit for bit, and after them the forecast's mean.

    Type, layout, name, attributes, fill value and coordinates are the stack's; the time
    coordinate goes on by its step. Beside it stands NAME_spread (0 on what was given), and with
    `keep_samples` NAME_samples; a .npy holds one array, so the mean alone. What else has the old
    number of steps is left out. The file appears whole or not at all. Raises ValueError where it
    cannot be written.
    """
    path, stack = Path(path), forecast.stack
    kind = kind_of(path)
    parts = {stack.name: _whole(forecast.mean, stack)}
    if kind != ".npy":
        parts[f"{stack.name}_spread"] = to_layout(_spread(forecast), stack.layout)
        if keep_samples:
            drawn = [_whole(sample, stack) for sample in forecast.samples]
            parts[f"{stack.name}_samples"] = np.stack(drawn)
    if kind in (".nc", ".zarr"):
        grids.write(path, kind, forecast, parts)
        return
    if kind == ".npz":
        parts |= _beside(forecast)
    with disk.writing(path):
        partial = disk.aside(path)
        try:
            with open(partial, "wb") as file:
                _save(file, parts, stack.name, kind)
            os.replace(partial, path)
        finally:
            disk.remove(partial)


def kind_of(path: Path) -> str:
    """.npy, .npz, .nc or .zarr, by the name; a folder is a Zarr."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES and not path.is_dir():
        raise ArrayError(f"{path} is no kind of array known here: give {', '.join(SUFFIXES)}.")
    if suffix in (".npy", ".npz"):
        return suffix
    return ".nc" if suffix in (".nc", ".nc4") and not path.is_dir() else ".zarr"


def _read_npy(
    path: Path, name: str | None, layout: str | None, last: int | None, fill: float | int | None
) -> Stack:
    try:
        held = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ArrayError(
            f"{path} is no array of numbers ({error}): give a .npy of them."
        ) from error
    if not isinstance(held, np.ndarray):
        raise ArrayError(f"{path} is no .npy, only named so: give its true ending.")
    check_kind(held.dtype, str(path))
    layout = checked_layout(layout, held.shape, str(path))
    part = held[cut_to(last, layout)]
    check_bytes(part.nbytes, str(path))
    stack = from_array(np.array(part), layout, fill, what=str(path))
    return replace(stack, name=name or "values")


def _read_npz(
    path: Path, name: str | None, layout: str | None, last: int | None, fill: float | int | None
) -> Stack:
    with zipfile.ZipFile(path) as archive:
        heads = {
            info.filename.removesuffix(".npy"): _head(archive, info, path)
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }
        check_bytes(sum(_num_bytes(*head) for head in heads.values()), str(path))
        wanted = chosen({n: s for n, (s, _) in heads.items() if n != _MASK}, name, path)
        check_kind(heads[wanted][1], f"{wanted} in {path}")
        held = {n: _member(archive, n, h, path) for n, h in heads.items() if h[1].kind in "biufUS"}
    values, mask = held.pop(wanted), held.pop(_MASK, None)
    layout = checked_layout(layout, values.shape, f"{wanted} in {path}")
    time = next((n for n in _TIMES if n in held and held[n].shape == _steps(values, layout)), None)
    part = cut_to(last, layout)
    masked = mask[part] if mask is not None and mask.shape == values.shape else mask
    stack = from_array(values[part], layout, fill, masked=masked, what=f"{wanted} in {path}")
    times = held.pop(time)[-stack.values.shape[0] :] if time else None
    return replace(stack, name=wanted, times=times, source=(time, held, mask is not None))


def _steps(values: Shaped[np.ndarray, "..."], layout: str) -> tuple[int]:
    return (values.shape[layout.split().index("t")],)


def _head(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path
) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array, if its data are as many as it says."""
    with archive.open(info) as file:
        shape, _, kind = _array_header(file, info.filename, path)
        promised = info.file_size - file.tell()
    if not kind.hasobject and _num_bytes(shape, kind) != promised:
        raise ArrayError(
            f"{info.filename} in {path} says that it is {shape} of {kind} and holds {promised} "
            "bytes: give a whole file."
        )
    return shape, kind


def _num_bytes(shape: tuple[int, ...], kind: np.dtype) -> int:
    return int(np.prod(shape, dtype=object)) * kind.itemsize


def _array_header(file: Any, name: str, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        return np.lib.format.read_array_header_2_0(file)
    except ValueError as error:
        raise ArrayError(f"{name} in {path} is no array ({error}): give a whole file.") from error


def _member(
    archive: zipfile.ZipFile, name: str, head: tuple[tuple[int, ...], np.dtype], path: Path
) -> Shaped[np.ndarray, "..."]:
    with archive.open(f"{name}.npy") as file:
        shape, fortran, kind = _array_header(file, name, path)
        data = np.frombuffer(bytearray(file.read(_num_bytes(*head))), kind)
    return data.reshape(shape, order="F" if fortran else "C")


def _whole(answer: Float[np.ndarray, "n c h w"], stack: Stack) -> Shaped[np.ndarray, "..."]:
    """What was given and then an answer, in the file's own type and order of axes."""
    whole = np.concatenate([stack.values, as_stored(answer, stack)])
    # In the file's order of bytes, which joining forgets.
    return to_layout(whole.astype(stack.values.dtype), stack.layout)


def _spread(forecast: Forecast) -> Shaped[np.ndarray, "t c h w"]:
    """In the variable's units; nothing is uncertain about what was given and known."""
    stack = forecast.stack
    given = np.where(stack.known, 0, np.nan)
    return np.concatenate([given, forecast.spread * abs(stack.factor)]).astype(np.float32)


def _beside(forecast: Forecast) -> dict[str, Any]:
    """What a .npz held beside the values, its time going on, its mask longer."""
    stack = forecast.stack
    time, others, had_mask = stack.source if isinstance(stack.source, tuple) else (None, {}, False)
    parts = dict(others)
    if time is not None and stack.times is not None:
        parts[time] = continued(stack.times, forecast.num_frames)
    if had_mask:
        foretold = np.isfinite(forecast.mean)
        parts[_MASK] = to_layout(~np.concatenate([stack.known, foretold]), stack.layout)
    return parts


def _save(file: BinaryIO, parts: dict[str, Any], name: str, kind: str) -> None:
    if kind == ".npy":
        np.save(file, parts[name], allow_pickle=False)
    else:
        np.savez_compressed(file, allow_pickle=False, **parts)
