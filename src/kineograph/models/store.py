"""Models that a person has learned or was given have names, and live in one folder of their own.

A name is all that a verb needs (`--model fire`). Files are read as weights are: no code in them.
"""

import os
import re
import shutil
import sys
from pathlib import Path

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED = ("kineo-",)
"""Names that begin so belong to what is shipped."""


def folder() -> Path:
    """Where models are kept: KINEOGRAPH_MODELS, or the platform's own folder for data."""
    if chosen := os.environ.get("KINEOGRAPH_MODELS"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "kineograph" / "models"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "kineograph" / "models"
    data = os.environ.get("XDG_DATA_HOME", str(Path.home() / ".local" / "share"))
    return Path(data) / "kineograph" / "models"


def checked(name: str) -> str:
    """The name, if a model may be called so. ValueError else."""
    if not NAME.fullmatch(name) or name.startswith(RESERVED):
        raise ValueError(
            f"A model cannot be called {name!r}: use up to 64 of a-z, 0-9, - and _, beginning "
            f"with a letter or a number, and not with {RESERVED[0]!r}."
        )
    return name


def place(name: str) -> Path:
    """Where the weights of that name are, or would be. ValueError for a name that cannot be."""
    return folder() / f"{checked(name)}.safetensors"


def names() -> list[str]:
    """The names of all models here."""
    found = folder().glob("*.safetensors")
    return sorted(path.stem for path in found if NAME.fullmatch(path.stem))


def existing(name: str) -> Path:
    """Where the weights of that name are. ValueError if there are none."""
    path = place(name)
    if not path.is_file():
        here = ", ".join(names()) or "none yet"
        raise ValueError(f"There is no model {name!r} here; there are: {here}.")
    return path


def export(name: str, to: Path) -> Path:
    """Copies a model to a file that another machine can import; never over another file."""
    to = to / f"{name}.safetensors" if to.is_dir() else to
    if to.suffix != ".safetensors":
        raise ValueError(f"{to} is no place for a model: give a name ending in .safetensors.")
    return _copied(existing(name), to)


def take_in(path: Path, name: str) -> Path:
    """Copies a model file in, under a name that is not taken. Whether it is one, others check."""
    return _copied(path, place(name))


def remove(name: str) -> Path:
    """Removes a model and its run, for good; what was learned from remains."""
    path, run = place(name), run_folder(name)
    if not run.is_dir():
        path = existing(name)
    path.unlink(missing_ok=True)
    shutil.rmtree(page(name), ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)
    return path


def page(name: str) -> Path:
    """The folder of a model's card, written for people, and its pictures."""
    return folder() / "cards" / checked(name)


def run_folder(name: str) -> Path:
    """Where checkpoints and log of a model's run are, or would be."""
    return folder() / "runs" / checked(name)


def _copied(source: Path, to: Path) -> Path:
    if to.exists():
        raise ValueError(f"{to} is there already: give another name, or remove it first.")
    to.parent.mkdir(parents=True, exist_ok=True)
    aside = to.with_name(f".{to.name}.part")
    try:
        shutil.copyfile(source, aside)
        aside.replace(to)
    finally:
        aside.unlink(missing_ok=True)
    return to
