"""A folder is checked, never changed: every file is a film to be used, or has a reason."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic

from kineograph.data.folder.alike import key_of, pairs_alike
from kineograph.data.folder.filming import surveyed
from kineograph.data.folder.found import Found, Looking, Survey
from kineograph.data.folder.manifest import is_prepared, read_survey
from kineograph.data.folder.opening import Refused
from kineograph.data.folder.walking import File, walked
from kineograph.video import SlowError, VideoError

Progress = Callable[[int, int], None]
"""Told how many different files are done, of how many."""


@dataclass(frozen=True)
class Keyed:
    """A file and the key of its content."""

    file: File
    key: str


def survey(
    path: str | Path, looking: Looking | None = None, progress: Progress | None = None
) -> Survey:
    """Every file of a folder (or one film): what will be used, or why it is not.

    A folder that `prepare` made says what it was made of. Takes at most about looking.seconds, and
    looking.seconds_per_film for one film. ValueError if the path does not exist.

    >>> found = survey("films")  # doctest: +SKIP
    >>> found.num_clips, found.hours  # doctest: +SKIP
    (5312, 1.4)
    """
    started, how, root = monotonic(), looking or Looking(), Path(path)
    if is_prepared(root):
        return read_survey(root, looking)
    entries = walked(root)
    found = [entry for entry in entries if isinstance(entry, Found)]
    files = [entry for entry in entries if isinstance(entry, File)]
    with ThreadPoolExecutor(how.num_workers, thread_name_prefix="survey") as pool:
        keyed = list(pool.map(_keyed, files))
        found += [one for one in keyed if isinstance(one, Found)]
        look = partial(_looked_at, how=how, deadline=started + how.seconds)
        alike = _by_key(one for one in keyed if isinstance(one, Keyed))
        firsts = [group[0] for group in alike.values()]
        for number, first in enumerate(pool.map(look, firsts), 1):
            found += _all_of(first, alike[firsts[number - 1].key])
            if progress:
                progress(number, len(firsts))
    found.sort(key=lambda one: one.name)
    return Survey(root, how, tuple(_without_likenesses(found)), monotonic() - started)


def _keyed(file: File) -> Keyed | Found:
    try:
        return Keyed(file, key_of(file.path, file.num_bytes))
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}"
        return Found(file.name, file.path, "unreadable", why, file.num_bytes)


def _by_key(files: Iterable[Keyed]) -> dict[str, list[Keyed]]:
    """Files of the same content together, those with films' own names in order."""
    groups: dict[str, list[Keyed]] = {}
    for one in files:
        groups.setdefault(one.key, []).append(one)
    return groups


def _looked_at(one: Keyed, how: Looking, deadline: float) -> Found:
    """What becomes of a file, whatever is in it."""
    file = one.file
    rest = partial(Found, file.name, file.path, num_bytes=file.num_bytes)
    try:
        film = surveyed(file.path, one.key, file.num_bytes, how, monotonic() > deadline)
    except Refused as reason:
        return rest(kind=reason.kind, why=str(reason))
    except SlowError as error:
        return rest(kind="too slow", why=str(error).removeprefix(f"{file.path} "))
    except VideoError as error:
        return rest(kind="broken", why=str(error).removeprefix(f"{file.path} "))
    except ValueError as error:  # what the reader does not support, with its advice
        return rest(kind="not supported", why=str(error).removeprefix(f"{file.path} "))
    except Exception as error:  # A hostile file may break a decoder anywhere; the walk goes on.
        return rest(kind="broken", why=f"cannot be read ({type(error).__name__}: {error})")
    return rest(kind="film", why="; ".join(film.notes), film=film)


def _all_of(first: Found, group: list[Keyed]) -> list[Found]:
    """The same for every file of the same content; but of a film only one is used."""
    others = [replace(first, name=one.file.name, path=one.file.path) for one in group[1:]]
    if first.kind == "film":
        why = f"the same film as {first.name}"
        others = [replace(one, kind="duplicate", why=why, film=None) for one in others]
    return [first, *others]


def _without_likenesses(found: list[Found]) -> list[Found]:
    """Of films that look the same, the one with most pixels, then frames, then bytes, is used."""
    films = [one for one in found if one.film is not None and one.film.signature]
    films.sort(key=_worth)
    measured = [one.film for one in films if one.film is not None]
    pairs = pairs_alike([f.signature for f in measured], [f.seconds for f in measured])
    better: dict[str, str] = {}
    for i, j in sorted(pairs):
        if films[i].name not in better:
            better.setdefault(films[j].name, films[i].name)
    return [
        replace(one, kind="duplicate", why=f"looks the same as {better[one.name]}", film=None)
        if one.name in better
        else one
        for one in found
    ]


def _worth(one: Found) -> tuple[int, int, int, str]:
    assert one.film is not None
    _, _, width, height = one.film.crop
    return -width * height, -one.film.num_frames, -one.num_bytes, one.name
