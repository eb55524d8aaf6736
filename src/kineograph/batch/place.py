"""The folder of a batch: films under their names, and in a hidden folder what is known of them."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kineograph.batch.jobs import Job
from kineograph.batch.weighed import stamp

HIDDEN = ".kineo-batch"
REPORTS = ("report.md", "report.json")


@dataclass(frozen=True)
class Place:
    """Where films go. What is written aside, and what is known, is in its hidden folder."""

    folder: Path

    @property
    def aside(self) -> Path:
        """Where unfinished films are; emptied before each."""
        return self.folder / HIDDEN / "aside"

    def known(self, job: Job) -> Path:
        """What is known of a job's film."""
        return self.folder / HIDDEN / f"{job.out.name}.json"


@contextmanager
def held(folder: Path) -> Iterator[Place]:
    """The folder, for this batch alone. ValueError where another runs in it, or it is not ours."""
    place = Place(folder.resolve())
    hidden = place.folder / HIDDEN
    if not hidden.is_dir():
        for name in REPORTS:
            if (place.folder / name).exists():
                raise ValueError(f"{folder} has a {name} that no batch made: give another folder.")
    hidden.mkdir(parents=True, exist_ok=True)
    with (hidden / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"Another batch is running in {folder}.") from error
        try:
            yield place
        finally:
            shutil.rmtree(place.aside, ignore_errors=True)


def emptied(place: Place) -> Path:
    """The folder for what is not finished, with nothing in it."""
    shutil.rmtree(place.aside, ignore_errors=True)
    place.aside.mkdir()
    return place.aside


def check_free(place: Place, jobs: list[Job]) -> None:
    """ValueError where a film would take the place of one that no batch made."""
    for job in jobs:
        if job.out.exists() and stamp(job.out) not in _record(place, job).get("stamps", []):
            raise ValueError(
                f"line {job.line}: {job.out} is there, and not as a batch made it: "
                "move it away, or give another output."
            )


def kept(place: Place, job: Job) -> dict[str, Any] | None:
    """Seconds and frames of a film that is there as the line asks it; else None."""
    found = _record(place, job)
    if found.get("digest") != job.digest or not job.out.is_file():
        return None
    return found["about"] if stamp(job.out) == found["stamps"][0] else None


def keep(place: Place, job: Job, film: Path, about: dict[str, Any]) -> None:
    """Gives a whole film its name. Wherever this is cut off, the next batch knows where it is.

    What is known is written first: of the new film, and of an older one of that name.
    """
    older = [stamp(job.out)] if job.out.exists() else []
    record = {"digest": job.digest, "stamps": [stamp(film), *older], "about": about}
    written(place.known(job), json.dumps(record))
    os.replace(film, job.out)


def written(path: Path, text: str) -> None:
    """The file as a whole, or as it was."""
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text, "utf-8")
    os.replace(aside, path)


def _record(place: Place, job: Job) -> dict[str, Any]:
    try:
        return json.loads(place.known(job).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
