"""Models are looked into once, however many lines name them."""

from functools import lru_cache
from pathlib import Path

from kineograph.models import weights

MOST_KEPT = 256


def stamp(path: Path) -> str:
    """The size of a file and when it was written."""
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def check(name: str) -> None:
    """ValueError where there is no such model, or it makes no films."""
    path = weights.path_of(name)
    _loads(path, stamp(path))


def digest(name: str) -> str:
    """What names the model in recipes."""
    path = weights.path_of(name)
    return _digest(path, stamp(path))


@lru_cache(MOST_KEPT)
def _loads(path: Path, stamp: str) -> None:
    weights.load(str(path))


@lru_cache(MOST_KEPT)
def _digest(path: Path, stamp: str) -> str:
    return weights.digest(str(path))
