"""A stack is numbers over time, height and width, as stored, and which of them are known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float, Shaped

MAX_BYTES = 4 * 2**30
MAX_SIDE_PX = 16384
MIN_SIDE_PX = 2
_LAYOUTS = {3: "t h w", 4: "t c h w"}
_FILLS = ("_FillValue", "missing_value")


class ArrayError(ValueError):
    """An array cannot be read, continued or written; the message says what to do."""


@dataclass(frozen=True)
class Stack:
    """Values as they are stored, `t c h w` (one channel if the array has none).

    known: which cells hold a value; the others are NaN, infinite, a fill value or masked
    layout: the axes of the stored array, such as "t h w c"
    times: the time coordinate as stored, None if there is none
    attributes: of the variable; scale_factor and add_offset turn values into its units
    fill_value: what stands in unknown cells of integers
    north_last: whether rows run from south to north
    source: what its kind of file keeps beside the values, to write it again
    """

    values: Shaped[np.ndarray, "t c h w"]
    known: Bool[np.ndarray, "t c h w"]
    layout: str = "t c h w"
    name: str = "values"
    times: Shaped[np.ndarray, " t"] | None = None
    time_attributes: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    fill_value: float | int | None = None
    north_last: bool = False
    source: Any = None

    @property
    def factor(self) -> float:
        """What a stored value is multiplied by to be in the variable's units."""
        return float(np.ravel(self.attributes.get("scale_factor", 1.0))[0])

    @property
    def offset(self) -> float:
        """What is then added to it."""
        return float(np.ravel(self.attributes.get("add_offset", 0.0))[0])


def from_array(
    values: Shaped[np.ndarray, "..."],
    layout: str | None = None,
    fill_value: float | int | None = None,
    attributes: Mapping[str, Any] | None = None,
    masked: Shaped[np.ndarray, "..."] | None = None,
    what: str = "the array",
) -> Stack:
    """A stack of an array of any integer or floating type: `t h w`, `t c h w`, or as told.

    Raises ValueError for another type or shape, or where no cell is known.

    >>> from_array(np.zeros((5, 8, 9), np.int16)).values.shape
    (5, 1, 8, 9)
    """
    check_kind(values.dtype, what)
    layout = checked_layout(layout, values.shape, what)
    attributes = dict(attributes or {})
    fills = [*_numbers(attributes, *_FILLS), *([] if fill_value is None else [fill_value])]
    known = _known(values, fills, attributes)
    if masked is not None:
        known &= ~_same_shape(masked, values, what)
    if not known.any():
        raise ArrayError(f"{what} has no known cell, only NaN or fill values: give another array.")
    return Stack(
        from_layout(values, layout),
        from_layout(known, layout),
        layout,
        attributes=attributes,
        fill_value=next((f for f in reversed(fills) if _storable(f, values.dtype)), None),
    )


def check_kind(kind: np.dtype, what: str) -> None:
    """ValueError unless the type is of whole or floating numbers."""
    if kind.kind not in "iuf" or kind.itemsize > 8:
        raise ArrayError(f"{what} holds {kind}: give integers or floats of at most 64 bits.")


def check_bytes(num_bytes: int, what: str) -> None:
    """ValueError above MAX_BYTES, before anything is read."""
    if num_bytes > MAX_BYTES:
        raise ArrayError(
            f"{what} takes {num_bytes / 2**30:.1f} GiB, and the limit is {MAX_BYTES / 2**30:g}: "
            "read only its last steps (last=N), or a part of it."
        )


def checked_layout(layout: str | None, shape: tuple[int, ...], what: str) -> str:
    """The axes as given, or by their number; ValueError if they do not fit the shape."""
    said = " ".join((layout or _LAYOUTS.get(len(shape), "")).split())
    if sorted(said.split()) not in (["h", "t", "w"], ["c", "h", "t", "w"]) or len(
        said.split()
    ) != len(shape):
        raise ArrayError(
            f"{what} has shape {tuple(shape)} and layout {layout or 'not told'}: give 3 axes as "
            "'t h w' or 4 as 't c h w', in the array's own order (such as 't h w c')."
        )
    sizes = dict(zip(said.split(), shape, strict=True))
    if min(shape) < 1 or not all(MIN_SIDE_PX <= sizes[a] <= MAX_SIDE_PX for a in "hw"):
        raise ArrayError(
            f"{what} has shape {tuple(shape)} as {said!r}: give 1 step or more, and "
            f"{MIN_SIDE_PX} to {MAX_SIDE_PX} cells high and wide (or tell the layout)."
        )
    return said


def chosen(shapes: dict[str, tuple[int, ...]], name: str | None, path: Path) -> str:
    """The variable of that name, or the only one of three or four axes."""
    fit = [n for n, shape in shapes.items() if len(shape) in (3, 4)] if name is None else [name]
    if len(fit) != 1 or fit[0] not in shapes:
        has = ", ".join(f"{n} {shape}" for n, shape in list(shapes.items())[:12]) or "nothing"
        asked = "one variable of three or four axes" if name is None else f"a variable {name!r}"
        raise ArrayError(f"{path} holds {has}, and {asked} is wanted: give a name among these.")
    return fit[0]


def cut_to(last: int | None, layout: str) -> tuple[slice, ...]:
    """The index of the last steps."""
    return tuple(slice(-last if last and a == "t" else None, None) for a in layout.split())


def from_layout(values: Shaped[np.ndarray, "..."], layout: str) -> Shaped[np.ndarray, "t c h w"]:
    """A stored array with its axes in our order."""
    return rearrange(values, f"{layout} -> t {'c' if 'c' in layout else '1'} h w")


def to_layout(values: Shaped[np.ndarray, "t c h w"], layout: str) -> Shaped[np.ndarray, "..."]:
    """The inverse of `from_layout`."""
    return rearrange(values, f"t {'c' if 'c' in layout else '1'} h w -> {layout}")


def as_stored(mean: Float[np.ndarray, "n c h w"], stack: Stack) -> Shaped[np.ndarray, "n c h w"]:
    """Numbers in the stack's own type: rounded and within its range, unknown ones its fill value.

    A number that would read as unknown is moved to the next one that does not.
    """
    kind, unknown = stack.values.dtype, ~np.isfinite(mean)
    low, high = valid_range(stack.attributes)
    values = np.clip(np.where(unknown, 0, mean), low, high)
    if kind.kind == "f":
        out = values.astype(kind)
        out[unknown] = np.nan if stack.fill_value is None else stack.fill_value
        return out
    span = np.iinfo(kind)
    # Not the top itself, which as a float is one too many for 64 bits.
    top = np.nextafter(float(span.max), 0) if kind.itemsize == 8 else span.max
    out = np.clip(np.rint(values), span.min, top).astype(kind)
    if stack.fill_value is not None:
        fill = int(stack.fill_value)
        out[out == fill] = fill - 1 if fill - 1 >= max(span.min, low) else fill + 1
        out[unknown] = fill
    return out


def valid_range(attributes: Mapping[str, Any]) -> tuple[float, float]:
    """The lowest and highest stored value that counts, by the CF conventions (2.5.1)."""
    both = _numbers(attributes, "valid_range")
    low = [*_numbers(attributes, "valid_min"), *both[:1], -np.inf]
    high = [*_numbers(attributes, "valid_max"), *both[1:2], np.inf]
    return float(low[0]), float(high[0])


def _numbers(attributes: Mapping[str, Any], *names: str) -> list[Any]:
    found = [x for name in names if name in attributes for x in np.ravel(attributes[name]).tolist()]
    return [x for x in found if isinstance(x, int | float) and not isinstance(x, bool)]


def _storable(fill: float | int, kind: np.dtype) -> bool:
    if kind.kind == "f":
        return True
    whole = np.isfinite(fill) and fill == int(fill)
    return bool(whole) and np.iinfo(kind).min <= fill <= np.iinfo(kind).max


def _known(
    values: Shaped[np.ndarray, "..."], fills: list[Any], attributes: Mapping[str, Any]
) -> Bool[np.ndarray, "..."]:
    low, high = valid_range(attributes)
    known = np.isfinite(values)
    if (low, high) != (-np.inf, np.inf):
        known &= (values >= low) & (values <= high)
    for fill in fills:
        # In the values' own precision: -9999.9 as float32 is another number than as float64.
        known &= values != (np.asarray(fill, values.dtype) if values.dtype.kind == "f" else fill)
    return known


def _same_shape(
    masked: Shaped[np.ndarray, "..."], values: Shaped[np.ndarray, "..."], what: str
) -> Bool[np.ndarray, "..."]:
    if masked.shape != values.shape:
        raise ArrayError(f"{what} is {values.shape} and its mask {masked.shape}: make them alike.")
    return masked.astype(bool)
