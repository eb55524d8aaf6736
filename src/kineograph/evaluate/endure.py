"""`kineo bench 720p` tells whether a long film of that size is enhanced in time and in bounds."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from kineograph import tasks
from kineograph.answer import Frame
from kineograph.data import footage, shots
from kineograph.data.degrade import with_white_noise
from kineograph.data.folder import write_json
from kineograph.evaluate.questions import Film, Size, size_name
from kineograph.models.window import Predictor
from kineograph.train.machine import peak_mb
from kineograph.video.levels import frames_of

SIZE: Size = (1280, 720)
NOISE_LEVELS = 10.0
NUM_FRAMES, NUM_FIRST = 96, 24
"""Frames that are asked for; the first of them warm up, and after them memory may not grow."""
WAYS = {
    "denoise": tasks.Enhancement(denoise=1.0),
    "upscale x2": tasks.Enhancement(scale=2),
    "upscale x4": tasks.Enhancement(scale=4),
}


@dataclass(frozen=True)
class Endurance:
    """How an enhancement went."""

    fps: float
    peak_mb_at_first: float
    peak_mb_at_end: float
    num_threads: int


def endure(
    model: Predictor,
    out: Path,
    console: Console,
    num_frames: int = NUM_FRAMES,
    size: Size = SIZE,
    shot: Film | None = None,
) -> None:
    """Enhances a film to 1280x720 in each way; prints a table and writes 720p.json into `out`.

    shot: what is shown forwards and backwards; None is the longest held-out shot. Memory is the
    peak of the process, so the first line has the least behind it.
    """
    if shot is None:
        start, end = max(shots.held_out_shots(), key=lambda s: s[1] - s[0])
        shot = footage.fetch("bbb")[start:end]
    found = {
        name: _measured(model, how, _film(shot, size, how.scale, num_frames), num_frames)
        for name, how in WAYS.items()
    }
    table = Table(
        title=f"{size_name(size)}, {num_frames} frames, {torch.get_num_threads()} threads"
    )
    for head in ("enhance", "frames/s", "peak MB after warming up", "peak MB at the end"):
        table.add_column(head)
    for name, went in found.items():
        memory = f"{went.peak_mb_at_first:.0f}", f"{went.peak_mb_at_end:.0f}"
        table.add_row(name, f"{went.fps:.2f}", *memory)
    console.print(table)
    out.mkdir(parents=True, exist_ok=True)
    write_json({name: asdict(went) for name, went in found.items()}, out / "720p.json")


def _measured(
    model: Predictor, how: tasks.Enhancement, film: Iterator[Frame], num_frames: int
) -> Endurance:
    first = min(NUM_FIRST, num_frames // 2)
    began, at_first = 0.0, 0.0
    for n, _ in enumerate(tasks.enhance(film, how, model), 1):
        if n == first:
            began, at_first = time.perf_counter(), peak_mb()
    seconds = time.perf_counter() - began
    return Endurance((num_frames - first) / seconds, at_first, peak_mb(), torch.get_num_threads())


def _film(shot: Film, size: Size, scale: int, num_frames: int) -> Iterator[Frame]:
    """The shot to and fro, so small that enlarging makes the size; with noise if it is not."""
    few, rng = (size[0] // scale, size[1] // scale), np.random.default_rng(0)
    shrunk = [cv2.resize(p, few, interpolation=cv2.INTER_AREA) for p in shot[:NUM_FIRST]]
    noise = NOISE_LEVELS if scale == 1 else 0.0
    made = [frames_of(with_white_noise(p[None], noise, rng))[0] for p in shrunk]
    turn = [*made, *made[-2:0:-1]]
    for n in range(num_frames):  # made beforehand, for it is no part of what is timed
        yield turn[n % len(turn)]
