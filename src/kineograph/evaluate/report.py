"""The bench's scores as markdown, CSV, JSON and a plot; the same scores give the same bytes."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kineograph.evaluate.scores import (
    MEASURES,
    Measure,
    Scores,
    mean_at,
    per_clip,
    psnr_of_mean_error,
    span_name,
    verdicts,
)


def write_report(
    scores: Scores, out_dir: Path, spans: Sequence[range], about: dict[str, Any]
) -> None:
    """bench.md, bench.csv, bench.json and bench.png, each written aside and renamed."""
    write_text(out_dir / "bench.md", markdown(scores, spans, about))
    write_text(out_dir / "bench.json", json.dumps(as_json(scores, spans, about), indent=1) + "\n")
    write_csv(scores, out_dir / "bench.csv")
    plot(scores, out_dir / "bench.png")


def markdown(scores: Scores, spans: Sequence[range], about: dict[str, Any]) -> str:
    parts = ["# kineo bench predict\n", *(f"- {key}: {value}" for key, value in about.items()), ""]
    for measure in scores.measures:
        parts += _measure_table(scores, measure, spans)
        if measure.name == "psnr":
            parts += _mean_error_table(scores, spans)
    parts += _verdict_table(scores, spans)
    return "\n".join(parts) + "\n"


def _measure_table(scores: Scores, measure: Measure, spans: Sequence[range]) -> list[str]:
    arrow = "more is better" if measure.better > 0 else "less is better"
    horizons = _measured(scores, measure)
    wide = [s for s in spans if len(s) > 1]
    head = [measure.title, *(f"mean {span_name(s)}" for s in wide), *(f"h{h}" for h in horizons)]
    lines = [f"## {measure.title}, {arrow}\n", row(head), row(["---"] * len(head))]
    for name, tables in scores.values.items():
        table = tables[measure.name]
        means = [float(per_clip(table, s).mean()) for s in wide]
        cells = means + [mean_at(table, h) for h in horizons]
        lines.append(row([name, *(_number(c, measure.digits) for c in cells)]))
    return [*lines, ""]


def _mean_error_table(scores: Scores, spans: Sequence[range]) -> list[str]:
    head = ["PSNR of the mean error (dB)", *(span_name(s) for s in spans)]
    lines = [row(head), row(["---"] * len(head))]
    for name, tables in scores.values.items():
        values = [psnr_of_mean_error(tables["squared_error"], s) for s in spans]
        lines.append(row([name, *(f"{v:.2f}" for v in values)]))
    return [*lines, ""]


def _verdict_table(scores: Scores, spans: Sequence[range]) -> list[str]:
    head = [
        "ours", "measure", "horizons", "value", "best baseline", "its value", "margin",
        "worst shot", "margin there", "best per clip of all baselines", "margin to that",
    ]  # fmt: skip
    lines = ["## Ours against the best baseline (a positive margin is better)\n"]
    lines += [row(head), row(["---"] * len(head))]
    for v in verdicts(scores, spans):
        digits = MEASURES[v.measure].digits
        cells = [v.row, v.measure, v.span, _number(v.value, digits), v.best_baseline]
        cells += [_number(v.best_value, digits), _signed(v.margin, digits), v.worst_shot]
        cells += [_signed(v.worst_margin, digits), _number(v.per_clip_best, digits)]
        lines.append(row([*cells, _signed(v.per_clip_margin, digits)]))
    return lines


def as_json(scores: Scores, spans: Sequence[range], about: dict[str, Any]) -> dict[str, Any]:
    rows = {
        name: {measure: _plain(np.mean(table, axis=0)) for measure, table in tables.items()}
        for name, tables in scores.values.items()
    }
    mean_error = {
        name: {span_name(s): psnr_of_mean_error(t["squared_error"], s) for s in spans}
        for name, t in scores.values.items()
    }
    return {
        "about": about,
        "ours": scores.ours,
        "baselines": scores.baselines,
        "per_horizon": rows,
        "psnr_of_mean_error": mean_error,
        "verdicts": [asdict(v) for v in verdicts(scores, spans)],
    }


def write_csv(scores: Scores, path: Path) -> None:
    """One line per row, measure, clip and horizon that was measured."""
    with path.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["row", "measure", "clip", "shot", "horizon", "value"])
        for name, tables in scores.values.items():
            for measure, table in tables.items():
                for clip, shot, values in zip(scores.clips, scores.shots, table, strict=True):
                    out.writerows(
                        [name, measure, clip, shot, h, f"{v:.8g}"]
                        for h, v in enumerate(values, start=1)
                        if not math.isnan(v)
                    )


def plot(scores: Scores, path: Path) -> None:
    """One panel a measure, one line a row over horizons; ours thick, baselines thin."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measures = scores.measures
    figure = Figure(figsize=(4.5 * len(measures), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, measure in zip(
        figure.subplots(1, len(measures), squeeze=False)[0], measures, strict=True
    ):
        horizons = _measured(scores, measure)
        for name, tables in scores.values.items():
            is_ours = name in scores.ours
            values = [mean_at(tables[measure.name], h) for h in horizons]
            style = (
                {"linewidth": 2.2, "marker": "o"}
                if is_ours
                else {"linewidth": 1, "linestyle": "--"}
            )
            axes.plot(horizons, values, label=name, markersize=3, **style)
        axes.set(xlabel="horizon (frames)", title=measure.title)
        axes.grid(alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _measured(scores: Scores, measure: Measure) -> list[int]:
    table = next(iter(scores.values.values()))[measure.name]
    return [h for h in range(1, table.shape[1] + 1) if not np.isnan(table[:, h - 1]).any()]


def row(cells: Sequence[str]) -> str:
    """One line of a markdown table."""
    return "| " + " | ".join(cells) + " |"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _signed(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:+.{digits}f}"


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(v) else float(v) for v in values]


def write_text(path: Path, text: str) -> None:
    """Writes aside, then puts it in its place."""
    aside = path.with_name(path.name + ".part")
    aside.write_text(text)
    aside.replace(path)
