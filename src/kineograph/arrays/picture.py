"""A forecast becomes a film: the values, and beside them how far the samples lie apart."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kineograph.arrays.coordinates import continued, labels
from kineograph.arrays.forecasting import Forecast
from kineograph.arrays.stack import ArrayError
from kineograph.video.writing import Writer

_PANEL_INCHES = 4.6
_DPI = 100
_PERCENT = 0.1  # of the cells may be off either end of the colours


def film(
    forecast: Forecast,
    channel: int = 0,
    colours: str = "viridis",
    spread_colours: str = "magma",
    num_given: int = 8,
) -> Iterator[Float[Tensor, "3 h w"]]:
    """RGB frames in [-1, 1]: the last `num_given` steps as they were, then the forecast.

    Left the values in the variable's units, right the spread, each with its scale of colours;
    unknown cells are grey. Sides are even. ValueError for a channel or colours that are not there.
    """
    stack = forecast.stack
    if not 0 <= channel < stack.values.shape[1]:
        raise ArrayError(f"channel is {channel}: the stack has {stack.values.shape[1]}, from 0.")
    given = min(num_given, len(stack.values))
    values, spread = _panels(forecast, channel, given)
    titles = _titles(forecast, given)
    draw = _Sheet(values, spread, stack, colours, spread_colours)
    return (draw(v, s, t) for v, s, t in zip(values, spread, titles, strict=True))


def save_film(
    path: str | Path, forecast: Forecast, fps: Fraction | float | int = 8, channel: int = 0
) -> None:
    """Write `film` of a channel into a film that `video.Writer` can write."""
    frames = film(forecast, channel)
    first = next(frames)
    height, width = first.shape[-2:]
    with Writer(path, width=width, height=height, fps=fps) as writer:
        for frame in chain([first], frames):
            writer.write(frame[None])


class _Sheet:
    """One figure with two panels, of which only pictures and title change."""

    def __init__(
        self,
        values: Float[np.ndarray, "t h w"],
        spread: Float[np.ndarray, "t h w"],
        stack: Any,
        colours: str,
        spread_colours: str,
    ) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        high = _PANEL_INCHES * float(np.clip(values.shape[1] / values.shape[2], 0.4, 2.0)) + 0.9
        self._figure = Figure(figsize=(2 * _PANEL_INCHES, high), dpi=_DPI, layout="constrained")
        self._canvas = FigureCanvasAgg(self._figure)
        left, right = self._figure.subplots(1, 2)
        units = f" ({stack.attributes['units']})" if "units" in stack.attributes else ""
        start = "lower" if stack.north_last else "upper"
        limits = (_limits(values), (0.0, _limits(spread)[1]))
        size, names = values.shape[1:], (f"{stack.name}{units}", f"spread{units}")
        parts = ((left, colours, limits[0], names[0]), (right, spread_colours, limits[1], names[1]))
        self._pictures = [
            _picture(self._figure, axes, size, look, limit, start, label)
            for axes, look, limit, label in parts
        ]
        self._title = self._figure.suptitle(" ", family="monospace", fontsize=11)

    def __call__(
        self, values: Float[np.ndarray, "h w"], spread: Float[np.ndarray, "h w"], title: str
    ) -> Float[Tensor, "3 h2 w2"]:
        for picture, panel in zip(self._pictures, (values, spread), strict=True):
            picture.set_data(np.ma.masked_invalid(panel))
        self._title.set_text(title)
        self._canvas.draw()
        drawn = np.asarray(self._canvas.buffer_rgba())[..., :3]
        even = drawn[: drawn.shape[0] // 2 * 2, : drawn.shape[1] // 2 * 2]
        return torch.from_numpy(even.copy()).permute(2, 0, 1).float() / 127.5 - 1


def _picture(
    figure: Any,
    axes: Any,
    shape: tuple[int, ...],
    colours: str,
    limits: tuple[float, float],
    start: str,
    label: str,
) -> Any:
    from matplotlib import colormaps

    look = colormaps[colours].with_extremes(bad="0.75") if colours in colormaps else None
    if look is None:
        raise ArrayError(f"{colours!r} is no colour map of matplotlib: give one, as 'viridis'.")
    picture = axes.imshow(
        np.zeros(shape), cmap=look, vmin=limits[0], vmax=limits[1], origin=start,
        interpolation="nearest",
    )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    bar = figure.colorbar(picture, ax=axes, location="bottom", shrink=0.9, pad=0.02)
    bar.set_label(label)
    return picture


def _limits(values: Float[np.ndarray, "t h w"]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = (float(x) for x in np.percentile(known, [_PERCENT, 100 - _PERCENT]))
    if low == high:
        low, high = float(known.min()), float(known.max())
    return (low, high) if low < high else (low, low + 1)


def _panels(
    forecast: Forecast, channel: int, given: int
) -> tuple[Float[np.ndarray, "t h w"], Float[np.ndarray, "t h w"]]:
    """Values and spread of the last given steps and the forecast, in the variable's units."""
    stack, first = forecast.stack, len(forecast.stack.values) - given
    known = stack.known[first:, channel]
    past = np.where(known, stack.values[first:, channel].astype(np.float64), np.nan)
    values = np.concatenate([past, forecast.mean[:, channel]]) * stack.factor + stack.offset
    still = np.where(known, 0.0, np.nan)
    return values, np.concatenate([still, forecast.spread[:, channel] * abs(stack.factor)])


def _titles(forecast: Forecast, given: int) -> list[str]:
    stack, num = forecast.stack, forecast.num_frames
    times = np.arange(len(stack.values)) if stack.times is None else stack.times
    said = labels(continued(times, num, stack.time_attributes), stack.time_attributes)
    said = said[len(stack.values) - given :]
    return [f"{s}  given" if i < given else f"{s}  +{i - given + 1}" for i, s in enumerate(said)]
