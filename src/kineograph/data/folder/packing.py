"""Each film is decoded once into a .npy beside a .json that tells its shots; whole, or not at all.

Both are named by the film's content and by the size at which it is kept, so that they are found
again wherever the film is, and whatever it is called.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from av.video.frame import VideoFrame

from kineograph import video
from kineograph.data.folder import manifest
from kineograph.data.folder.alike import key_of
from kineograph.data.folder.checking import Progress, survey
from kineograph.data.folder.filming import length_of, whole
from kineograph.data.folder.found import FilmSurvey, Found, Looking, Survey, clips_in
from kineograph.data.folder.looking import displayed
from kineograph.data.folder.opening import Refused
from kineograph.data.footage import cache_folder
from kineograph.video.small import shrinker

MOST_BYTES = 50 * 10**9
_SPARE_BYTES = 10**9
"""So much stays free on the disk."""


@dataclass(frozen=True)
class Packed:
    """Films that are decoded: their survey, all looked at whole, and each one's frames by key."""

    survey: Survey
    arrays: dict[str, Path]
    """uint8 RGB, `n h w 3`, as .npy."""


def prepared(
    path: str | Path,
    looking: Looking | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Packed:
    """The films of a folder, ready to draw clips from.

    A folder that `prepare` made is read; any other (or one film) is checked and decoded into the
    cache, once. ValueError where nothing in it can be used, or the disk has no room.
    """
    if manifest.is_prepared(Path(path)):
        found = manifest.read_survey(Path(path), looking)
        arrays = {f.key: _array(Path(path), f, found.looking) for f in found.films.values()}
        lost = [array.name for array in arrays.values() if not array.is_file()]
        if lost:
            raise ValueError(f"{path} lacks {lost[0]}: prepare the folder anew.")
        return Packed(found, arrays)
    return prepare(survey(path, looking), cache or cache_folder() / "films", progress=progress)


def prepare(
    given: Survey, folder: Path, most_bytes: int = MOST_BYTES, progress: Progress | None = None
) -> Packed:
    """Decodes every film of a survey into the folder, but those that are there already.

    A film that turns out to be of no use is left out, with the reason. ValueError before anything
    is written if all would take more than most_bytes, or than the disk has; and if nothing is left.
    """
    how = given.looking
    if manifest.is_prepared(given.root):
        raise ValueError(f"{given.root} is prepared already: give the folder of films.")
    folder.mkdir(parents=True, exist_ok=True)
    check_room(given, folder, most_bytes)
    found, done, total = [], 0, len(given.films)
    for one in given.found:
        if one.kind == "film" and one.film is not None:
            one = _one(one, one.film, folder, how, most_bytes)
            done += 1
            if progress:
                progress(done, total)
        found.append(one)
    packed = replace(given, found=tuple(found))
    if not packed.films:
        raise ValueError(f"{given.root} holds no film that can be used: see `kineo dataset check`.")
    return Packed(packed, {f.key: _array(folder, f, how) for f in packed.films.values()})


def check_room(given: Survey, folder: Path, most_bytes: int) -> None:
    """ValueError if what is still to be decoded is too much for the limit or the disk."""
    short_px = given.looking.short_px
    missing = [f for f in given.films.values() if _kept(folder, f, given.looking) is None]
    needed = sum(film.kept_bytes(short_px) for film in missing)
    free = shutil.disk_usage(folder).free - _SPARE_BYTES
    if needed > most_bytes:
        raise ValueError(
            f"The films of {given.root} would take {needed / 1e9:.1f} GB, and the limit is "
            f"{most_bytes / 1e9:.1f}: give a smaller size, fewer films or a higher limit."
        )
    if needed > free:
        raise ValueError(
            f"The films of {given.root} would take {needed / 1e9:.1f} GB, and the disk of {folder} "
            f"has room for {max(0, free) / 1e9:.1f}: free some, or give another place."
        )


def write_manifest(packed: Packed, folder: Path) -> None:
    """What makes the folder one that `prepared` reads."""
    manifest.write_json(manifest.survey_as_json(packed.survey), folder / manifest.NAME)


def _array(folder: Path, film: FilmSurvey, how: Looking) -> Path:
    return folder / f"{film.key}-{how.short_px}.npy"


def _facts(folder: Path, film: FilmSurvey, how: Looking) -> Path:
    return _array(folder, film, how).with_suffix(".json")


def _kept(folder: Path, film: FilmSurvey, how: Looking) -> FilmSurvey | None:
    """What was told of the film when it was decoded, None if it is not there (or not readable)."""
    try:
        said = json.loads(_facts(folder, film, how).read_text(encoding="utf-8"))
        exact = manifest.film_from_json(said)
    except (OSError, KeyError, TypeError, ValueError):
        return None
    clips = clips_in(exact.stretches, how.num_frames)
    there = _array(folder, film, how).is_file()
    return replace(exact, num_clips=clips) if there else None


def _one(one: Found, film: FilmSurvey, folder: Path, how: Looking, most_bytes: int) -> Found:
    """The film, decoded and looked at whole, or why it is of no use after all."""
    kept = _kept(folder, film, how)
    if kept is not None:
        return replace(one, film=kept)
    try:
        exact = _decoded(one, film, folder, how, most_bytes)
    except Refused as reason:
        return replace(one, kind=reason.kind, why=str(reason), film=None)
    manifest.write_json(manifest.film_as_json(exact), _facts(folder, film, how))
    return replace(one, film=exact, why="; ".join(exact.notes))


def _decoded(
    one: Found, film: FilmSurvey, folder: Path, how: Looking, most_bytes: int
) -> FilmSurvey:
    if key_of(one.path, one.num_bytes) != film.key:
        raise Refused("broken", "has changed since it was checked")
    array = _array(folder, film, how)
    aside = array.with_name(f".{array.name}.{os.getpid()}.tmp")
    shape = film.kept_size(how.short_px)
    try:
        with video.open_stream(one.path) as opened, aside.open("wb") as file:
            write_header(file, 0, shape)
            frames = _written(opened, film, shape, file, most_bytes)
            length = length_of(opened.info, one.num_bytes)
            exact = whole(opened, film.key, length, how, frames=frames)
            assert exact.looked == "whole"
            file.seek(0)
            write_header(file, exact.num_frames, shape)
        aside.replace(array)
    except video.VideoError as error:
        raise Refused("broken", str(error)) from error
    finally:
        aside.unlink(missing_ok=True)
    return replace(exact, crop=film.crop)


def write_header(file: BinaryIO, num_frames: int, shape: tuple[int, int]) -> None:
    """The head of a .npy; NumPy leaves room in it for the first number to grow."""
    said = {"descr": "|u1", "fortran_order": False, "shape": (num_frames, *shape, 3)}
    np.lib.format.write_array_header_1_0(file, said)


def _written(
    opened: video.Film, film: FilmSurvey, shape: tuple[int, int], file: BinaryIO, most_bytes: int
) -> Iterator[VideoFrame]:
    """The frames; each is written, small and cropped, before it goes on."""
    left, top, crop_width, crop_height = film.crop
    across, down = shape[1] / crop_width, shape[0] / crop_height
    width, height = displayed(opened.info)
    size = max(shape[1], round(width * across)), max(shape[0], round(height * down))
    x = min(round(left * across), size[0] - shape[1])
    y = min(round(top * down), size[1] - shape[0])
    shrink = shrinker(opened.info, *size)
    for frame in opened.frames():
        picture = shrink(frame)[y : y + shape[0], x : x + shape[1]]
        if file.tell() + picture.nbytes > most_bytes:
            raise Refused("too large", "holds more frames than it says, and than there is room for")
        file.write(picture.tobytes())
        yield frame
