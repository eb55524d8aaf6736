"""A time axis goes on as it went: by its own step, or by the calendar's months."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

_STEADY = 1e-3  # of a step, by which times may differ from a steady clock


def continued(
    times: Shaped[np.ndarray, "t *rest"],
    num_frames: int,
    attributes: Mapping[str, Any] | None = None,
) -> Shaped[np.ndarray, "t2 *rest"]:
    """The times, and after them `num_frames` more, in the same type.

    A steady axis goes on by its step; one of months by as many months (if it has CF units such as
    "days since 2000-01-01"); any other by its median step, and a single time by 1.
    """
    if times.dtype.kind not in "iufmM" or not len(times):
        return np.concatenate([times, np.repeat(times[-1:], num_frames, 0)])
    steps = np.diff(times.astype(np.int64) if times.dtype.kind in "mM" else times, axis=0)
    step = np.median(steps, axis=0) if len(steps) else np.ones(times.shape[1:])
    if len(steps) and np.abs(steps - step).max() > _STEADY * np.abs(step).max():
        months = _by_months(times, num_frames, attributes or {})
        if months is not None:
            return np.concatenate([times, months])
    ahead = np.arange(1, num_frames + 1).reshape(-1, *([1] * (times.ndim - 1))) * step
    whole = np.rint(ahead).astype(np.int64)
    last = times[-1]
    after = last + ahead if times.dtype.kind == "f" else last + whole.astype(_count_type(times))
    return np.concatenate([times, after.astype(times.dtype)])


def labels(times: Shaped[np.ndarray, " t"], attributes: Mapping[str, Any]) -> list[str]:
    """Each time as people read it: a date where the units tell one, else the number."""
    dates = _dates(times, attributes)
    if dates is not None:
        return [date.strftime("%Y-%m-%d %H:%M") for date in dates]
    if times.dtype.kind == "M":
        return [str(t)[:16].replace("T", " ") for t in times]
    return [f"{t:g} {attributes.get('units', '')}".strip() for t in times.tolist()]


def _count_type(times: Shaped[np.ndarray, "t *rest"]) -> Any:
    return f"m8[{np.datetime_data(times.dtype)[0]}]" if times.dtype.kind in "mM" else np.int64


def _dates(times: Shaped[np.ndarray, "..."], attributes: Mapping[str, Any]) -> Any:
    """As dates of the stated calendar; None where there are no such units, or no cftime."""
    units, calendar = str(attributes.get("units", "")), str(attributes.get("calendar", "standard"))
    if " since " not in units or times.dtype.kind not in "iuf":
        return None
    try:
        import cftime

        return cftime.num2date(times, units, calendar, only_use_cftime_datetimes=True)
    except (ImportError, ValueError, OverflowError, TypeError):
        return None


def _by_months(
    times: Shaped[np.ndarray, "t *rest"], num_frames: int, attributes: Mapping[str, Any]
) -> Shaped[np.ndarray, "n *rest"] | None:
    """The next times on the same day of the month, None unless all the given ones are."""
    dates = _dates(times, attributes) if times.ndim == 1 else None
    if dates is None:
        return None
    count = np.array([12 * d.year + d.month - 1 for d in dates])
    step = count[1] - count[0]
    if step < 1 or (np.diff(count) != step).any() or len({(d.day, d.hour) for d in dates}) > 1:
        return None
    import cftime

    ahead = [count[-1] + step * (k + 1) for k in range(num_frames)]
    try:
        following = [dates[-1].replace(year=int(m // 12), month=int(m % 12 + 1)) for m in ahead]
    except ValueError:  # the 31st of a short month
        return None
    calendar = str(attributes.get("calendar", "standard"))
    after = np.array(cftime.date2num(following, attributes["units"], calendar))
    return (np.rint(after) if times.dtype.kind in "iu" else after).astype(times.dtype)
