"""`kineo dataset`: what is in a folder of films, told in a table; and the films made ready."""

from math import ceil

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from kineograph.cli.commands import Dataset, DatasetCheck, DatasetPrepare
from kineograph.cli.films import bar
from kineograph.data import folder
from kineograph.data.folder import FilmSurvey, Looking, Survey

SPLIT_NAME = "split.json"
FILE_WIDTH = 160
"""Columns of the table where it goes into a file."""


def run(asked: DatasetCheck | DatasetPrepare, console: Console) -> None:
    """The verb that was asked for."""
    if isinstance(asked, DatasetCheck):
        check(asked, console)
    else:
        prepare(asked, console)


def check(asked: DatasetCheck, console: Console) -> None:
    """Prints every file and what becomes of it; changes nothing."""
    _told(_surveyed(asked, _looking(asked, asked.seconds), console), asked, console)


def prepare(asked: DatasetPrepare, console: Console) -> None:
    """Checks, says what it will take, decodes, and writes the split beside."""
    if not asked.most_gb > 0:
        raise ValueError(f"--most-gb is {asked.most_gb}: give more than 0.")
    if asked.out.resolve() == asked.folder.resolve():
        raise ValueError(f"{asked.out} is the folder of films itself: give another --out.")
    found = _surveyed(asked, _looking(asked), console)
    _told(found, asked, console)
    with bar(console) as shown:
        passed = _passed(shown, "decoding")
        packed = folder.prepare(found, asked.out, round(asked.most_gb * 1e9), passed)
    where = asked.split or asked.out / SPLIT_NAME
    split = folder.split(packed.survey, where)
    folder.write_manifest(packed, asked.out)
    console.print(
        f"{asked.out}: {len(packed.arrays)} films; {split.num_training} stretches to learn from, "
        f"{split.num_held_out} held out ({where}).",
        highlight=False,
        markup=False,
    )


def _looking(asked: Dataset, seconds: float = float("inf")) -> Looking:
    if not seconds > 0:
        raise ValueError(f"--seconds is {seconds}: give more than 0.")
    return Looking(asked.num_frames, asked.size_px, asked.short_px, seconds)


def _surveyed(asked: Dataset, looking: Looking, console: Console) -> Survey:
    with bar(console) as shown:
        return folder.survey(asked.folder, looking, _passed(shown, "checking"))


def _passed(shown: Progress, what: str) -> folder.Progress:
    task = shown.add_task(what, total=None)

    def passed(done: int, total: int) -> None:
        shown.update(task, completed=done, total=total)

    return passed


def _told(found: Survey, asked: Dataset, console: Console) -> None:
    """The table, the sums, and the JSON if asked."""
    wide = console if console.is_terminal else Console(file=console.file, width=FILE_WIDTH)
    wide.print(table_of(found))
    console.print(sentence_of(found), highlight=False, markup=False)
    if asked.json is not None:
        folder.write_json(folder.survey_as_json(found), asked.json)
        console.print(f"{asked.json}: all of it.", highlight=False, markup=False)


def table_of(found: Survey) -> Table:
    """A row for every file."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("file", overflow="fold")
    for name in ("size", "fps", "length", "shots", "clips", "kept", "decoding"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for one in found.found:
        used = one.film is not None and one.kind == "film"
        row = _row(one.film, found.looking) if used and one.film else [""] * 7
        table.add_row(_plain(one.name), *row, _plain(one.why), style="" if used else "dim")
    return table


def _row(film: FilmSurvey, how: Looking) -> list[str]:
    about = "" if film.looked == "whole" else "~"
    return [
        f"{film.width}x{film.height}",
        f"{float(film.fps):.5g}",
        f"{about}{time_of(film.seconds)}",
        f"{about}{film.num_shots}",
        f"{about}{film.num_clips}",
        bytes_of(film.kept_bytes(how.short_px)),
        time_of(film.seconds_to_decode),
    ]


def _plain(text: str) -> Text:
    """The text as it is, but for what a terminal would take for an order or cannot show."""
    shown = text.encode("utf-8", "replace").decode("utf-8")
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown))


def sentence_of(found: Survey) -> str:
    """All of it in numbers."""
    about = "" if all(film.looked == "whole" for film in found.films.values()) else "about "
    return (
        f"{len(found.found)} files, {len(found.films)} used: {about}{found.num_shots} shots, "
        f"{found.num_clips} clips of {found.looking.num_frames} frames, "
        f"{found.hours:.2f} hours; {bytes_of(found.kept_bytes)} once prepared, about "
        f"{time_of(found.seconds_to_decode)} to decode. Checked in {found.seconds:.1f} s."
    )


def bytes_of(number: int) -> str:
    """A size in the largest unit of which it is at least 1."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} B"


def time_of(seconds: float) -> str:
    """A time as 0:07 or 1:02:03; below ten seconds with a tenth."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    hours, rest = divmod(ceil(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
