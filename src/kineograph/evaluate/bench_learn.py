"""`kineo bench learn`: films are learned by the command, and foretold where they were held out.

The last fifth of each film in time is what is held out (a film of one shot), as the command itself
holds it out; nothing of it is trained on.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from kineograph import video
from kineograph.data import folder, footage, weather
from kineograph.evaluate.baselines import classical
from kineograph.evaluate.bench import BenchOptions, bench_predict
from kineograph.evaluate.clips import EvalClip
from kineograph.evaluate.predict import draw_of, mean_of
from kineograph.models import weights
from kineograph.models.motion import NUM_KNOWN
from kineograph.video.levels import frames_of

NAME = "mine"
NUM_AHEAD, SIZE_PX, NUM_CLIPS = 8, 128, 10
AT = (1, 2, 4, 8)
OPTIONS = BenchOptions(
    num_frames=NUM_AHEAD,
    num_samples=2,
    measures=("psnr", "st_lpips"),
    costly_at=AT,
    spans=((1, 1), (1, NUM_AHEAD)),
    sheet_at=AT,
    num_sheets=NUM_CLIPS,
)
FILM = (10637, 10842)
"""A held-out shot of Big Buck Bunny: nine seconds."""
SMOKE_FRAMES, SMOKE_CELLS, SMOKE_SEED = 240, 160, 5
SMOKE, NIGHT = np.array([200, 205, 215]), np.array([30, 28, 40])


def bench_learn(films: Sequence[Path], minutes: float, out: Path, console: Console) -> None:
    """Learns each film and measures on its held-out part, beside the shipped model and classics.

    films: any; by default a held-out shot of the film and simulated smoke, which are made here.
    """
    shipped = weights.load()
    for path in films or own_films(out / "films"):
        place = out / path.stem
        taken = learned(path, minutes, place / "models", SIZE_PX)
        file = str(place / "models" / f"{NAME}.safetensors")
        everyone = {"shipped": shipped, "learned": weights.load(file)}
        clips = held_out(path, place / "models" / "runs" / NAME, SIZE_PX, NUM_CLIPS)
        about = {"film": path.name, "minutes asked": minutes, "minutes taken": round(taken, 2)}
        about |= {name: weights.card(file)[name] for name in ("steps", "plan")}
        means = {f"{name} mean": mean_of(model) for name, model in everyone.items()}
        draws = {name: draw_of(model, 2) for name, model in everyone.items()}
        bench_predict(clips, place, classical(), means, draws, OPTIONS, about, console)
        console.print(f"{place}: the report.")


def held_out(path: Path, run: Path, size_px: int, num_clips: int) -> list[EvalClip]:
    """Clips of what the run held out, spread over it."""
    packed, parted = parts(path, run, size_px)
    made = folder.held_out_clips(packed, parted, NUM_KNOWN + NUM_AHEAD, size_px, num_clips)
    clips = [frames_of(clip) for clip in made]
    return [
        EvalClip(f"{path.stem}-{n}", path.stem, frames[:NUM_KNOWN], frames[NUM_KNOWN:])
        for n, frames in enumerate(clips)
    ]


def parts(path: Path, run: Path, size_px: int) -> tuple[folder.Packed, folder.Split]:
    """The film as the run had it, and what of it was learned and what held out."""
    packed = folder.prepared(path, folder.Looking(NUM_KNOWN + NUM_AHEAD, size_px))
    return packed, folder.split(packed.survey, run / "split.json")


def own_films(to: Path) -> list[Path]:
    """The film's shot and the smoke, written once."""
    start, end = FILM
    shot = np.asarray(footage.fetch("bbb")[start:end])
    rng = np.random.default_rng(SMOKE_SEED)
    dense = weather.fluid(SMOKE_FRAMES, SMOKE_CELLS, weather.Fluid(), rng)
    share = np.clip(np.stack(list(dense)), 0, 1)[..., None]
    smoke = (share * SMOKE + (1 - share) * NIGHT).astype(np.uint8)
    return [_written(to / "film.mkv", shot), _written(to / "smoke.mkv", smoke)]


def _written(path: Path, pictures: np.ndarray) -> Path:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        size = {"width": pictures.shape[2], "height": pictures.shape[1]}
        with video.Writer(path, fps=24, quality="exact", **size) as writer:
            writer.write(frames_of(np.ascontiguousarray(pictures)))
    return path


def learned(path: Path, minutes: float, models: Path, size_px: int) -> float:
    """The command, in a process of its own; the minutes it took. ValueError if it fails."""
    command = [sys.executable, "-c", "from kineograph.cli import main; main()"]
    command += ["learn", str(path), "--name", NAME, "--minutes", str(minutes)]
    command += ["--size-px", str(size_px)]
    began = time.monotonic()
    env = {**os.environ, "KINEOGRAPH_MODELS": str(models)}
    done = subprocess.run(command, env=env, check=False)
    if done.returncode:
        raise ValueError(f"`kineo learn {path}` ended with {done.returncode}: see above.")
    return (time.monotonic() - began) / 60
