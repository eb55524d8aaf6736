"""Scores are per row, clip and horizon; all averages and verdicts are computed from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kineograph.evaluate.metrics import PSNR_CAP_DB

Table = Float[np.ndarray, "clips horizons"]


@dataclass(frozen=True)
class Measure:
    """A column of the bench. `better` is +1 where more is better and -1 where less is."""

    name: str
    title: str
    better: int
    digits: int


MEASURES = {
    m.name: m
    for m in (
        Measure("psnr", "PSNR (dB)", 1, 2),
        Measure("ssim", "SSIM", 1, 4),
        Measure("st_lpips", "ST-LPIPS", -1, 4),
        Measure("vmaf", "VMAF", 1, 2),
        Measure("flicker", "flicker (the film's is 1)", -1, 3),
    )
}


@dataclass(frozen=True)
class Scores:
    """`values[row][measure]` is clips x horizons, NaN where it was not measured."""

    clips: tuple[str, ...]
    shots: tuple[str, ...]
    ours: tuple[str, ...]
    baselines: tuple[str, ...]
    values: dict[str, dict[str, Table]]

    @property
    def measures(self) -> list[Measure]:
        return [m for m in MEASURES.values() if m.name in next(iter(self.values.values()))]


@dataclass(frozen=True)
class Verdict:
    """One of our rows against the best baseline in one measure and span; a gain is positive."""

    row: str
    measure: str
    span: str
    value: float
    best_baseline: str
    best_value: float
    margin: float
    worst_shot: str
    worst_margin: float
    per_clip_best: float
    per_clip_margin: float


def per_clip(table: Table, span: range) -> Float[np.ndarray, " clips"]:
    """Mean over the measured horizons of the span, counted from 1."""
    part = table[:, [h - 1 for h in span if h <= table.shape[1]]]
    measured = ~np.isnan(part).all(axis=0)
    if not measured.any():
        return np.full(len(table), np.nan)
    return part[:, measured].mean(axis=1)


def mean_at(table: Table, horizon: int) -> float:
    return float(table[:, horizon - 1].mean())


def psnr_of_mean_error(squared_error: Table, span: range) -> float:
    """The other average: PSNR of the squared error averaged over clips and horizons."""
    part = squared_error[:, [h - 1 for h in span if h <= squared_error.shape[1]]]
    return min(float(10 * np.log10(4.0 / max(part.mean(), 1e-12))), PSNR_CAP_DB)


def verdict(scores: Scores, row: str, measure: Measure, span: range) -> Verdict | None:
    """None where the span was not measured. The best baseline is the single best average."""
    if not scores.baselines:
        return None
    theirs = {b: per_clip(scores.values[b][measure.name], span) for b in scores.baselines}
    ours = per_clip(scores.values[row][measure.name], span)
    if np.isnan(ours).any():
        return None
    best = max(theirs, key=lambda name: measure.better * theirs[name].mean())
    gain = measure.better * (ours - theirs[best])
    shots = _by_shot(scores.shots, gain)
    worst = min(shots, key=lambda shot: shots[shot])
    each = np.max([measure.better * clips for clips in theirs.values()], axis=0) * measure.better
    return Verdict(
        row=row, measure=measure.name, span=span_name(span), value=float(ours.mean()),
        best_baseline=best, best_value=float(theirs[best].mean()), margin=float(gain.mean()),
        worst_shot=worst, worst_margin=shots[worst], per_clip_best=float(each.mean()),
        per_clip_margin=float((measure.better * (ours - each)).mean()),
    )  # fmt: skip


def verdicts(scores: Scores, spans: Sequence[range]) -> list[Verdict]:
    made = [verdict(scores, r, m, s) for m in scores.measures for s in spans for r in scores.ours]
    return [v for v in made if v is not None]


def span_name(span: range) -> str:
    return f"{span[0]}" if len(span) == 1 else f"{span[0]}..{span[-1]}"


def _by_shot(shots: Sequence[str], values: Float[np.ndarray, " clips"]) -> dict[str, float]:
    names = sorted(set(shots))
    return {n: float(values[[s == n for s in shots]].mean()) for n in names}
