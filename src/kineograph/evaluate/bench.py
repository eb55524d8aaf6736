"""`kineo bench predict` is one function: each predictor on each clip, measured and drawn."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from kineograph.evaluate import metrics
from kineograph.evaluate.baselines import Baseline
from kineograph.evaluate.clips import EvalClip
from kineograph.evaluate.report import write_report
from kineograph.evaluate.scores import MEASURES, Scores
from kineograph.evaluate.sheet import contact_sheet, save_png

Predictor = Baseline
Draw = Callable[[Float[Tensor, "t c h w"], int, torch.Generator], Float[Tensor, "n c h w"]]
"""One sample of the future, fully decided by the generator."""
PerFrame = dict[str, list[float]]


@dataclass(frozen=True)
class BenchOptions:
    """`costly_at` are the horizons at which ST-LPIPS is measured: a net, about 0.1 s a frame.

    `spans` are the ranges of horizons that are averaged and judged.
    """

    num_frames: int = 16
    num_samples: int = 4
    seed: int = 0
    measures: tuple[str, ...] = ("psnr", "ssim", "st_lpips", "vmaf")
    costly_at: tuple[int, ...] = (1, 2, 4, 8, 12, 16)
    spans: tuple[tuple[int, int], ...] = ((1, 1), (1, 8), (1, 16))
    sheet_at: tuple[int, ...] = (1, 2, 4, 8, 12, 16)
    num_sheets: int = 8

    def __post_init__(self) -> None:
        unknown = set(self.measures) - set(MEASURES)
        if unknown:
            raise ValueError(
                f"Unknown measures {sorted(unknown)}; choose from {', '.join(MEASURES)}."
            )
        if self.num_frames < 1 or self.num_samples < 1:
            raise ValueError(
                f"The bench needs at least 1 frame and 1 sample; got {self.num_frames} frames "
                f"and {self.num_samples} samples."
            )


def bench_predict(
    clips: Sequence[EvalClip],
    out_dir: Path,
    baselines: Mapping[str, Predictor],
    predictors: Mapping[str, Predictor] | None = None,
    draws: Mapping[str, Draw] | None = None,
    options: BenchOptions | None = None,
    about: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> Scores:
    """Measures predictions per horizon and writes table, plot, sheets and per-clip JSON.

    Ours are `predictors` (one answer each) and `draws` (samples; each gives three rows: one
    sample, the mean of all, and the best of all, chosen per clip by PSNR with the truth at hand).
    Clips are read one after another and nothing but scores is kept, so a lazy sequence may be
    given. `about` is written at the head of the report. Raises ValueError for a predictor that
    answers a wrong shape or no finite numbers, and for clips too short.
    """
    predictors, draws, options = predictors or {}, draws or {}, options or BenchOptions()
    if not clips:
        raise ValueError("The bench was given 0 clips; give at least 1.")
    _refuse_same_names(baselines, predictors, draws, options)
    measure_for = _measurer(options)
    out_dir.mkdir(parents=True, exist_ok=True)
    shown = {round(i) for i in np.linspace(0, len(clips) - 1, min(options.num_sheets, len(clips)))}
    measured: list[tuple[str, str, dict[str, PerFrame]]] = []
    for index, clip in enumerate(_with_progress(clips, console)):
        truth = _truth(clip, options)
        rows = dict(_answers(clip, predictors, draws, baselines, options, index))
        measure = measure_for(clip, truth)
        scored = {name: measure(frames) for name, frames in rows.items()}
        measured.append((clip.name, clip.shot, scored))
        _write_clip(out_dir, clip, scored)
        if index in shown:
            _write_sheet(out_dir, clip, {"truth": truth, **rows}, options)
    scores = _collect(measured, tuple(baselines))
    spans = [range(a, b + 1) for a, b in options.spans if b <= options.num_frames]
    write_report(scores, out_dir, spans, _about(clips, options, about or {}))
    return scores


def _answers(
    clip: EvalClip,
    predictors: Mapping[str, Predictor],
    draws: Mapping[str, Draw],
    baselines: Mapping[str, Predictor],
    options: BenchOptions,
    index: int,
) -> Iterator[tuple[str, Tensor]]:
    truth = _truth(clip, options)
    for name, predict in predictors.items():
        yield name, _checked(name, clip, predict(clip.context, options.num_frames), truth)
    for name, draw in draws.items():
        samples = []
        for number in range(options.num_samples):
            generator = torch.Generator().manual_seed(_seed(options.seed, index, number))
            sample = draw(clip.context, options.num_frames, generator)
            samples.append(_checked(name, clip, sample, truth))
        yield from zip(_draw_rows(name, options), _sample_mean_best(samples, truth), strict=True)
    for name, predict in baselines.items():
        yield name, _checked(name, clip, predict(clip.context, options.num_frames), truth)


def _draw_rows(name: str, options: BenchOptions) -> tuple[str, str, str]:
    n = options.num_samples
    return f"{name} sample", f"{name} mean of {n}", f"{name} best of {n}"


def _sample_mean_best(samples: list[Tensor], truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    best = max(samples, key=lambda sample: float(metrics.psnr(sample, truth).mean()))
    return samples[0], torch.stack(samples).mean(dim=0), best


def _seed(seed: int, clip: int, number: int) -> int:
    """Distinct for every clip and sample of one run."""
    return (seed * 1_000_003 + clip) * 1_009 + number


def _checked(name: str, clip: EvalClip, frames: Tensor, truth: Tensor) -> Tensor:
    if frames.shape != truth.shape:
        raise ValueError(
            f"{name} answered {tuple(frames.shape)} on clip {clip.name}; "
            f"{tuple(truth.shape)} was asked."
        )
    if not torch.isfinite(frames).all():
        raise ValueError(f"{name} answered NaN or infinity on clip {clip.name}.")
    return frames.detach().cpu().float()


def _truth(clip: EvalClip, options: BenchOptions) -> Tensor:
    if len(clip.future) < options.num_frames:
        raise ValueError(
            f"Clip {clip.name} has {len(clip.future)} next frames; the bench asks for "
            f"{options.num_frames}. Cut longer clips or lower num_frames."
        )
    return clip.future[: options.num_frames].cpu().float()


Measurer = Callable[[EvalClip, Tensor], Callable[[Tensor], PerFrame]]


def _measurer(options: BenchOptions) -> Measurer:
    """The chosen measures; what is slow is prepared once, and each clip's truth once a clip."""
    perceptual = metrics.StLpips() if "st_lpips" in options.measures else None
    at = [h - 1 for h in options.costly_at if h <= options.num_frames]

    def for_clip(clip: EvalClip, truth: Tensor) -> Callable[[Tensor], PerFrame]:
        lead = clip.context[-1:].cpu().float()  # VMAF compares each frame with the one before
        distance = perceptual.against(truth[at]) if perceptual and at else None

        def measure(frames: Tensor) -> PerFrame:
            error = metrics.squared_error(frames, truth)
            made = {"squared_error": error.tolist(), "psnr": metrics.decibels(error).tolist()}
            if "ssim" in options.measures:
                made["ssim"] = metrics.ssim(frames, truth).tolist()
            if distance is not None:
                values = torch.full((len(truth),), torch.nan)
                values[at] = distance(frames[at])
                made["st_lpips"] = values.tolist()
            if "vmaf" in options.measures:
                led, led_truth = torch.cat([lead, frames]), torch.cat([lead, truth])
                made["vmaf"] = metrics.vmaf(led, led_truth)[1:].tolist()
            return made

        return measure

    return for_clip


def _collect(
    measured: list[tuple[str, str, dict[str, PerFrame]]], baselines: tuple[str, ...]
) -> Scores:
    rows = list(measured[0][2])
    values = {
        row: {
            name: np.array([scored[row][name] for _, _, scored in measured])
            for name in measured[0][2][row]
        }
        for row in rows
    }
    ours = tuple(row for row in rows if row not in baselines)
    names, shots = tuple(m[0] for m in measured), tuple(m[1] for m in measured)
    return Scores(names, shots, ours, baselines, values)


def _write_clip(out_dir: Path, clip: EvalClip, scored: dict[str, PerFrame]) -> None:
    folder = out_dir / "clips"
    folder.mkdir(exist_ok=True)
    rows = {
        row: {name: [None if v != v else v for v in values] for name, values in made.items()}
        for row, made in scored.items()
    }
    whole = {"clip": clip.name, "shot": clip.shot, "per_horizon": rows}
    (folder / f"{_file_name(clip)}.json").write_text(json.dumps(whole, indent=1) + "\n")


def _write_sheet(
    out_dir: Path, clip: EvalClip, rows: Mapping[str, Tensor], options: BenchOptions
) -> None:
    columns = [(f"+{h}", h - 1) for h in options.sheet_at if h <= options.num_frames]
    save_png(contact_sheet(rows, columns), out_dir / "sheets" / f"{_file_name(clip)}.png")


def _file_name(clip: EvalClip) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", clip.name)


def _about(
    clips: Sequence[EvalClip], options: BenchOptions, about: Mapping[str, Any]
) -> dict[str, Any]:
    height, width = clips[0].future.shape[-2:]
    made = {
        **about,
        "clips": f"{len(clips)} at {width}x{height}, {len(clips[0].context)} known frames, "
        f"{options.num_frames} next",
        "PSNR": f"on 8 bits, at most {metrics.PSNR_CAP_DB:g} dB a frame",
        "SSIM": "8-bit BT.601 luma, Gaussian 11x11, sigma 1.5",
    }
    if "st_lpips" in options.measures:
        made["ST-LPIPS"] = "AlexNet, stlpips_pytorch 0.0.2, at some horizons only"
    if "vmaf" in options.measures:
        made["VMAF"] = f"{metrics.VMAF_MODEL}, at the clips' own size"
    return made


def _refuse_same_names(
    baselines: Mapping[str, Any],
    predictors: Mapping[str, Any],
    draws: Mapping[str, Any],
    options: BenchOptions,
) -> None:
    drawn = [row for name in draws for row in _draw_rows(name, options)]
    names = ["truth", *baselines, *predictors, *drawn]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or len(names) == 1:
        raise ValueError(
            f"Two rows of the bench have the same name: {', '.join(twice)}."
            if twice
            else "The bench was given nothing to measure; give at least one predictor."
        )


def _with_progress(clips: Sequence[EvalClip], console: Console | None) -> Iterator[EvalClip]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console or Console(stderr=True)) as bar:
        task = bar.add_task("bench", total=len(clips))
        for clip in clips:
            bar.update(task, description=f"bench {clip.name}")
            yield clip
            bar.advance(task)
