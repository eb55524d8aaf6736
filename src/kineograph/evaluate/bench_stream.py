"""A stream as `kineo stream` runs it, measured: its rate, how late frames are, and its memory.

Memory is what the process holds every thousand frames: it may settle, and then may not grow.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import numpy as np
import torch

from kineograph import regions, tasks, video
from kineograph.answer import Frame
from kineograph.answer.live import Made, Make, Policy, Tally, run
from kineograph.answer.tiles import sized
from kineograph.models import weights
from kineograph.models.window import Predictor
from kineograph.train.machine import held_mb, looking_at_what_is_new
from kineograph.video.live import open_live

EVERY = 1000
"""So many frames lie between two looks at the memory."""
FOR_EVER = 10**6
GRAIN_LEVELS, FPS = 25.0, 24
SIZES_PX = {"denoise": (256, 144), "scale 2": (128, 72), "edit": (256, 144)}
"""What is streamed: the bundled clip with grain, a quarter as large without it, and without it."""
HOLE, STRENGTH = "40%,35%,25%,30%", 0.7
SETTLED = 0.5
"""The first half of a run may still settle; growth and latency are measured in the rest."""


@dataclass(frozen=True)
class Streamed:
    """How a stream went. cpu_ms: of all cores, for each frame.

    held_mb: what the process held, every `every` frames, the first time after one frame.
    """

    num_frames: int
    num_dropped: int
    fps: float
    cpu_ms: float
    median_ms: float
    p99_ms: float
    every: int
    held_mb: tuple[float, ...]

    @property
    def growth_mb(self) -> float:
        """By how much memory grew in the second half, along the line that fits it best."""
        late = self.held_mb[int(SETTLED * len(self.held_mb)) :]
        if len(late) < 2:
            return 0.0
        slope = np.polyfit(np.arange(len(late)), late, 1)[0]
        return float(slope) * (len(late) - 1)

    @property
    def trembling_mb(self) -> float:
        """By how much it goes up and down about that line: less growth than this is none."""
        late = np.array(self.held_mb[int(SETTLED * len(self.held_mb)) :])
        if len(late) < 3:
            return 0.0
        at = np.arange(len(late))
        return float(np.std(late - np.polyval(np.polyfit(at, late, 1), at)))


def measured(model: Predictor, num_frames: int) -> dict[str, Streamed]:
    """Denoising, filling a box and restyling as fast as it goes, and all as a camera sends."""
    with TemporaryDirectory() as folder:
        films = {name: Path(folder) / f"{name}.mp4" for name in SIZES_PX}
        for name, size in SIZES_PX.items():
            film_of(films[name], size, GRAIN_LEVELS if name == "denoise" else 0.0)
        denoise = enhancing(tasks.Enhancement(denoise=1.0), model)
        scale = enhancing(tasks.Enhancement(scale=2), model)
        inpaint, edit = filling(model), restyling()
        return {
            "denoise 256x144, all frames": streamed(films["denoise"], denoise, num_frames, False),
            "denoise 256x144, live": streamed(films["denoise"], denoise, num_frames, True),
            "scale 2 from 128x72, live": streamed(films["scale 2"], scale, num_frames, True),
            "inpaint 256x144, all frames": streamed(films["edit"], inpaint, num_frames, False),
            "inpaint 256x144, live": streamed(films["edit"], inpaint, num_frames, True),
            "edit 256x144, all frames": streamed(films["edit"], edit, num_frames, False),
            "edit 256x144, live": streamed(films["edit"], edit, num_frames, True),
        }


def film_of(path: Path, size_px: tuple[int, int], grain_levels: float) -> None:
    """The bundled clip, there and back, so small and with so much grain."""
    width, height = size_px
    frames = video.read(weights.ASSETS / "clip.mp4").frames
    rng = np.random.default_rng(0)
    with video.Writer(path, width=width, height=height, fps=FPS, quality="high") as writer:
        for frame in torch.cat([frames, frames.flip(0)]):
            small = sized(frame, height, width)
            grain = rng.normal(0, grain_levels / 127.5, small.shape).astype(np.float32)
            writer.write((small + torch.from_numpy(grain)).clamp(-1, 1)[None])


def enhancing(what: tasks.Enhancement, model: Predictor) -> Make:
    """What `kineo stream` makes of frames."""
    return lambda frames: tasks.enhance(frames, what, model, live=True)


def filling(model: Predictor) -> Make:
    """A box is taken away."""

    def make(frames: Iterator[Frame]) -> Iterator[Frame]:
        first, second = tee(frames)
        return tasks.inpaint_live(first, regions.named(HOLE, second), model)

    return make


def restyling() -> Make:
    """All of the picture gets the look of the clip itself, upside down."""
    look = video.read(weights.ASSETS / "clip.mp4", num_frames=1).frames.flip(-2)
    return lambda frames: tasks.edit_live(frames, look, STRENGTH)


def streamed(
    film: Path, make: Make | None, num_frames: int, paced: bool, every: int = EVERY
) -> Streamed:
    """Streams so many frames of a film, over and over, to nowhere.

    paced: at its own rate, as a camera sends, and what is more than a second late is dropped: this
    tells the latency. Else as fast as it goes, and nothing is dropped: this tells the rate, and a
    frame's latency is mostly how long it waits.
    """
    policy = Policy(paced=paced, most_late_seconds=1.0 if paced else None)
    info, frames = open_live(str(film), FOR_EVER)
    tally, stop, held, let_go = Tally(), Event(), list[float](), list[int]()
    show = _counting(
        num_frames, every, held, lambda: (stop.set(), let_go.append(tally.num_dropped))
    )
    with looking_at_what_is_new():
        began, busy = time.perf_counter(), time.process_time()
        error = run(info, frames, policy, make, show, stop, tally)
        seconds, worked = time.perf_counter() - began, time.process_time() - busy
    if error is not None:
        raise error
    now = tally.figures((1 - SETTLED) * seconds)
    return Streamed(
        now.shown,
        let_go[0],
        now.shown / seconds,
        1000 * worked / max(now.shown, 1),
        1000 * now.median_seconds,
        1000 * now.p99_seconds,
        every,
        tuple(held),
    )


def _counting(
    num_frames: int, every: int, held: list[float], over: Callable[[], object]
) -> Callable[[Made], None]:
    """Shows nothing, looks at the memory now and then, and tells when so many frames are shown."""
    done = 0

    def show(made: Made) -> None:
        nonlocal done
        if done % every == 0:
            held.append(held_mb())
        done += 1
        if done == num_frames:
            over()

    return show


def told(name: str, went: Streamed) -> str:
    """As a line for people."""
    return (
        f"{name}: {went.num_frames} frames, {went.fps:.1f} a second ({went.cpu_ms:.1f} ms of "
        f"processor each), latency {went.median_ms:.0f} ms, 99 of 100 within {went.p99_ms:.0f}; "
        f"{went.num_dropped} dropped; memory {went.held_mb[0]:.0f} to {went.held_mb[-1]:.0f} MB, "
        f"{went.growth_mb:+.1f} MB in the second half ({went.trembling_mb:.1f} of trembling)"
    )
