"""`kineo bench realtime`: how fast a world is played, alone and in a real browser, and how well.

All of it in one run, beside the rates of large matrix products and convolutions on this machine,
and beside DIAMOND where its code is.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from kineograph import runtime
from kineograph.answer.dream import Dream, seeded, starts_of
from kineograph.evaluate import bench_stream, diamond, world_quality
from kineograph.evaluate.bench_stream import Streamed
from kineograph.evaluate.report import row, write_text
from kineograph.evaluate.timing import Timed, said, timed_of
from kineograph.evaluate.world_quality import Quality
from kineograph.models import weights
from kineograph.models.layers import channels_last
from kineograph.models.playable import Playable
from kineograph.models.world import World
from kineograph.runtime import by_cuda
from kineograph.train.machine import num_cores, settle
from kineograph.train.precision import gemm_rate

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NUM_WARM, SECONDS = 20, (1, 600)
MATRIX_SIZE, NUM_PRODUCTS = 1024, 30
"""A product takes about as long as a frame, so that other work on the machine slows both alike."""
NUM_CHANNELS, SIDE_PX, KERNEL_PX = 256, 64, 3
PATIENCE_SECONDS = 90.0
"""How much longer than it was asked to measure a page may take: it must start, and be warm."""
PAGE, WHOLE = "report.md", "realtime.json"

Serving = Callable[[str, runtime.Backend], AbstractContextManager[tuple[str, list[dict[str, Any]]]]]
"""Serves the page of a world while it is entered: its address, and a list to which comes what pages
say of their own clocks."""


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


@dataclass(frozen=True)
class Options:
    """What is measured.

    luck: with how much of it dreams go on. seconds: how long each is timed. diamond: a checkout.
    stream_frames: of how many frames live video is measured, 0 of none.
    """

    world: str = weights.SHIPPED_WORLD
    luck: float = 1.0
    seconds: float = 20.0
    diamond: Path | None = None
    stream_frames: int = 240

    def __post_init__(self) -> None:
        least, most = SECONDS
        if not least <= self.seconds <= most:
            raise ValueError(f"Each is timed {least} to {most} seconds; got {self.seconds:g}.")
        if self.diamond is not None:
            diamond.checked(self.diamond)


@dataclass(frozen=True)
class Measured:
    """All that came of it."""

    about: dict[str, Any]
    size_px: tuple[int, int]
    work: Work
    alone: Mapping[str, Timed]
    in_browser: Mapping[str, Timed]
    peer: diamond.Peer | None
    quality: Quality
    streams: Mapping[str, Streamed]

    @property
    def timed(self) -> dict[str, Timed]:
        """By name, in the order of the report."""
        return {**self.alone, **self.in_browser}

    def times_per_pixel(self) -> dict[str, float]:
        """How many times as many pixels a second each backend makes as DIAMOND."""
        if self.peer is None:
            return {}
        return {
            name: self.peer.times_per_pixel(timed.fps, *self.size_px)
            for name, timed in self.alone.items()
        }


def bench_realtime(out: Path, console: Console, serving: Serving, options: Options) -> None:
    """Times a world by each backend here, its page in a browser where there is one, and DIAMOND;
    then says how good the world is. Writes realtime.json and report.md into out."""
    out.mkdir(parents=True, exist_ok=True)
    measured = measure(console, serving, options)
    write_text(out / PAGE, page(measured))
    write_text(out / WHOLE, json.dumps(as_json(measured), indent=1) + "\n")
    for name, timed in measured.timed.items():
        console.print(f"  {name}: {said(timed)}", highlight=False)
    for line in (*peer_lines(measured), *world_quality.lines(measured.quality)):
        console.print(f"  {line}", highlight=False)
    for name, went in measured.streams.items():
        console.print(f"  {bench_stream.told(name, went)}", highlight=False)
    console.print(f"{out / PAGE}: all of it.", highlight=False)


def measure(console: Console, serving: Serving, options: Options) -> Measured:
    """One after the other."""
    world, seconds = weights.load_world(options.world), options.seconds
    rate = gemm_rate(torch.device("cpu"), torch.float32, MATRIX_SIZE, NUM_PRODUCTS)
    work = Work(flops_of(world), rate, convolution_rate())
    alone = {name: timed_alone(world, name, seconds) for name in backends()}
    peer = diamond.timed(options.diamond, seconds) if options.diamond else None
    return Measured(
        about(options.world, world),
        (world.shape.height_px, world.shape.width_px),
        work,
        alone,
        in_browser(console, serving, options),
        peer,
        world_quality.quality_of(world, weights.card(options.world), options.luck),
        streams(options.stream_frames),
    )


def streams(num_frames: int) -> dict[str, Streamed]:
    """Live video, where any is asked for."""
    if not num_frames:
        return {}
    settle()
    return bench_stream.measured(weights.load(), num_frames)


def in_browser(console: Console, serving: Serving, options: Options) -> dict[str, Timed]:
    """The page by the best backend; nothing where there is no browser."""
    best, browser = runtime.chosen("auto"), browser_here()
    if browser is None:
        console.print(f"None of {', '.join(BROWSERS)} is installed: no page was timed.")
        return {}
    with serving(options.world, best) as (address, heard):
        played = timed_page(browser, address, heard, options.seconds)
    return {f"{best}, in a browser": played}


def backends() -> tuple[runtime.Backend, ...]:
    """Those that are installed."""
    named: tuple[runtime.Backend, ...] = ("eager", "onnx", "openvino", "int8")
    if by_cuda.here():
        named = (*named, "graphs")
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


def about(name: str, world: World) -> dict[str, Any]:
    """What was measured, and on how much of a machine."""
    shape = world.shape
    return {
        "world": name,
        "sha256": weights.digest(name),
        "size": f"{shape.width_px}x{shape.height_px}",
        "cores": num_cores(),
        "torch threads": torch.get_num_threads(),
    }


def page(measured: Measured) -> str:
    """All of it for people."""
    work = measured.work
    lines = ["# kineo bench realtime\n"]
    lines += [f"- {key}: {value}" for key, value in measured.about.items()]
    lines.append(f"- a frame: {work.flops / 1e9:.3f} GFLOP")
    lines.append(f"- fp32 matrix products: {work.matrix_rate / 1e9:.1f} GFLOP/s")
    lines.append(f"- fp32 3x3 convolutions: {work.convolution_rate / 1e9:.1f} GFLOP/s\n")
    lines += table(measured)
    lines.append(
        "\nAlone, a time is that of one step, and its shares are of the two rates above. In a "
        "browser it is from one frame that is shown to the next, by the page's clock; a page is "
        "drawn at most 60 times a second."
    )
    lines += ["", *(f"- {line}" for line in peer_lines(measured))] if measured.peer else []
    lines += ["\n## How good the world is\n"]
    lines += [f"- {line}" for line in world_quality.lines(measured.quality)]
    if measured.streams:
        lines += ["\n## Live video, as `kineo stream` runs it\n"]
        lines += [f"- {bench_stream.told(*each)}" for each in measured.streams.items()]
    return "\n".join(lines) + "\n"


def table(measured: Measured) -> list[str]:
    """The times, one row each."""
    head = ["", "frames", "frames a second", "median (ms)", "99 of 100 (ms)"]
    head += ["of products", "of convolutions"]
    lines = [row(head), row(["---"] * len(head))]
    for name, timed in measured.timed.items():
        numbers = (f"{x:.1f}" for x in (timed.fps, timed.median_ms, timed.p99_ms))
        on_processor = name in measured.alone and name != "graphs"
        shares = (f"{s:.0%}" if on_processor else "-" for s in measured.work.shares(timed))
        lines.append(row([name, str(timed.num_frames), *numbers, *shares]))
    return lines


def peer_lines(measured: Measured) -> list[str]:
    """How fast DIAMOND is, and how many times as fast a pixel is ours."""
    peer = measured.peer
    if peer is None:
        return []
    side, size = peer.side_px, peer.num_parameters / 1e6
    found = ", ".join(f"{times:.0f} by {n}" for n, times in measured.times_per_pixel().items())
    return [
        f"DIAMOND's denoiser, {size:.1f}M random weights, {side}x{side}, {peer.num_steps} steps, "
        f"eager torch, as many threads: {said(peer.timed)}",
        f"pixels a second, as a multiple of DIAMOND's: {found}",
    ]


def as_json(measured: Measured) -> dict[str, Any]:
    """All of it for programs."""
    alone = {
        name: {**asdict(timed), "shares": measured.work.shares(timed)}
        for name, timed in measured.alone.items()
    }
    return {
        "about": measured.about,
        "work": asdict(measured.work),
        "alone": alone,
        "in_browser": {name: asdict(timed) for name, timed in measured.in_browser.items()},
        "diamond": asdict(measured.peer) if measured.peer else None,
        "times_per_pixel": measured.times_per_pixel(),
        "quality": asdict(measured.quality),
        "streams": {name: asdict(went) for name, went in measured.streams.items()},
    }
