"""The classical baselines are tuned on training shots alone, one option at a time."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from kineograph.evaluate import baselines
from kineograph.evaluate.clips import EvalClip
from kineograph.evaluate.extrapolate import Dis, Extrapolation, Farneback
from kineograph.evaluate.metrics import psnr
from kineograph.video.levels import frames_of

Options = dict[str, tuple[Any, ...]]

FLOW_OPTIONS: Options = {
    "trust": (0.0, 0.1, 0.3, 1.0),
    "damping": (1.0, 0.95, 0.9, 0.87, 0.84, 0.8, 0.75),
    "dead_px": (0.0, 0.02, 0.05, 0.1),
    "sampling": ("linear", "cubic", "lanczos"),
    "transport": ("sought", "still", "splat"),
    "num_flows": (1, 2),
    "median_px": (0, 3),
    "smooth_px": (0.0, 0.7),
    "upsample": (1, 2),
}
FARNEBACK_OPTIONS: Options = {
    "window_px": (11, 15, 21),
    "num_iterations": (3, 10),
    "gaussian_window": (True, False),
}
DIS_OPTIONS: Options = {
    "smoothness": (5.0, 10.0, 20.0),
    "num_refinements": (0, 5),
    "num_descents": (25, 50),
    "patch_px": (8, 12),
    "stride_px": (2, 3),
    "finest_scale": (0, 1),
}
STARTS = (
    ("dis", Extrapolation(Dis(), damping=0.87), DIS_OPTIONS),
    ("farneback", Extrapolation(Farneback(), damping=0.87), FARNEBACK_OPTIONS),
)


@dataclass(frozen=True)
class Trial:
    """One setting and its PSNR: the mean over horizons, and horizons 1, 4 and 8 apart."""

    name: str
    mean: float
    at: tuple[float, ...]

    @property
    def row(self) -> str:
        return (
            f"| {self.name} | {self.mean:.3f} | " + " | ".join(f"{v:.2f}" for v in self.at) + " |"
        )


def score(predict: baselines.Baseline, clips: Sequence[EvalClip], name: str) -> Trial:
    """Mean of PSNR over clips and their horizons."""
    num_frames = len(clips[0].future)
    values = torch.stack([psnr(predict(c.context, num_frames), c.future) for c in clips]).mean(0)
    shown = [h for h in (1, 4, 8) if h <= num_frames]
    return Trial(name, float(values.mean()), tuple(float(values[h - 1]) for h in shown))


def descend(
    start: Extrapolation,
    options: Options,
    rate: Callable[[Extrapolation, str], Trial],
    num_rounds: int = 1,
    least_gain: float = 0.005,
) -> Iterator[tuple[Extrapolation, Trial]]:
    """Coordinate descent: yields every setting tried; the last one yielded is the best found."""
    best = start, rate(start, "start")
    yield best
    for _ in range(num_rounds):
        before = best
        for name, values in options.items():
            others = [v for v in values if v != _get(best[0], name)]
            tried = [
                (h, rate(h, f"{name} = {v}")) for v in others for h in [_set(best[0], name, v)]
            ]
            yield from tried
            leader = max(tried, key=lambda pair: pair[1].mean)
            if leader[1].mean > best[1].mean + least_gain:
                best = leader
        if best is before:
            break
    yield best


def training_clips(
    footage: np.ndarray, shots: Sequence[tuple[int, int]], size_px: int = 128, per_shot: int = 3
) -> list[EvalClip]:
    """Clips of 8 known and 8 next frames, evenly spread over each shot, centre-cropped."""
    clips = []
    for first, last in shots:
        room = last - first - 20  # two frames are left at each end, where shots may blend
        if room < 0:
            continue
        for start in sorted({int(room * (i + 0.5) / per_shot) for i in range(per_shot)}):
            at = first + 2 + start
            frames = np.stack([_square(frame, size_px) for frame in footage[at : at + 16]])
            pixels = frames_of(frames)
            clips.append(EvalClip(f"{first}-{at}", f"{first}", pixels[:8], pixels[8:]))
    return clips


def _square(frame: np.ndarray, size_px: int) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = size_px / min(height, width)
    new = max(size_px, round(width * scale)), max(size_px, round(height * scale))
    small = cv2.resize(frame, new, interpolation=cv2.INTER_AREA)
    left, top = (new[0] - size_px) // 2, (new[1] - size_px) // 2
    return small[top : top + size_px, left : left + size_px]


def _get(how: Extrapolation, name: str) -> Any:
    return getattr(how, name) if hasattr(how, name) else getattr(how.estimator, name)


def _set(how: Extrapolation, name: str, value: Any) -> Extrapolation:
    if hasattr(how, name):
        return replace(how, **{name: value})
    return replace(how, estimator=replace(how.estimator, **{name: value}))


def report(clips: Sequence[EvalClip]) -> Iterator[str]:
    """Tunes everything, a line of markdown at a time; half of the clips tune, half check."""
    tuning, checking = clips[::2], clips[1::2]
    yield f"{len(tuning)} clips to tune, {len(checking)} others of the same shots to check.\n"
    yield "| setting | mean 1..8 | h1 | h4 | h8 |\n|---|---|---|---|---|"
    yield score(baselines.copy_last, tuning, "copy").row
    for damping in (0.0, 0.1, 0.2, 0.3, 0.5, 0.8):
        rule = partial(baselines.linear, damping=damping)
        yield score(rule, tuning, f"linear, damping = {damping}").row
    for name, start, options in STARTS:

        def rate(how: Extrapolation, trial: str, name: str = name) -> Trial:
            return score(partial(baselines.along_flow, how=how), tuning, f"{name}, {trial}")

        best = start
        for how, trial in descend(start, FLOW_OPTIONS | options, rate):
            best = how
            yield trial.row
        yield f"\nBest {name}: `{best}`\n"
        yield score(partial(baselines.along_flow, how=best), checking, f"{name}, check clips").row
    for name, predict in baselines.classical().items():
        yield score(predict, checking, f"{name} as it stands, check clips").row


def main(footage: Path, shots: Path, first_frame: int, end_frame: int) -> None:
    """Prints the tuning table for a film saved as a uint8 array `n h w c` and its shots as JSON."""
    cv2.setNumThreads(1)
    film = np.load(footage, mmap_mode="r")
    spans = [(a, b) for a, b in json.loads(shots.read_text())]
    inside = [(a, b) for a, b in spans if a >= first_frame and b <= end_frame]
    for line in report(training_clips(film, inside)):
        print(line, flush=True)


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
