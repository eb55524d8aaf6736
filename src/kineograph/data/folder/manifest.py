"""A survey is written as JSON and read back: the same films, in the same order."""

import base64
import json
import os
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from kineograph.data.clips import Shot
from kineograph.data.folder.found import FilmSurvey, Found, Looking, Survey, clips_in

NAME = "kineograph-films.json"
"""In a prepared folder."""
VERSION = 1


def survey_as_json(survey: Survey) -> dict[str, Any]:
    """All of a survey, and its sums."""
    totals = {
        "files": len(survey.found),
        "films": len(survey.films),
        "shots": survey.num_shots,
        "clips": survey.num_clips,
        "hours": survey.hours,
        "kept_bytes": survey.kept_bytes,
        "seconds_to_decode": survey.seconds_to_decode,
    }
    return {
        "version": VERSION,
        "looking": asdict(survey.looking),
        "totals": totals,
        "seconds": survey.seconds,
        "found": [_found_as_json(found) for found in survey.found],
    }


def _found_as_json(found: Found) -> dict[str, Any]:
    film = None if found.film is None else film_as_json(found.film)
    return {
        "name": found.name,
        "kind": found.kind,
        "why": found.why,
        "num_bytes": found.num_bytes,
        "film": film,
    }


def film_as_json(film: FilmSurvey) -> dict[str, Any]:
    """A film's survey in what JSON knows; its rate as "30000/1001"."""
    signature = base64.b64encode(film.signature).decode("ascii")
    return {**asdict(film), "fps": str(film.fps), "signature": signature}


def film_from_json(said: dict[str, Any]) -> FilmSurvey:
    """The inverse of `film_as_json`; KeyError, TypeError or ValueError for anything else."""
    left, top, width, height = said["crop"]
    changed = {
        "fps": Fraction(said["fps"]),
        "crop": (left, top, width, height),
        "signature": base64.b64decode(said["signature"]),
        "notes": tuple(said["notes"]),
        **{name: _ranges(said[name]) for name in ("shots", "black", "frozen")},
    }
    return FilmSurvey(**{**said, **changed})


def _ranges(said: list[list[int]]) -> tuple[Shot, ...]:
    return tuple((int(start), int(end)) for start, end in said)


def write_json(value: object, path: Path) -> None:
    """Written aside, then renamed. OSError if the disk refuses it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        aside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def is_prepared(path: Path) -> bool:
    """Whether the path is a folder that `prepare` has made."""
    return (path / NAME).is_file()


def read_survey(folder: Path, looking: Looking | None = None) -> Survey:
    """The survey of a prepared folder, its clips counted anew for `looking`.

    Films keep the size at which they were prepared. ValueError if it is damaged.
    """
    path = folder / NAME
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["version"] != VERSION:
            raise ValueError(f"version {said['version']}")
        kept = Looking(**said["looking"])
        how = replace(looking or kept, short_px=kept.short_px)
        found = [_found_from_json(one, folder, how) for one in said["found"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): prepare the folder anew.") from error
    return Survey(folder, how, tuple(found), float(said["seconds"]))


def _found_from_json(said: dict[str, Any], folder: Path, how: Looking) -> Found:
    film = None if said["film"] is None else film_from_json(said["film"])
    if film is not None:
        film = replace(film, num_clips=clips_in(film.stretches, how.num_frames))
    return Found(**{**said, "path": folder / said["name"], "film": film})
