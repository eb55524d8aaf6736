"""A folder is walked without a circle, and each file in it is either to be opened or has a reason.

Nothing is opened here: files are judged by what the folder says of them.
"""

import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kineograph.data.folder.found import Found

MOST_FILES = 200_000
_SUBTITLES = (".srt", ".vtt", ".ass", ".ssa", ".sub", ".sup", ".idx", ".smi", ".lrc", ".ttml")


@dataclass(frozen=True)
class File:
    """A file that may be a film, its name under the root, and its size."""

    name: str
    path: Path
    num_bytes: int


def walked(root: Path) -> list[File | Found]:
    """Every file under the root (or the root itself, if it is one), in order of name.

    Linked folders are entered, each folder once; hidden ones are not. ValueError if the root does
    not exist or holds more than MOST_FILES files.
    """
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    except OSError as error:
        raise ValueError(
            f"{root} cannot be reached ({error.strerror}): give a folder of films, or one film."
        ) from error
    found = list(islice(_under(root), MOST_FILES + 1)) if is_folder else [_judged(root, root.name)]
    if len(found) > MOST_FILES:
        raise ValueError(f"{root} holds more than {MOST_FILES} files: give a smaller folder.")
    return sorted((one for one in found if one is not None), key=lambda one: one.name)


def _under(root: Path) -> Iterator[File | Found]:
    """What is in a folder and its folders; linked folders last, so that true names come first."""
    waiting, entered = deque([root]), set[tuple[int, int]]()
    while waiting:
        folder = waiting.popleft()
        name = folder.relative_to(root).as_posix()
        try:
            identity = _identity(folder)
            inside = sorted(os.listdir(folder))
        except OSError as error:
            yield Found(
                name, folder, "unreadable", f"a folder that cannot be read: {error.strerror}"
            )
            continue
        if identity in entered:
            yield Found(name, folder, "link", "a link to a folder that is walked already")
            continue
        entered.add(identity)
        for path in (folder / one for one in inside):
            judged = _judged(path, path.relative_to(root).as_posix())
            if judged is not None:
                yield judged
            elif path.is_symlink():
                waiting.append(path)
            else:
                waiting.appendleft(path)


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _judged(path: Path, name: str) -> File | Found | None:
    """A file to be opened, or why it is not; None for a folder."""
    if path.name.startswith("."):
        return Found(name, path, "hidden", "hidden: passed over")
    try:
        found = path.stat()
    except OSError as error:
        if path.is_symlink():
            return Found(name, path, "link", "a link that leads nowhere, or in a circle")
        return Found(name, path, "unreadable", f"cannot be read: {error.strerror}")
    if stat.S_ISDIR(found.st_mode):
        return None
    if not stat.S_ISREG(found.st_mode):
        return Found(name, path, "special", "a pipe, socket or device, no file")
    if found.st_size == 0:
        return Found(name, path, "empty", "empty: 0 bytes")
    if path.suffix.lower() in _SUBTITLES:
        return Found(name, path, "subtitles", "subtitles: no picture in it", found.st_size)
    return File(name, path, found.st_size)
