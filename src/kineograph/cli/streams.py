"""The verb about live video: from a source, through a task, to a file, a pipe or a page."""

import signal
import time
import webbrowser
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from math import inf, sqrt
from pathlib import Path
from threading import Event, Thread
from typing import Any

from rich.console import Console

from kineograph import video
from kineograph.answer.live import (
    Figures,
    Filed,
    Made,
    Policy,
    Tally,
    run,
)
from kineograph.cli import pages
from kineograph.cli.stream_commands import Stream
from kineograph.cli.stream_making import check, doing, is_dropping, is_pointed, make_of, num_recent
from kineograph.regions import Pointed
from kineograph.serve.stream import Screen, app
from kineograph.train import machine
from kineograph.verbs.films import recipe_of
from kineograph.video.info import is_y4m
from kineograph.video.live import is_file, open_live, without_secrets

LINE_SECONDS, GOODBYE_SECONDS = 1.0, 1.0
LEAST_LINES = 64


def stream(asked: Stream, console: Console) -> None:
    """Streams until the source ends, --seconds are over, or Ctrl-C; then the file is whole."""
    policy = policy_of(asked)
    _check(asked)
    machine.settle()
    info, frames = open_live(asked.source, asked.loop, again_seconds=asked.again)
    tally, stop = Tally(), Event()
    with ExitStack() as stack:
        stack.callback(_closed, frames)
        stack.enter_context(interrupted(stop))
        pointed = Pointed() if is_pointed(asked) else None
        lost = partial(_said_lost, console)
        make = make_of(asked, info.fps, pointed, lost)
        policy = replace(policy, num_recent=num_recent(asked, info.fps))
        shows, filed = _outputs(asked, policy, info, pointed, tally, stop, stack, console)
        stack.enter_context(_reported(tally, console))
        stack.enter_context(machine.looking_at_what_is_new())
        error = run(info, frames, policy, make, _each(shows), stop, tally)
    for line in told(asked, info, policy, tally.figures(inf), filed):
        console.print(line, highlight=False, markup=False)
    if error is not None:
        raise error


def policy_of(asked: Stream) -> Policy:
    """How it is read, and what gives way."""
    return Policy(
        paced=is_file(asked.source) and not asked.fast,
        most_late_seconds=asked.most_late if is_dropping(asked) else None,
        seconds=asked.seconds,
        lines=asked.lines,
    )


def _check(asked: Stream) -> None:
    """What does not go together, before anything is opened."""
    name = without_secrets(asked.source)
    if asked.fast and not is_file(asked.source):
        raise ValueError(f"{name} has a pace of its own: --fast is for a film.")
    check(asked)
    files = [Path(path).resolve() for path in (asked.source, asked.out or "-")]
    if is_file(asked.source) and files[0] == files[1]:
        raise ValueError(f"{asked.out} is the film itself: give another --out.")
    if not 0 <= asked.port <= 65535:
        raise ValueError(f"The port is {asked.port}: give 0 to 65535.")


def _said_lost(console: Console, number: int, why: str) -> None:
    console.print(f"What is followed was lost at frame {number}: {why}.", markup=False)


def _size(asked: Stream, policy: Policy, info: video.VideoInfo) -> tuple[int, int]:
    width, height = policy.size(info)
    twice = 1 if asked.predict is None else 2
    return twice * asked.scale * width, asked.scale * height


def _outputs(
    asked: Stream,
    policy: Policy,
    info: video.VideoInfo,
    pointed: Pointed | None,
    tally: Tally,
    stop: Event,
    stack: ExitStack,
    console: Console,
) -> tuple[list[Callable[[Made], None]], Filed | None]:
    """The file and the page, as asked, to be closed with the stack."""
    width, height = _size(asked, policy, info)
    shows: list[Callable[[Made], None]] = []
    filed = None
    if asked.out is not None:
        said = doing(asked)
        recipe = recipe_of("stream", info.path, asked.model, {"doing": said})
        writer = video.Writer(
            asked.out, like=info, width=width, height=height, quality=asked.quality, recipe=recipe
        )
        filed = Filed(stack.enter_context(writer), info, is_y4m(asked.out))
        shows.append(filed)
    if asked.show or asked.out is None:
        screen = Screen(info, width, height, doing(asked), tally.figures, pointed=pointed)
        shows.append(screen.put)
        stack.enter_context(served(screen, asked.port, asked.open, console))
        while asked.open and asked.out is None and is_file(asked.source):
            if screen.opened.wait(0.1) or stop.is_set():
                break
    return shows, filed


def _each(shows: list[Callable[[Made], None]]) -> Callable[[Made], None]:
    def show(made: Made) -> None:
        for one in shows:
            one(made)

    return show


def _closed(frames: Generator[Any, None, None]) -> None:
    """Closes a source, unless a thread still waits for its next frame."""
    with suppress(ValueError):
        frames.close()


@contextmanager
def interrupted(stop: Event) -> Iterator[None]:
    """Ctrl-C sets `stop`; a second one ends at once."""

    def asked(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, asked)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def served(screen: Screen, port: int, is_opened: bool, console: Console) -> Iterator[str]:
    """The page on loopback, served by a thread while this is entered: its address."""
    server = pages.server_of(app(screen), goodbye_seconds=1)
    with pages.loopback(port) as listening, pages.running(server, listening):
        address = pages.address_of(listening, screen.token)
        console.print(f"{screen.doing}: {address}", highlight=False, soft_wrap=True)
        if is_opened:
            webbrowser.open(address)
        try:
            yield address
        finally:
            screen.end()
            until = time.perf_counter() + GOODBYE_SECONDS
            while screen.num_viewers and time.perf_counter() < until:
                time.sleep(0.02)  # so that pages hear of the end


@contextmanager
def _reported(tally: Tally, console: Console) -> Iterator[None]:
    """A line of figures each second, over the last one where that is a terminal."""
    over = Event()

    def report() -> None:
        while not over.wait(LINE_SECONDS):
            end = "\r" if console.is_terminal else "\n"
            line = line_of(tally.figures())[: console.width - 1 if console.is_terminal else None]
            console.print(line.ljust(console.width - 1) if end == "\r" else line, end=end,
                          highlight=False, markup=False, soft_wrap=True)  # fmt: skip

    thread = Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def line_of(now: Figures) -> str:
    """The figures as one line."""
    return (
        f"{now.seconds:5.0f} s: source {now.source_fps:.1f}, shown {now.shown_fps:.1f} frames a "
        f"second; latency {now.median_seconds:.2f} s (99 of 100 within {now.p99_seconds:.2f}); "
        f"dropped {now.dropped} of {now.read}"
    )


def told(
    asked: Stream, info: video.VideoInfo, policy: Policy, total: Figures, filed: Filed | None
) -> Iterator[str]:
    """What came of it, and what would be faster."""
    seconds = max(total.seconds, 1e-3)
    yield (
        f"{without_secrets(asked.source)}: {total.read} frames read, {total.shown} shown "
        f"({total.shown / seconds:.1f} a second), {total.dropped} dropped; latency "
        f"{total.median_seconds:.2f} s, 99 of 100 within {total.p99_seconds:.2f} s."
    )
    if filed is not None:
        yield f"{asked.out}: {filed.writer.num_frames} frames."
        if filed.num_held or filed.num_skipped:
            yield (
                f"At a steady rate, {filed.num_held} frames stand in for dropped ones, and "
                f"{filed.num_skipped} had no place."
            )
    if policy.most_late_seconds is not None and total.p99_seconds > policy.most_late_seconds:
        yield (
            f"The latency is above --most-late {policy.most_late_seconds:g}: with what is looked "
            "at ahead it cannot be kept at this speed."
        )
    lines = policy.size(info)[1]
    if total.dropped and total.shown < total.read / 2 and lines > LEAST_LINES:
        fewer = max(LEAST_LINES, int(lines * sqrt(max(total.shown, 1) / total.read)) // 2 * 2)
        yield f"Less than half of the frames were kept: smaller ones are faster, --lines {fewer}."
