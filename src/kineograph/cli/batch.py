"""The verb that makes many films."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import Progress

from kineograph.batch import jobs, place, reporting, running, texts
from kineograph.batch.running import Done, Heard
from kineograph.cli.batch_commands import Batch
from kineograph.cli.films import bar


def batch(asked: Batch, console: Console) -> None:
    """Checks all lines, runs them, reports. Exit code 1 where a line failed, 130 after Ctrl-C."""
    font = asked.font or texts.default_font()
    found = jobs.jobs_of(asked.spec, asked.out, font)
    if asked.check:
        console.print(f"{len(found)} lines can be run.")
        return
    began, results = time.monotonic(), []
    with place.held(asked.out) as where:
        place.check_free(where, found)
        try:
            with bar(console) as progress, stopping() as check:
                heard = _shown(progress, check)
                lines = progress.add_task("lines", total=len(found))
                for result in running.run(found, where, font, heard):
                    results.append(result)
                    progress.advance(lines)
                    _say(result, console)
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            rest = [running.done(job, running.WAITING) for job in found[len(results) :]]
            reporting.write(where, asked.spec, [*results, *rest], time.monotonic() - began)
            told = f"{asked.out}: {reporting.counted([*results, *rest])}; see report.md."
            console.print(told, highlight=False, markup=False, soft_wrap=True)
    if any(one.state == running.FAILED for one in results):
        sys.exit(1)


def _say(result: Done, console: Console) -> None:
    about = f": {result.error}" if result.error else ""
    told = f"line {result.line}, {result.output}: {result.state}{about}"
    style = "red" if result.error else None
    console.print(told, style=style, highlight=False, markup=False, soft_wrap=True)


def _shown(progress: Progress, check: Callable[[], None]) -> Heard:
    tasks = []

    def begun(name: str, total: int | None) -> None:
        for task in tasks:
            progress.remove_task(task)
        tasks[:] = [progress.add_task(name, total=total)]

    def passed() -> None:
        progress.advance(tasks[-1])
        check()

    return Heard(begun, passed)


@contextmanager
def stopping() -> Iterator[Callable[[], None]]:
    """While this is entered, what it gives raises KeyboardInterrupt once Ctrl-C was pressed.

    So the frame at hand is finished first. Pressed twice, it ends at once.
    """
    asked = False

    def heard(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
