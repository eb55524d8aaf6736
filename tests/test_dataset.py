"""A folder is checked whatever is in it; its split holds for ever; its clips are functions."""

import hashlib
import io
import json
import shutil
import time
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awkward import folder_of
from kineograph import video
from kineograph.data import folder
from kineograph.data.clips import ClipOptions
from kineograph.data.folder import FilmSurvey, Looking
from kineograph.data.folder.alike import pairs_alike
from kineograph.data.folder.bars import crop_of
from kineograph.data.folder.filming import surveyed
from kineograph.data.folder.manifest import film_as_json, film_from_json
from kineograph.data.folder.opening import Refused, check_content
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


def test_a_folder_without_films_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    (tmp_path / "empty.mp4").touch()
    found = folder.survey(tmp_path, LOOKING)
    assert (found.num_clips, found.hours, len(found.found)) == (0, 0, 2)
    with pytest.raises(ValueError, match="no film that can be used"):
        folder.prepared(tmp_path, LOOKING, tmp_path / "cache")
