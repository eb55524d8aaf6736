"""A model's page for people: what it learned, how that went, and whether it repeats it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kineograph.evaluate.sheet import contact_sheet, save_png
from kineograph.train.nearest import Nearest, Report, middle
from kineograph.video.levels import frames_of

PAGE, PICTURE, CURVE = "card.md", "nearest.png", "curve.png"
HEIGHT_PX = 96
CURVE_PX = (640, 240)


def written(
    folder: Path, card: Mapping[str, Any], report: Report | None, log: Sequence[dict]
) -> Path:
    """Writes the page and its pictures, aside and then in place; gives the page's path."""
    if report is not None:
        save_png(drawn(report.found), folder / PICTURE)
    curve = [(line["step"], line["loss"]) for line in log if "loss" in line]
    save_png(plotted(curve), folder / CURVE)
    aside = folder / f".{PAGE}.part"
    aside.write_bytes(_text(card, report).encode())
    return aside.replace(folder / PAGE)


def drawn(found: Sequence[Nearest]) -> np.ndarray:
    """Each of the model's clips above the nearest one learned, four frames of both."""
    rows = {}
    for number, one in enumerate(found, 1):
        named = ((f"made {number}", one.clip), (f"learned ({one.distance:.1f})", one.learned))
        for name, clip in named:
            rows[f"{number}: {name}"] = frames_of(
                np.stack([cv2.resize(middle(f), (HEIGHT_PX, HEIGHT_PX)) for f in clip[:4]])
            )
    return contact_sheet(rows, [(str(n + 1), n) for n in range(4)])


def plotted(curve: Sequence[tuple[int, float]]) -> np.ndarray:
    """The loss over steps, smoothed over twenty, as a line on white."""
    width, height = CURVE_PX
    paper = np.full((height, width, 3), 255, np.uint8)
    values = np.array([v for _, v in curve if np.isfinite(v)], np.float64)
    if len(values) < 2:
        return paper
    size = min(20, len(values))
    smooth = np.convolve(values, np.ones(size) / size, "valid")
    low, high = float(smooth.min()), float(smooth.max())
    x = np.linspace(40, width - 10, len(smooth))
    y = height - 25 - (smooth - low) / max(1e-9, high - low) * (height - 45)
    line = np.stack([x, y], -1).round().astype(np.int32)
    cv2.polylines(paper, [line], False, (30, 30, 30), 1, cv2.LINE_AA)
    for text, at in ((f"loss {high:.2f}", (4, 14)), (f"{low:.2f}", (4, height - 22))):
        cv2.putText(paper, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (30, 30, 30), 1, cv2.LINE_AA)
    return paper


def _text(card: Mapping[str, Any], report: Report | None) -> str:
    lines = [f"# {card['name']}", "", f"Learned from {card['data']}.", "", "| | dB |", "|---|---|"]
    for who, value in sorted(card.get("held_out_decibels", {}).items(), key=lambda one: -one[1]):
        lines.append(f"| {who} | {value:.2f} |")
    task = card.get("task", "predict")
    of = "the 8 frames after 8 known ones" if task == "predict" else f"what it says ({task})"
    lines += [
        "",
        f"PSNR of {of}, on what was held out, mean of clips.",
        "",
        f"![The loss]({CURVE})",
        "",
        *([] if report is None else _repeats(report)),
        "## All that the card says",
        "",
        "```json",
        json.dumps(card, indent=1),
        "```",
        "",
    ]
    return "\n".join(lines)


def _repeats(report: Report) -> list[str]:
    return [
        "## Does it repeat what it learned?",
        "",
        "Below are clips that it made and, under each, the nearest that it learned from, with the "
        "distance. Clips of the same footage that were held out are at "
        f"{report.by_chance:.1f} from the nearest one; what is much nearer than that is a copy.",
        "",
        f"![Clips and the nearest learned ones]({PICTURE})",
        "",
    ]
