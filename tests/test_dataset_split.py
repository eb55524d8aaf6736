"""What is held out stays held out, whatever films are added, renamed or encoded anew."""

import hashlib
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awkward import made, moving
from kineograph.data import folder
from kineograph.data.folder import FilmSurvey, Found, Looking, Survey
from kineograph.data.folder.found import clips_in, without
from kineograph.data.folder.splitting import gap_of, held_out_of

LOOKING = Looking(num_frames=8, size_px=32, short_px=48, num_workers=1)
KEYS = [hashlib.sha256(str(n).encode()).hexdigest()[:32] for n in range(40)]


def film_of(
    key: str, cuts: list[int], num_frames: int, dead: tuple[tuple[int, int], ...]
) -> FilmSurvey:
    """A film as if it had been looked at."""
    edges = sorted({0, num_frames, *(cut for cut in cuts if 0 < cut < num_frames)})
    shots = tuple(pairwise(edges))
    return FilmSurvey(
        key, num_frames, Fraction(24), 64, 48, (0, 0, 64, 48), shots, (), dead, len(shots), 1,
        "whole", 1.0,
    )  # fmt: skip


def survey_of(films: list[FilmSurvey]) -> Survey:
    """A survey of such films, named by their keys."""
    found = [Found(f.key, Path(f.key), "film", "", 1, f) for f in films]
    return Survey(Path("films"), LOOKING, tuple(sorted(found, key=lambda f: f.name)), 0.0)


# A film as (key, cuts, number of frames, first frozen frame, number of frozen frames).
FILMS = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.lists(st.integers(1, 299), max_size=9),
        st.integers(8, 300),
        st.integers(0, 290),
        st.integers(0, 60),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda film: film[0],
)
Drawn = list[tuple[str, list[int], int, int, int]]


def made_of(drawn: Drawn) -> list[FilmSurvey]:
    """The films, as if they had been looked at."""
    found = []
    for key, cuts, num_frames, start, length in drawn:
        end = min(num_frames, start + length)
        found.append(film_of(key, cuts, num_frames, ((start, end),) if start < end else ()))
    return found


def frames_in(ranges: tuple[tuple[int, int], ...]) -> set[int]:
    return {n for start, end in ranges for n in range(start, end)}


@given(FILMS)
@settings(max_examples=150, deadline=None)
def test_no_training_clip_overlaps_what_is_held_out(drawn: Drawn) -> None:
    found = made_of(drawn)
    try:
        split = folder.split(survey_of(found))
    except ValueError:  # nothing to learn from
        assert not any(clips_in(film.stretches, 8) > 1 for film in found)
        return
    by_key = {film.key: film for film in found}
    for part in split.films:
        film = by_key[part.key]
        training, held = frames_in(part.training), frames_in(part.held_out)
        assert not training & held
        assert training | held <= frames_in(film.stretches)
        starts = {start for start, _ in film.shots}
        for start, end in part.training:
            assert not any(start < cut < end for cut in starts)
            # Within one shot, at least a gap is between what is learned and what is held out.
            shot = next((a, b) for a, b in film.shots if a <= start < b)
            rest = [n for n in held if shot[0] <= n < shot[1]]
            assert not rest or min(rest) - end >= gap_of(film)


@given(FILMS, st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_adding_films_never_moves_a_frame_from_held_out_to_training(
    tmp_path_factory: pytest.TempPathFactory, drawn: Drawn, count: int
) -> None:
    kept, found = tmp_path_factory.mktemp("kept") / "split.json", made_of(drawn)
    try:
        before = folder.split(survey_of(found[:count]), kept)
    except ValueError:
        return
    after = folder.split(survey_of(found), kept)
    held = {part.key: part for part in after.films}
    for part in before.films:
        assert held[part.key].held_out == part.held_out
        assert held[part.key].training == part.training


def test_what_was_held_out_stays_so_if_shots_are_told_otherwise(tmp_path: Path) -> None:
    kept = tmp_path / "split.json"
    first = film_of(KEYS[0], [20 * n for n in range(1, 10)], 200, ())
    (before,) = folder.split(survey_of([first]), kept).films
    assert frames_in(before.held_out) == set(range(160, 200))
    # Looked at again: other cuts, and more frames than the header had said.
    again = film_of(KEYS[0], [50, 100, 190], 230, ())
    assert held_out_of(again, 8) == ((190, 230),)
    (after,) = folder.split(survey_of([again]), kept).films
    assert frames_in(after.held_out) == set(range(160, 230))
    assert frames_in(after.training) == set(range(160 - gap_of(again)))


def test_the_last_fifth_of_the_shots_is_held_out() -> None:
    film = film_of(KEYS[0], [20 * n for n in range(1, 10)], 200, ())
    assert held_out_of(film, 8) == ((160, 200),)
    one = film_of(KEYS[0], [], 200, ())
    assert held_out_of(one, 8) == ((160, 200),)
    (part,) = folder.split(survey_of([one])).films
    assert part.training == ((0, 160 - gap_of(one)),)
    assert part.held_out == ((160, 200),)
    # The last shots are too short for a clip; the one before them is held out with them.
    assert held_out_of(film_of(KEYS[0], [20, 40, 45], 50, ()), 8) == ((20, 50),)


def test_of_films_too_short_to_be_split_some_are_held_out_whole() -> None:
    short = [film_of(key, [], 12, ()) for key in KEYS]
    split = folder.split(survey_of(short))
    held = [part for part in split.films if part.held_out]
    assert 2 <= len(held) <= 20
    assert all(not part.training for part in held)
    two = folder.split(survey_of(short[:2]))
    assert (two.num_training, two.num_held_out) == (1, 1)
    assert folder.split(survey_of(short[:1])).num_training == 1


def test_a_film_in_another_encoding_stays_held_out(tmp_path: Path) -> None:
    pictures = moving(40, 96, 72, 200)
    small = np.stack([cv2.resize(picture, (64, 48)) for picture in pictures])
    made(tmp_path / "first.mp4", pictures)
    made(tmp_path / "again.avi", small, codec="mpeg4", options={"b": "400000"})
    kept = tmp_path / "split.json"
    (first,) = folder.split(folder.survey(tmp_path / "first.mp4", LOOKING), kept).films
    (again,) = folder.split(folder.survey(tmp_path / "again.avi", LOOKING), kept).films
    assert first.key != again.key
    assert frames_in(first.held_out) <= frames_in(again.held_out)
    assert not frames_in(first.held_out) & frames_in(again.training)


def test_a_damaged_split_is_not_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "split.json"
    kept.write_text("{}")
    with pytest.raises(ValueError, match="no split that can be read"):
        folder.split(survey_of([film_of(KEYS[0], [], 200, ())]), kept)
    assert kept.read_text() == "{}"


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), max_size=5),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), max_size=5),
)
def test_taking_away_is_as_with_sets(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    edges = sorted({n for start, length in a for n in (start, start + length)})
    ranges = list(zip(edges[::2], edges[1::2], strict=False))
    taken = [(start, start + length) for start, length in b]
    left = frames_in(tuple(ranges)) - frames_in(tuple(taken))
    assert frames_in(without(ranges, taken)) == left
    assert sum(end - start for start, end in without(ranges, taken)) == len(left)
