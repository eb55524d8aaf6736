"""NetCDF and Zarr keep named axes, coordinates and attributes; xarray reads and writes them."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from kineograph.arrays.coordinates import continued
from kineograph.arrays.forecasting import Forecast
from kineograph.arrays.stack import (
    ArrayError,
    Stack,
    check_bytes,
    check_kind,
    checked_layout,
    chosen,
    cut_to,
    from_array,
)
from kineograph.video import disk

_AXES = {"t": "time", "c": "channel", "h": "y", "w": "x"}
_NETCDF3 = {"NETCDF3_64BIT_OFFSET": "NETCDF3_64BIT", "NETCDF3_64BIT_DATA": "NETCDF3_64BIT"}
_ENCODINGS = {
    ".nc": ("zlib", "complevel", "shuffle", "fletcher32"),
    ".zarr": ("chunks", "compressors", "filters"),
}
_UNSAFE_CODEC = "pickle"


@dataclass(frozen=True)
class Grid:
    """What a file holds besides the chosen variable's values, and how that is stored."""

    kind: str
    file_format: str | int
    dims: tuple[str, ...]
    time: str
    encoding: Mapping[str, Any]
    others: Mapping[str, Any]
    attributes: Mapping[str, Any]
    unlimited: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Held:
    """One variable of an open file, of which nothing has been read yet."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    attributes: dict[str, Any]
    encoding: dict[str, Any]
    part: Callable[[tuple[slice, ...]], Shaped[np.ndarray, "..."]]

    def num_bytes(self, index: tuple[slice, ...]) -> int:
        """How much memory this part of it takes."""
        sizes = [len(range(*s.indices(n))) for s, n in zip(index, self.shape, strict=True)]
        return int(np.prod(sizes, dtype=object)) * self.dtype.itemsize


@dataclass(frozen=True)
class _Open:
    variables: dict[str, _Held]
    file_format: str | int
    attributes: dict[str, Any]
    unlimited: tuple[str, ...] = ()


def read(
    path: Path,
    kind: str,
    name: str | None,
    layout: str | None,
    last: int | None,
    fill_value: float | int | None,
) -> Stack:
    """The stack of one variable, its values and attributes as stored; see `files.read`."""
    with _opened(path, kind) as file:
        name = chosen({n: v.shape for n, v in file.variables.items()}, name, path)
        held, what = file.variables[name], f"{name} in {path}"
        check_kind(held.dtype, what)
        layout = checked_layout(layout, held.shape, what)
        _check_time_axis(held, layout, what)
        part, axes = cut_to(last, layout), dict(zip(layout.split(), held.dims, strict=True))
        check_bytes(held.num_bytes(part), what)
        others = _others(file, name, axes["t"], last)
        values = np.array(held.part(part), held.dtype)
        stack = from_array(values, layout, fill_value, held.attributes, what=what)
    encoding = {k: v for k, v in held.encoding.items() if k in _ENCODINGS[kind] and v is not None}
    grid = Grid(
        kind, file.file_format, held.dims, axes["t"], encoding, others, file.attributes,
        tuple(axis for axis in file.unlimited if axis in held.dims),
    )  # fmt: skip
    time = others.get(axes["t"])
    return replace(
        stack,
        name=name,
        times=None if time is None else time.values,
        time_attributes={} if time is None else time.attrs,
        north_last=_rises(others.get(axes["h"])),
        source=grid,
    )


def write(
    path: Path, kind: str, forecast: Forecast, parts: Mapping[str, Shaped[np.ndarray, "..."]]
) -> None:
    """A file with these variables and the stack's coordinates; see `files.write`."""
    xarray, stack = _library(kind), forecast.stack
    grid = stack.source if isinstance(stack.source, Grid) else _plain_grid(stack, kind)
    if kind == ".zarr" and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ArrayError(f"{path} is there already: give a new folder.")
    variables = dict(_longer(xarray, grid, forecast.num_frames))
    for name, values in parts.items():
        variables[name] = _variable(xarray, name, values, grid, stack, kind)
    dataset = xarray.Dataset(variables, attrs=dict(grid.attributes))
    file_format = grid.file_format if kind == grid.kind else None
    with disk.writing(path):
        partial = disk.aside(path)
        try:
            if kind == ".nc":
                dataset.to_netcdf(
                    partial,
                    engine="netcdf4",
                    format=file_format or "NETCDF4",
                    unlimited_dims=grid.unlimited,
                )
            else:
                version = file_format or 3
                dataset.to_zarr(partial, zarr_format=version, consolidated=version == 2)
                if path.is_dir():
                    path.rmdir()
            os.replace(partial, path)
        finally:
            disk.remove(partial)


def _library(kind: str) -> Any:
    try:
        import xarray

        if kind == ".nc":
            import netCDF4  # noqa: F401
        else:
            import zarr  # noqa: F401
    except ImportError as error:
        raise ArrayError(
            f"{error.name} is not installed, and {kind} needs it: "
            "pip install xarray zarr netCDF4 cftime"
        ) from error
    return xarray


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[_Open]:
    xarray = _library(kind)
    opener = _open_netcdf if kind == ".nc" else _open_zarr
    try:
        with opener(xarray, path) as file:
            yield file
    except ArrayError:
        raise
    except Exception as error:  # a damaged file ends in whatever the libraries stumble upon
        raise ArrayError(f"{path} cannot be read ({_said(error)}): give a whole file.") from error


def _said(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


@contextmanager
def _open_netcdf(xarray: Any, path: Path) -> Iterator[_Open]:
    import netCDF4

    # An absolute path, lest the library takes a name such as http:x for an address.
    where = str(path.absolute())
    with netCDF4.Dataset(where) as raw:
        file_format = _NETCDF3.get(raw.data_model, raw.data_model)
        for name, variable in raw.variables.items():
            _check_chunk(variable.chunking(), np.dtype("u8"), f"{name} in {path}")
    with xarray.open_dataset(
        where, engine="netcdf4", decode_cf=False, create_default_indexes=False, cache=False
    ) as dataset:
        unlimited = tuple(sorted(dataset.encoding.get("unlimited_dims", ())))
        yield _Open(_lazily(dataset), file_format, dict(dataset.attrs), unlimited)


@contextmanager
def _open_zarr(xarray: Any, path: Path) -> Iterator[_Open]:
    import zarr

    if path.is_file():
        raise ArrayError(f"{path} is a file: a Zarr is a folder.")
    node: Any = zarr.open(str(path.absolute()), mode="r")
    version = node.metadata.zarr_format
    arrays = {"values": node} if isinstance(node, zarr.Array) else dict(node.arrays())
    for name, array in arrays.items():
        _check_chunk(array.chunks, array.dtype, f"{name} in {path}")
        if _UNSAFE_CODEC in str(array.metadata.to_dict()):
            raise ArrayError(f"{name} in {path} is pickled, which may run anything: not read.")
    if isinstance(node, zarr.Array) or any(_axis_names(a) is None for a in arrays.values()):
        yield _Open({n: _bare(n, a) for n, a in arrays.items()}, version, {})
        return
    with xarray.open_zarr(
        str(path.absolute()),
        chunks=None,
        decode_cf=False,
        consolidated=False,
        create_default_indexes=False,
    ) as dataset:
        # In the file's order of bytes, which xarray undoes.
        lazily = _lazily(dataset).items()
        variables = {n: replace(held, dtype=arrays[n].dtype) for n, held in lazily}
        for held in variables.values():  # Zarr 2 fills with 0 by default, without a meaning
            if version == 2 and held.attributes.get("_FillValue") == 0:
                del held.attributes["_FillValue"]
        yield _Open(variables, version, dict(dataset.attrs))


def _lazily(dataset: Any) -> dict[str, _Held]:
    return {
        str(n): _Held(v.dims, v.shape, v.dtype, dict(v.attrs), dict(v.encoding), _reader(v))
        for n, v in dataset.variables.items()
    }


def _reader(variable: Any) -> Callable[[tuple[slice, ...]], Shaped[np.ndarray, "..."]]:
    return lambda part: np.asarray(variable[part].values)


def _bare(name: str, array: Any) -> _Held:
    """An array of a Zarr that names no axes."""
    names = _axis_names(array) or [f"{name}_axis_{i}" for i in range(array.ndim)]
    attributes = {k: v for k, v in dict(array.attrs).items() if k != "_ARRAY_DIMENSIONS"}
    encoding = {"chunks": array.chunks, "compressors": array.compressors}
    return _Held(
        tuple(names), array.shape, array.dtype, attributes, encoding, lambda part: array[part]
    )


def _axis_names(array: Any) -> list[str] | None:
    names = getattr(array.metadata, "dimension_names", None) or dict(array.attrs).get(
        "_ARRAY_DIMENSIONS"
    )
    if names is None and array.ndim == 0:
        return []
    return None if names is None or None in names else list(names)


def _check_chunk(chunks: Any, kind: np.dtype, what: str) -> None:
    if isinstance(chunks, list | tuple):  # else stored in one piece
        check_bytes(
            int(np.prod(chunks, dtype=object)) * max(kind.itemsize, 1), f"a chunk of {what}"
        )


def _check_time_axis(held: _Held, layout: str, what: str) -> None:
    axes = dict(zip(held.dims, layout.split(), strict=True))
    if axes.get("time", "t") != "t":
        raise ArrayError(
            f"{what} has the axes {', '.join(held.dims)}, and the layout {layout!r} takes "
            f"{held.dims[layout.split().index('t')]!r} for time: tell the layout, as 'h w t'."
        )


def _others(file: _Open, name: str, time: str, last: int | None) -> dict[str, Any]:
    """The other variables without time, and the time coordinate with its bounds."""
    import xarray

    along = [time]
    if time in file.variables:
        along.append(str(file.variables[time].attributes.get("bounds", "")))
    kept, num_bytes = {}, 0
    for other, held in file.variables.items():
        if other == name or (time in held.dims and (other not in along or held.dims[0] != time)):
            continue
        part = cut_to(last, " ".join("t" if d == time else "_" for d in held.dims))
        num_bytes += held.num_bytes(part)
        check_bytes(num_bytes, "what the file holds besides")
        kept[other] = xarray.Variable(held.dims, held.part(part), held.attributes)
    return kept


def _rises(coordinate: Any) -> bool:
    """Whether rows run from south to north: a latitude, or a y, that rises."""
    if coordinate is None or coordinate.ndim != 1 or coordinate.dtype.kind not in "iuf":
        return False
    return coordinate.size > 1 and bool(coordinate.values[-1] > coordinate.values[0])


def _plain_grid(stack: Stack, kind: str) -> Grid:
    dims = tuple(_AXES[axis] for axis in stack.layout.split())
    return Grid(kind, "NETCDF4" if kind == ".nc" else 3, dims, "time", {}, {}, {})


def _longer(xarray: Any, grid: Grid, num_frames: int) -> Iterator[tuple[str, Any]]:
    """The other variables, those along time going on."""
    attributes = grid.others[grid.time].attrs if grid.time in grid.others else {}
    for name, held in grid.others.items():
        values = held.values
        if grid.time in held.dims:
            values = continued(values, num_frames, attributes)
        encoding = {} if "_FillValue" in held.attrs else {"_FillValue": None}
        yield name, xarray.Variable(held.dims, values, held.attrs, encoding)


def _variable(
    xarray: Any,
    name: str,
    values: Shaped[np.ndarray, "..."],
    grid: Grid,
    stack: Stack,
    kind: str,
) -> Any:
    dims = ("sample", *grid.dims) if values.ndim > len(grid.dims) else grid.dims
    if name.endswith("_spread"):
        said = {k: v for k, v in stack.attributes.items() if k in ("units", "grid_mapping")}
        said |= {"long_name": f"standard deviation of {stack.name} over samples"}
        return xarray.Variable(dims, values, said, {"_FillValue": np.float32(np.nan)})
    encoding = dict(grid.encoding) if kind == grid.kind and len(dims) == len(grid.dims) else {}
    if "_FillValue" not in stack.attributes:
        # An answer may hold unknown cells only where a marker for them was given.
        marked = stack.fill_value is not None and values.dtype.kind in "iu"
        encoding["_FillValue"] = values.dtype.type(stack.fill_value) if marked else None
    return xarray.Variable(dims, values, dict(stack.attributes), encoding)
