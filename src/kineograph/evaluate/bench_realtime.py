"""`kineo bench realtime`: how fast the shipped world is played, alone and in a real browser.

All of it in one run, beside the rates of large matrix products and convolutions on this machine.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from kineograph import runtime
from kineograph.answer.dream import Dream, seeded, starts_of
from kineograph.evaluate.report import row, write_text
from kineograph.models import weights
from kineograph.models.layers import channels_last
from kineograph.models.playable import Playable
from kineograph.models.world import World
from kineograph.train.machine import num_cores
from kineograph.train.precision import gemm_rate

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NUM_WARM = 20
MATRIX_SIZE, NUM_PRODUCTS = 1024, 30
"""A product takes about as long as a frame, so that other work on the machine slows both alike."""
NUM_CHANNELS, SIDE_PX, KERNEL_PX = 256, 64, 3
PATIENCE_SECONDS = 90.0
"""How much longer than it was asked to measure a page may take: it must start, and be warm."""
PAGE, WHOLE = "report.md", "realtime.json"

Serving = Callable[[runtime.Backend], AbstractContextManager[tuple[str, list[dict[str, Any]]]]]
"""Serves the page of the shipped world while it is entered: its address, and a list to which comes
what pages say of their own clocks."""


@dataclass(frozen=True)
class Timed:
    """How long frames took, in ms: the median, and what 99 of 100 stay within."""

    num_frames: int
    fps: float
    median_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Work:
    """What a frame costs the network, and what this machine does in FLOP/s.

    convolution_rate: some processors do convolutions twice as fast as matrix products, which are
    then no bound.
    """

    flops: int
    matrix_rate: float
    convolution_rate: float

    def shares(self, timed: Timed) -> tuple[float, float]:
        """How much of either rate a frame of median time comes to."""
        rate = self.flops / (timed.median_ms / 1000)
        return rate / self.matrix_rate, rate / self.convolution_rate


def bench_realtime(out: Path, console: Console, serving: Serving, seconds: float = 20.0) -> None:
    """Times the shipped world by each backend here, and its page in a browser where there is one.

    seconds: how long each is timed. Writes realtime.json and report.md into out.
    """
    out.mkdir(parents=True, exist_ok=True)
    world = weights.load_world()
    rate = gemm_rate(torch.device("cpu"), torch.float32, MATRIX_SIZE, NUM_PRODUCTS)
    work = Work(flops_of(world), rate, convolution_rate())
    alone = {name: timed_alone(world, name, seconds) for name in backends()}
    best = runtime.chosen("auto")
    browser, played = browser_here(), None
    if browser is None:
        console.print(f"None of {', '.join(BROWSERS)} is installed: no page was timed.")
    else:
        with serving(best) as (address, heard):
            played = timed_page(browser, address, heard, seconds)
    in_browser = {} if played is None else {f"{best}, in a browser": played}
    _write(out, about(world), work, alone, in_browser)
    for name, timed in {**alone, **in_browser}.items():
        console.print(f"  {name}: {said(timed)}", highlight=False)
    console.print(f"{out / PAGE}: all of it.", highlight=False)


def backends() -> tuple[runtime.Backend, ...]:
    """Those that are installed."""
    named: tuple[runtime.Backend, ...] = ("eager", "onnx", "openvino", "int8")
    return tuple(b for b in named if all(map(find_spec, runtime.NEEDS.get(b, ()))))


def flops_of(world: World) -> int:
    """Of one frame: products and sums of matrix products and convolutions."""
    playable = Playable(world)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        playable(*playable.example())
    return counter.get_total_flops()


def convolution_rate() -> float:
    """FLOP/s of torch's 3x3 convolution: the best of a few, as other work only slows it."""
    layer = nn.Conv2d(NUM_CHANNELS, NUM_CHANNELS, KERNEL_PX, padding=KERNEL_PX // 2, bias=False)
    asked = channels_last(torch.full((1, NUM_CHANNELS, SIDE_PX, SIDE_PX), 0.5))
    seconds = []
    with torch.inference_mode():
        for _ in range(NUM_PRODUCTS + 1):
            began = time.perf_counter()
            layer(asked)
            seconds.append(time.perf_counter() - began)
    return 2 * layer.weight.numel() * SIDE_PX**2 / min(seconds[1:])


def timed_alone(world: World, backend: runtime.Backend, seconds: float) -> Timed:
    """The world with nobody looking, as fast as it can; another action every frame."""
    dream = Dream(world, backend)
    dream.begin(seeded(starts_of(world), 0))
    taken: list[float] = []
    for n in range(NUM_WARM):
        dream.step(n % world.shape.num_actions)
    while sum(taken) < seconds:
        began = time.perf_counter()
        dream.step(len(taken) % world.shape.num_actions)
        taken.append(time.perf_counter() - began)
    return timed_of(taken)


def timed_of(seconds: Sequence[float]) -> Timed:
    """What the times of frames come to."""
    median, p99 = 1000 * np.percentile(seconds, [50, 99])
    return Timed(len(seconds), len(seconds) / sum(seconds), float(median), float(p99))


def browser_here() -> str | None:
    """The first of BROWSERS that is installed."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def timed_page(
    browser: str, address: str, heard: Sequence[dict[str, Any]], seconds: float
) -> Timed:
    """What the page says of frames as they are shown. ValueError if it says nothing in time."""
    end = time.monotonic() + seconds + PATIENCE_SECONDS
    with opened(browser, f"{address}&measure={seconds:g}"):
        while not heard and time.monotonic() < end:
            time.sleep(0.1)
    return clocked(heard[0] if heard else {}, browser)


def clocked(clock: dict[str, Any], browser: str) -> Timed:
    """A page's clock as it was sent."""
    if not clock.get("frames"):
        raise ValueError(f"The page in {browser} timed no frames; it said {clock}.")
    numbers = (float(clock[key]) for key in ("fps", "p50", "p99"))
    return Timed(int(clock["frames"]), *numbers)


@contextmanager
def opened(browser: str, address: str) -> Iterator[None]:
    """A browser of its own that nobody sees, with the page in it."""
    flags = ["--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium refuses to start for root with it
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, *flags, f"--user-data-dir={profile}", address]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def about(world: World) -> dict[str, Any]:
    """What was measured, and on how much of a machine."""
    shape = world.shape
    return {
        "world": weights.SHIPPED_WORLD,
        "sha256": weights.digest(weights.SHIPPED_WORLD),
        "size": f"{shape.width_px}x{shape.height_px}",
        "cores": num_cores(),
        "torch threads": torch.get_num_threads(),
    }


def said(timed: Timed) -> str:
    """As a line for people."""
    return (
        f"{timed.fps:.1f} frames a second; median {timed.median_ms:.1f} ms, 99 of 100 within "
        f"{timed.p99_ms:.1f} ms"
    )


def page(
    what: dict[str, Any], work: Work, alone: dict[str, Timed], in_browser: dict[str, Timed]
) -> str:
    """All of it for people."""
    head = ["", "frames", "frames a second", "median (ms)", "99 of 100 (ms)"]
    head += ["of products", "of convolutions"]
    lines = ["# kineo bench realtime\n", *(f"- {key}: {value}" for key, value in what.items())]
    lines.append(f"- a frame: {work.flops / 1e9:.3f} GFLOP")
    lines.append(f"- fp32 matrix products: {work.matrix_rate / 1e9:.1f} GFLOP/s")
    lines.append(f"- fp32 3x3 convolutions: {work.convolution_rate / 1e9:.1f} GFLOP/s\n")
    lines += [row(head), row(["---"] * len(head))]
    for name, timed in {**alone, **in_browser}.items():
        numbers = (f"{x:.1f}" for x in (timed.fps, timed.median_ms, timed.p99_ms))
        shares = (f"{share:.0%}" if name in alone else "-" for share in work.shares(timed))
        lines.append(row([name, str(timed.num_frames), *numbers, *shares]))
    lines.append(
        "\nAlone, a time is that of one step, and its shares are of the two rates above. In a "
        "browser it is from one frame that is shown to the next, by the page's clock; a page is "
        "drawn at most 60 times a second."
    )
    return "\n".join(lines) + "\n"


def _write(
    out: Path,
    what: dict[str, Any],
    work: Work,
    alone: dict[str, Timed],
    in_browser: dict[str, Timed],
) -> None:
    whole = {
        "about": what,
        "work": asdict(work),
        "alone": {name: {**asdict(t), "shares": work.shares(t)} for name, t in alone.items()},
        "in_browser": {name: asdict(timed) for name, timed in in_browser.items()},
    }
    write_text(out / PAGE, page(what, work, alone, in_browser))
    write_text(out / WHOLE, json.dumps(whole, indent=1) + "\n")
