"""Films are decoded once, small; clips of all of them are functions of (seed, index)."""

import contextlib
import io
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from awkward import made, moving
from kineograph import video
from kineograph.cli import main
from kineograph.data import folder
from kineograph.data.clips import ClipOptions
from kineograph.data.folder import Found, Looking

LOOKING = Looking(num_frames=8, size_px=32, short_px=48, num_workers=1)
OPTIONS = ClipOptions(num_frames=8, size_px=32)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of films of several sizes, and a file that is none."""
    root = tmp_path_factory.mktemp("mixed")
    shots = np.concatenate([moving(12, 64, 48, seed) for seed in range(6)])
    made(root / "six shots.mp4", shots)
    bars = ((0, 0), (24, 24), (0, 0), (0, 0))
    made(root / "letterbox.mp4", np.pad(moving(24, 160, 72, 10), bars))
    made(root / "turned 90.mp4", moving(24, 64, 48, 11), rotation=90)
    made(root / "size 320x40.mkv", moving(24, 320, 40, 12), codec="ffv1", pix_fmt="yuv444p")
    (root / "notes.txt").write_text("no film")
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
    facts = next(cache.glob("*.json"))
    told = facts.read_text()
    facts.write_text("{")
    folder.prepared(mixed, LOOKING, cache)
    assert {path.name for path in cache.iterdir()} == set(before)
    assert json.loads(facts.read_text())["shots"] == json.loads(told)["shots"]


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
    return found if film is None else replace(found, film=replace(film, key="0" * 32))


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
