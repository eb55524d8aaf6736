"""Where films, uploads and unfinished work are kept: one folder, with names of our own only."""

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shelf:
    """The folder of a store."""

    folder: Path

    @property
    def files(self) -> Path:
        """What was uploaded, by its id."""
        return self.folder / "files"

    @property
    def films(self) -> Path:
        """What was made, and pictures of it."""
        return self.folder / "films"

    @property
    def work(self) -> Path:
        """What is being made: a folder for each lease."""
        return self.folder / "work"

    @property
    def aside(self) -> Path:
        """Uploads that are still coming."""
        return self.folder / "aside"

    @property
    def database(self) -> str:
        """The address of the store's own database."""
        return f"sqlite:///{self.folder.absolute() / 'kineo.db'}"


def opened(folder: Path) -> Shelf:
    """The store in that folder, made if it is not there, for this user alone."""
    shelf = Shelf(folder.absolute())
    for one in (shelf.folder, shelf.files, shelf.films, shelf.work, shelf.aside):
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
    return shelf


def work_of(shelf: Shelf, job: str, lease: str) -> Path:
    """Where one attempt at a job writes."""
    return shelf.work / f"{job}-{lease}"


def swept(shelf: Shelf, films: Iterable[str], uploads: Iterable[str]) -> None:
    """Removes films and uploads that no row knows of; not those that are just put in place."""
    kept, known = {Path(name).stem for name in films}, set(uploads)
    for path in shelf.films.iterdir():
        if path.name.split(".")[0] not in kept and _is_old(path):
            path.unlink(missing_ok=True)
    for path in shelf.files.iterdir():
        if path.name not in known and _is_old(path):
            path.unlink(missing_ok=True)


def cleared(shelf: Shelf) -> None:
    """Removes all unfinished work, of which nobody is left to finish any."""
    for path in shelf.work.iterdir():
        shutil.rmtree(path, ignore_errors=True)


def emptied(shelf: Shelf) -> None:
    """Removes what came only in part, when no server was there to hear the rest."""
    for path in shelf.aside.iterdir():
        path.unlink(missing_ok=True)


def _is_old(path: Path, seconds: float = 60.0) -> bool:
    """Whether it cannot be something that is just being put in place."""
    try:
        return time.time() - path.stat().st_ctime > seconds
    except OSError:
        return False


def copied(source: Path, to: Path) -> None:
    """The same file under another name, without a copy where the disk can do so."""
    try:
        os.link(source, to)
    except OSError:
        shutil.copyfile(source, to)


def pictures_of(film: Path) -> list[Path]:
    """A film's thumbnail and contact sheet, made or not."""
    return [film.with_suffix(".thumbnail.jpg"), film.with_suffix(".spritesheet.jpg")]


def remove(film: Path) -> None:
    """A film and its pictures are gone."""
    for path in (film, *pictures_of(film)):
        path.unlink(missing_ok=True)


def size_of(shelf: Shelf) -> int:
    """All bytes of films and uploads."""
    total = 0
    for folder in (shelf.films, shelf.files):
        for path in folder.iterdir():
            try:
                total += path.stat().st_size
            except OSError:  # removed just now
                continue
    return total
