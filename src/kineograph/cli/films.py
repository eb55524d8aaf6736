"""How far a verb is, on standard error: standard output may be a film."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kineograph.verbs.told import Told


def bar(console: Console) -> Progress:
    """A bar with how many of how many, and how long it will take."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


@contextmanager
def telling(console: Console) -> Iterator[Told]:
    """A verb's bar and its sentences, while this is entered."""
    with bar(console) as progress:
        tasks = []
        yield Told(
            console.print,
            lambda name, total: tasks.append(progress.add_task(name, total=total)),
            lambda frame: progress.advance(tasks[-1]),
        )
