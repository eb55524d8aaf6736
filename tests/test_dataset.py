"""A folder is checked whatever is in it; its split holds for ever; its clips are functions."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import time
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awkward import folder_of
from kineograph import video
from kineograph.cli import main
from kineograph.data import folder
from kineograph.data.clips import ClipOptions
from kineograph.data.folder import FilmSurvey, Found, Looking, Survey
from kineograph.data.folder.alike import pairs_alike
from kineograph.data.folder.bars import crop_of
from kineograph.data.folder.filming import surveyed
from kineograph.data.folder.found import clips_in, without
from kineograph.data.folder.manifest import film_as_json, film_from_json
from kineograph.data.folder.opening import Refused, check_content
from kineograph.data.folder.splitting import gap_of, held_out_of
from kineograph.video.small import shrinker, windows

LOOKING = Looking(num_frames=8, size_px=32, short_px=48, num_workers=1)
OPTIONS = ClipOptions(num_frames=8, size_px=32)


class Checked:
    """The awkward folder and its one check, shared by the tests that look at it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.expected = folder_of(root)
        self.before = stamps(root)
        started = time.process_time()
        self.survey = folder.survey(root, LOOKING)
        self.cpu_seconds = time.process_time() - started
        self.found = {found.name: found for found in self.survey.found}

    def film(self, name: str) -> FilmSurvey:
        """The film of this name, which must be used."""
        film = self.found[name].film
        assert film is not None, self.found[name]
        return film


def stamps(root: Path) -> dict[str, tuple[int, int, str]]:
    """Size, time of change and content of every file; of the 8 GB ones, their first MB."""
    told = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            about = path.stat()
            with path.open("rb") as file:
                digest = hashlib.sha256(file.read(2**20)).hexdigest()
            told[str(path)] = (about.st_size, about.st_mtime_ns, digest)
    return told


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    return Checked(tmp_path_factory.mktemp("awkward"))


def test_every_one_of_200_awkward_files_is_accounted_for(checked: Checked) -> None:
    assert len(checked.expected) >= 200
    assert [f.name for f in checked.survey.found] == sorted(checked.expected)
    wrong = {n: f for n, f in checked.found.items() if f.kind not in checked.expected[n]}
    assert not wrong, wrong
    for found in checked.survey.found:
        assert (found.film is not None) == (found.kind == "film")
        assert found.why or found.film
        assert "\n" not in found.why
        assert not found.why.startswith("cannot be read (")  # each reason was foreseen


def test_the_check_takes_less_than_a_minute_of_one_core(checked: Checked) -> None:
    assert checked.cpu_seconds < 60


def test_the_check_changes_no_file(checked: Checked) -> None:
    assert stamps(checked.root) == checked.before


def test_rates_are_told_exactly(checked: Checked) -> None:
    for rate in ("24000/1001", "15/2", "60000/1001", "30000/1001", "25/2", "120000/1001", "240"):
        assert checked.film(f"rate {rate.replace('/', '-')}.mp4").fps == Fraction(rate)
    assert "uneven times" in checked.film("uneven.mp4").notes
    assert "uneven times" in checked.film("uneven.mkv").notes
    assert "uneven times" not in checked.film("rate 24000-1001.mp4").notes


def test_films_are_measured_as_they_are_shown(checked: Checked) -> None:
    turned = checked.film("turned 90.mp4")
    assert (turned.width, turned.height) == (48, 64)
    assert "turned upright" in turned.notes


def test_shots_black_and_frozen_stretches_are_found(checked: Checked) -> None:
    assert checked.film("six shots.mp4").shots == tuple((12 * n, 12 * n + 12) for n in range(6))
    half = checked.film("half black.mp4")
    assert half.black == ((0, 24),)
    assert half.stretches == ((24, 48),)
    still = checked.film("half still.mp4")
    assert len(still.frozen) == 1
    assert still.frozen[0][0] in range(25, 29)
    assert still.frozen[0][1] == 48
    assert checked.film("six shots.mp4").frozen == ()


@pytest.mark.parametrize(
    ("name", "true"),
    [
        ("letterbox", (0, 24, 160, 72)),
        ("pillarbox", (32, 0, 96, 120)),
        ("windowbox", (32, 16, 96, 88)),
    ],
)
def test_black_bars_are_cropped_to_a_pixel_or_two(
    checked: Checked, name: str, true: tuple[int, int, int, int]
) -> None:
    left, top, width, height = checked.film(f"{name}.mp4").crop
    x, y, wide, tall = true
    assert x <= left <= x + 3
    assert y <= top <= y + 3
    assert x + wide - 3 <= left + width <= x + wide
    assert y + tall - 3 <= top + height <= y + tall


def test_no_bars_are_seen_in_a_dark_scene() -> None:
    y, x = np.mgrid[:90, :160]
    globe = (np.hypot(y - 45, x - 80) < 30).astype(np.uint8) * 200
    assert crop_of([globe] * 8, 160, 90) == (0, 0, 160, 90)
    assert crop_of([np.zeros((90, 160), np.uint8)], 160, 90) == (0, 0, 160, 90)


def test_films_of_one_camera_are_not_taken_for_copies(checked: Checked) -> None:
    assert all(checked.found[f"camera {n}.mp4"].kind == "film" for n in range(3))
    again = checked.found["copies/again small.avi"]
    assert again.why == "looks the same as copies/a first.mp4"
    assert checked.found["copies/copy 0.mov"].why == "the same film as copies/a first.mp4"


def test_what_does_not_change_is_like_nothing() -> None:
    still = np.full((16, 64), 7, np.uint8).tobytes()
    assert pairs_alike([still, still], [1.0, 1.0]) == []
    assert pairs_alike([], []) == []


def test_a_survey_is_the_same_each_time(checked: Checked, tmp_path: Path) -> None:
    names = ["six shots.mp4", "letterbox.mp4", "cut off/60 divx.avi"]
    for name in names:
        shutil.copy(checked.root / name, tmp_path / Path(name).name)
    once, again = (folder.survey(tmp_path, LOOKING) for _ in range(2))
    for found, other in zip(once.found, again.found, strict=True):
        assert found.film
        assert other.film
        assert replace(found.film, seconds_to_decode=0.0) == replace(
            other.film, seconds_to_decode=0.0
        )


def test_one_film_may_be_given_alone(checked: Checked) -> None:
    alone = folder.survey(checked.root / "six shots.mp4", LOOKING)
    assert list(alone.films) == ["six shots.mp4"]
    assert (alone.num_shots, alone.num_clips) == (6, 6)
    with pytest.raises(ValueError, match="cannot be reached"):
        folder.survey(checked.root / "no such film.mp4")


def test_a_long_film_is_sampled_and_a_late_one_only_opened(checked: Checked) -> None:
    name = "six shots.mp4"
    sampling = replace(LOOKING, whole_px=0, small_bytes=0)
    sampled = surveyed(checked.root / name, "k", 1, sampling, False)
    assert sampled.looked == "sampled"
    assert sampled.num_frames == 72
    assert sampled.shots == ((0, 72),)
    assert 3 <= sampled.num_shots <= 12
    late = surveyed(checked.root / name, "k", 1, LOOKING, True)
    assert (late.looked, late.num_frames) == ("header", 72)
    hurried = surveyed(checked.root / name, "k", 1, replace(LOOKING, seconds_per_film=1e-9), False)
    assert hurried.looked == "sampled"
    with pytest.raises(Refused, match="not opened within"):
        check_content(checked.root / name, 32, 1e-9)
    with pytest.raises(Refused, match="black"):
        surveyed(checked.root / "black.mp4", "k", 1, sampling, False)


def test_a_sampled_film_looks_like_its_whole(checked: Checked) -> None:
    path = checked.root / "copies" / "a first.mp4"
    whole = surveyed(path, "k", 1, LOOKING, False)
    sampled = surveyed(path, "k", 1, replace(LOOKING, whole_px=0, small_bytes=0), False)
    assert pairs_alike([whole.signature, sampled.signature], [1.0, 1.0]) == [(0, 1)]


def test_windows_are_the_films_own_frames(checked: Checked) -> None:
    path = checked.root / "six shots.mp4"
    every = [frame.to_ndarray() for frame in video.source_frames(path)]
    at = [Fraction(0), Fraction(1), Fraction(99)]
    found = [[frame.to_ndarray() for frame in window] for window in windows(path, at, 3)]
    assert [len(window) for window in found] == [3, 3, 0]
    np.testing.assert_array_equal(found[0], every[:3])
    np.testing.assert_array_equal(found[1], every[24:27])


@pytest.mark.parametrize(
    "name", ["six shots.mp4", "turned 90.mp4", "deep.mkv", "jpeg.avi", "ffv1.mkv"]
)
def test_small_pictures_have_the_colours_of_large_ones(checked: Checked, name: str) -> None:
    with video.open_stream(checked.root / name) as film:
        shrink = shrinker(film.info, film.info.width // 2, film.info.height // 2)
        frame = next(film.frames())
        small = shrink(frame).astype(np.float64)
        large = (video.rgb_frame(frame, film.info).numpy().astype(np.float64) + 1) * 127.5
    means = large.reshape(3, large.shape[1] // 2, 2, large.shape[2] // 2, 2).mean((2, 4))
    assert np.abs(small - means.transpose(1, 2, 0)).mean() < 1.5


def test_json_gives_the_film_back(checked: Checked) -> None:
    film = checked.film("letterbox.mp4")
    assert film_from_json(json.loads(json.dumps(film_as_json(film)))) == film
    said = folder.survey_as_json(checked.survey)
    text = json.dumps(said)
    assert str(checked.root) not in text
    assert Counter(one["kind"] for one in said["found"])["film"] == said["totals"]["films"]


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


def test_a_film_in_another_encoding_stays_held_out(checked: Checked, tmp_path: Path) -> None:
    for name in ("a first.mp4", "again small.avi"):
        (tmp_path / name).mkdir()
        shutil.copy(checked.root / "copies" / name, tmp_path / name)
    kept = tmp_path / "split.json"
    (first,) = folder.split(folder.survey(tmp_path / "a first.mp4", LOOKING), kept).films
    (again,) = folder.split(folder.survey(tmp_path / "again small.avi", LOOKING), kept).films
    assert first.key != again.key
    assert frames_in(first.held_out) <= frames_in(again.held_out)
    assert not frames_in(first.held_out) & frames_in(again.training)


def test_a_damaged_split_is_not_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "split.json"
    kept.write_text("{}")
    with pytest.raises(ValueError, match="no split that can be read"):
        folder.split(survey_of([film_of(KEYS[0], [], 200, ())]), kept)
    assert kept.read_text() == "{}"


@pytest.fixture(scope="module")
def mixed(checked: Checked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of films of several sizes."""
    root = tmp_path_factory.mktemp("mixed")
    for name in ("six shots.mp4", "letterbox.mp4", "turned 90.mp4", "size 320x40.mkv", "song.mp3"):
        shutil.copy(checked.root / name, root / name)
    return root


@pytest.fixture(scope="module")
def packed(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> folder.Packed:
    return folder.prepared(mixed, LOOKING, tmp_path_factory.mktemp("cache"))


def test_films_are_kept_small_cropped_and_upright(packed: folder.Packed, mixed: Path) -> None:
    shapes = {}
    for name, film in packed.survey.films.items():
        array = np.load(packed.arrays[film.key], mmap_mode="r")
        assert array.dtype == np.uint8
        assert array.shape == (film.num_frames, *film.kept_size(48), 3)
        assert array.nbytes == film.kept_bytes(48)
        assert film.looked == "whole"
        shapes[name] = array.shape
    assert shapes["turned 90.mp4"] == (24, 64, 48, 3)
    assert shapes["size 320x40.mkv"] == (24, 40, 320, 3)
    left, top, width, height = packed.survey.films["letterbox.mp4"].crop
    shown = video.read(mixed / "letterbox.mp4").frames[
        :, :, top : top + height, left : left + width
    ]
    kept = np.load(packed.arrays[packed.survey.films["letterbox.mp4"].key])
    means = (shown.mean((2, 3)).numpy() + 1) * 127.5
    np.testing.assert_allclose(kept.mean((1, 2)), means, atol=2)
    assert kept.min((0, 2, 3)).shape == (kept.shape[1],)
    assert kept[:, :2].mean() > 40  # no bar is left


def test_the_cache_is_used_again_and_nothing_lies_beside(
    packed: folder.Packed, mixed: Path
) -> None:
    cache = next(iter(packed.arrays.values())).parent
    before = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(before) == 2 * len(packed.arrays)
    again = folder.prepared(mixed, LOOKING, cache)
    assert again.arrays == packed.arrays
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == before


def test_a_stopped_decoding_leaves_nothing(mixed: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.prepare(folder.survey(mixed, LOOKING), tmp_path, progress=stop)
    assert len(list(tmp_path.iterdir())) == 2  # the one film that was done, with what is known
    survey = folder.survey(mixed, LOOKING)
    changed = replace(survey, found=tuple(_other_key(found) for found in survey.found))
    with pytest.raises(ValueError, match="no film that can be used"):
        folder.prepare(changed, tmp_path / "changed")
    assert list((tmp_path / "changed").iterdir()) == []


def _other_key(found: Found) -> Found:
    film = found.film
    return found if film is None else replace(found, film=replace(film, key=KEYS[0]))


def test_what_is_too_much_is_refused_beforehand(mixed: Path, tmp_path: Path) -> None:
    found = folder.survey(mixed, LOOKING)
    with pytest.raises(ValueError, match="the limit is"):
        folder.prepare(found, tmp_path, most_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_clips_are_functions_of_seed_and_index(packed: folder.Packed) -> None:
    split = folder.split(packed.survey)
    source = folder.training_source(packed, split, OPTIONS)
    first = source(3, 5)
    assert first.shape == (8, 32, 32, 3)
    assert first.dtype == np.uint8
    source(3, 6)
    np.testing.assert_array_equal(first, source(3, 5))
    np.testing.assert_array_equal(first, source.film_of(3, 5)(3, 5))
    assert (first != source(3, 6)).any()
    assert (first != source(4, 5)).any()


def test_films_of_all_sizes_mix(packed: folder.Packed) -> None:
    source = folder.training_source(packed, folder.split(packed.survey), OPTIONS)
    sizes = Counter(source.film_of(0, n).footage.shape[1:3] for n in range(400))
    shares = source.weights / source.weights.sum()
    assert len(sizes) == 4
    counts = Counter(int(n) for n in np.random.default_rng(0).choice(4, 400, p=shares))
    assert max(sizes.values()) < 1.3 * max(counts.values())


def test_held_out_clips_are_of_held_out_frames(packed: folder.Packed) -> None:
    split = folder.split(packed.survey)
    clips = folder.held_out_clips(packed, split, 8, 32)
    assert clips
    assert all(clip.shape == (8, 32, 32, 3) for clip in clips)
    with pytest.raises(ValueError, match="None of the"):
        folder.training_source(packed, split, replace(OPTIONS, num_frames=500))


def run(*words: str) -> tuple[int, str]:
    """Exit code and what the command says."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            main(["dataset", *words])
    except SystemExit as stopped:
        return int(stopped.code or 0), said.getvalue()
    return 0, said.getvalue()


SMALL = ["--num-frames", "8", "--size-px", "32", "--short-px", "48"]


def test_the_command_tells_all_and_prepares(mixed: Path, tmp_path: Path) -> None:
    report, out = tmp_path / "report.json", tmp_path / "out"
    code, said = run("check", str(mixed), *SMALL, "--json", str(report))
    assert code == 0
    assert "5 files, 4 used: 9 shots, 15 clips of 8 frames" in " ".join(said.split())
    assert json.loads(report.read_text())["totals"]["clips"] == 15
    code, said = run("prepare", str(mixed), *SMALL, "--out", str(out))
    assert code == 0, said
    assert (out / "split.json").is_file()
    again = folder.prepared(out, LOOKING)
    assert again.survey.num_clips == 15
    kept = folder.split(again.survey, out / "split.json")
    source = folder.training_source(again, kept, OPTIONS)
    assert source(0, 0).shape == (8, 32, 32, 3)
    assert run("check", str(out), *SMALL)[0] == 0
    next(out.glob("*.npy")).unlink()
    with pytest.raises(ValueError, match="lacks"):
        folder.prepared(out)


def test_the_command_survives_awkward_names(checked: Checked, capsys: Any) -> None:
    from rich.console import Console

    from kineograph.cli.dataset import sentence_of, table_of

    written = io.BytesIO()
    console = Console(file=io.TextIOWrapper(written, encoding="utf-8"), width=200)
    console.print(table_of(checked.survey))
    console.print(sentence_of(checked.survey))
    console.file.flush()
    text = written.getvalue().decode("utf-8")
    assert "\x1b[31m" not in text
    assert "[red]markup[bold].mp4" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["check", "no such folder"], "cannot be reached"),
        (["check", ".", "--num-frames", "1"], "a clip needs 2 frames"),
        (["check", ".", "--seconds", "0"], "give more than 0"),
        (["prepare", ".", "--out", "."], "the folder of films itself"),
        (["prepare", ".", "--out", "x", "--most-gb", "0"], "give more than 0"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run(*words)
    assert code == 2
    assert sentence in " ".join(said.split())
    assert os.listdir(tmp_path) == []


def test_a_folder_without_films_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    (tmp_path / "empty.mp4").touch()
    found = folder.survey(tmp_path, LOOKING)
    assert (found.num_clips, found.hours, len(found.found)) == (0, 0, 2)
    with pytest.raises(ValueError, match="no film that can be used"):
        folder.prepared(tmp_path, LOOKING, tmp_path / "cache")


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
