"""What is held out of a film is chosen by its content, written down, and held out for ever.

The last fifth of a film's shots is held out; of a single shot the last fifth in time, after a gap.
A film too short for that is held out whole, or not at all, by a fifth's chance in its own key.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kineograph.data.clips import Shot
from kineograph.data.folder.alike import pairs_alike
from kineograph.data.folder.found import FilmSurvey, Survey, clips_in, fifth, without
from kineograph.data.folder.manifest import write_json

VERSION = 1


@dataclass(frozen=True)
class FilmSplit:
    """A film's stretches, as half-open ranges of frames: those to learn from, those to measure by.

    No frame is in both. Black and frozen ones are in neither.
    """

    key: str
    name: str
    training: tuple[Shot, ...]
    held_out: tuple[Shot, ...]


@dataclass(frozen=True)
class Split:
    """Every film of a survey, split; in order of name."""

    films: tuple[FilmSplit, ...]

    @property
    def num_training(self) -> int:
        """How many stretches there are to learn from."""
        return sum(len(film.training) for film in self.films)

    @property
    def num_held_out(self) -> int:
        """How many stretches are held out."""
        return sum(len(film.held_out) for film in self.films)


@dataclass(frozen=True)
class Kept:
    """What is remembered of a film: which frames of how many are held out."""

    key: str
    name: str
    num_frames: int
    seconds: float
    held_out: tuple[Shot, ...]
    signature: bytes


def split(survey: Survey, kept: Path | None = None) -> Split:
    """Each film's training and held-out stretches.

    With `kept`, what was held out before stays so, under any name, beside any other films, and in
    another encoding that looks the same; what is new is added to that file. ValueError if it is no
    split, or if nothing is left to learn from.
    """
    before = _read(kept) if kept is not None and kept.exists() else {}
    known = {**before, **_by_likeness(survey, before)}
    num_frames, films = survey.looking.num_frames, survey.films
    held = {
        film.key: _grown(known[film.key], film)
        if film.key in known
        else held_out_of(film, num_frames)
        for film in films.values()
    }
    new = [film for film in films.values() if film.key not in known]
    held = _balanced(new, held, list(films.values()), num_frames)
    parts = [_parted(name, film, held[film.key]) for name, film in films.items()]
    if not any(clips_in(part.training, num_frames) for part in parts):
        raise ValueError(
            f"{survey.root} leaves nothing to learn from, beside what is held out: add films."
        )
    if kept is not None:
        _write(kept, before, survey, held)
    return Split(tuple(parts))


def held_out_of(film: FilmSurvey, num_frames: int) -> tuple[Shot, ...]:
    """The ranges of a new film that are held out: to its end, whole, or none."""
    dead = (*film.black, *film.frozen)
    shots = [s for s in film.shots if clips_in(without([s], dead), num_frames)]
    if len(shots) > 1:
        return ((shots[-fifth(len(shots))][0], film.num_frames),)
    start, end = max(without(shots, dead), key=lambda part: part[1] - part[0], default=(0, 0))
    first = end - max((end - start) // 5, num_frames)
    if first - gap_of(film) - start >= num_frames:
        return ((first, film.num_frames),)
    return _whole(film) if int(film.key[:8], 16) % 5 == 0 else ()


def gap_of(film: FilmSurvey) -> int:
    """How many frames stay unused where a split goes through a shot: a second, or a tenth."""
    return max(1, min(round(film.fps), film.num_frames // 10))


def _whole(film: FilmSurvey) -> tuple[Shot, ...]:
    return ((0, film.num_frames),)


def _parted(name: str, film: FilmSurvey, held: tuple[Shot, ...]) -> FilmSplit:
    starts = {start for start, _ in film.shots} | {film.num_frames}
    gap = gap_of(film)
    near = [(a - gap * (a not in starts), b + gap * (b not in starts)) for a, b in held]
    training = without(film.stretches, near)
    rest = without(((0, film.num_frames),), held)
    return FilmSplit(film.key, name, training, without(film.stretches, rest))


def _grown(kept: Kept, film: FilmSurvey) -> tuple[Shot, ...]:
    """What is held out of a film that was seen before, now that its frames are so many."""
    if kept.num_frames == film.num_frames:
        return kept.held_out
    ratio = 1.0 if kept.key == film.key else film.num_frames / kept.num_frames
    slack = 0 if kept.key == film.key else gap_of(film)
    ranges = []
    for start, end in kept.held_out:
        to_the_end = end >= kept.num_frames
        last = film.num_frames if to_the_end else int(end * ratio) + 1 + slack
        ranges.append((max(0, int(start * ratio) - slack), min(last, film.num_frames)))
    return tuple((a, b) for a, b in ranges if a < b)


def _by_likeness(survey: Survey, before: dict[str, Kept]) -> dict[str, Kept]:
    """For new films, the one that was split before and looks the same."""
    old = [kept for kept in before.values() if kept.signature]
    new = [f for f in survey.films.values() if f.key not in before and f.signature]
    pairs = pairs_alike(
        [one.signature for one in (*old, *new)], [one.seconds for one in (*old, *new)]
    )
    crossing = [(i, j - len(old)) for i, j in pairs if i < len(old) <= j]
    return {new[j].key: old[i] for i, j in reversed(crossing)}


def _balanced(
    new: list[FilmSurvey],
    held: dict[str, tuple[Shot, ...]],
    films: list[FilmSurvey],
    num_frames: int,
) -> dict[str, tuple[Shot, ...]]:
    """Where chance held out all or nothing, one new film more, or less, is held out."""
    new = sorted(new, key=lambda film: film.key)
    trained = [f for f in films if clips_in(without(f.stretches, held[f.key]), num_frames)]
    spare = [f for f in new if not held[f.key]]
    if not trained and new:
        return {**held, new[-1].key: ()}
    if not any(held.values()) and len(trained) > 1 and spare:
        return {**held, spare[0].key: _whole(spare[0])}
    return held


def _read(path: Path) -> dict[str, Kept]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["version"] != VERSION:
            raise ValueError(f"version {said['version']}")
        films = [_kept_from_json(one) for one in said["films"]]
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ValueError(
            f"{path} is no split that can be read ({error}): mend it, or give another place; "
            "without it, held-out shots would be learned from."
        ) from error
    return {film.key: film for film in films}


def _kept_from_json(said: dict[str, Any]) -> Kept:
    held = tuple((int(a), int(b)) for a, b in said["held_out"])
    return Kept(**{**said, "held_out": held, "signature": base64.b64decode(said["signature"])})


def _write(
    path: Path, before: dict[str, Kept], survey: Survey, held: dict[str, tuple[Shot, ...]]
) -> None:
    """Adds the new films to those that were there, which are not touched."""
    new = {
        film.key: Kept(
            film.key, name, film.num_frames, film.seconds, held[film.key], film.signature
        )
        for name, film in survey.films.items()
        if film.key not in before
    }
    if new or not path.exists():
        films = [_as_json(one) for one in {**before, **new}.values()]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json({"version": VERSION, "films": films}, path)


def _as_json(kept: Kept) -> dict[str, Any]:
    signature = base64.b64encode(kept.signature).decode("ascii")
    return {**vars(kept), "signature": signature}
