"""Clips are functions of (seed, index), the split is by shot, and footage is checked by hash."""

import io
import itertools
import json
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from kineograph.data import augment, clips, footage, loader, motion, shots, simulate, weather
from kineograph.data.augment import Frames
from kineograph.data.loader import Batches, Reuse

OPTIONS = clips.ClipOptions(num_frames=6, size_px=32)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> clips.ClipSource:
    """A film of 60 smooth frames in three shots, the frame number written in its blue channel."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (60, 9, 16, 3), dtype=np.uint8)
    frames = np.stack([cv2.resize(f, (80, 45), interpolation=cv2.INTER_CUBIC) for f in frames])
    frames[..., 2] = np.arange(60)[:, None, None] * 4
    path = tmp_path_factory.mktemp("film") / "film.npy"
    np.save(path, frames)
    return clips.ClipSource(np.load(path, mmap_mode="r"), [(0, 20), (20, 40), (40, 44)], OPTIONS)


def test_the_split_is_by_shot_and_ordered() -> None:
    training, held_out = shots.training_shots(), shots.held_out_shots()
    assert training + held_out == shots.all_shots()
    assert len(held_out) == -(-len(shots.all_shots()) // 5)
    assert max(end for _, end in training) <= min(start for start, _ in held_out)
    assert all(287 <= start < end <= 11762 for start, end in shots.all_shots())
    pairs = itertools.pairwise(shots.all_shots())
    assert all(before[1] <= after[0] for before, after in pairs)


def test_cuts_part_a_film_into_shots() -> None:
    is_cut = np.zeros(10, bool)
    is_cut[[3, 4]] = True
    assert shots.shots_between(is_cut) == [(0, 4), (5, 10)]


@pytest.mark.parametrize("kind", sorted(simulate.KINDS))
def test_a_clip_depends_on_seed_and_index_alone(source: clips.ClipSource, kind: str) -> None:
    def make(seed: int, index: int) -> np.ndarray:
        return simulate.mixed(source, seed, index, {kind: 1.0})

    first = make(3, 5)
    assert first.shape == (6, 32, 32, 3)
    assert first.dtype == np.uint8
    make(3, 6)
    np.testing.assert_array_equal(first, make(3, 5))
    assert (first != make(3, 6)).any()
    assert (first != make(4, 5)).any()


def test_clips_stay_inside_the_given_shots(source: clips.ClipSource) -> None:
    plain = clips.ClipOptions(6, 32, augment=augment.Augment(0.0, 0.0, 0.0, 0.0))
    allowed = clips.ClipSource(source.footage, [(20, 40), (40, 44)], plain)
    for index in range(40):
        numbers = allowed(0, index)[..., 2].mean((1, 2)) / 4
        assert numbers.min() >= 20
        assert numbers.max() < 40
        assert len(set(np.diff(np.rint(numbers)))) == 1


def test_shots_too_short_for_a_clip_are_refused(source: clips.ClipSource) -> None:
    with pytest.raises(ValueError, match="None of the 1 shots has 6 frames"):
        clips.ClipSource(source.footage, [(40, 44)], OPTIONS)


def test_an_unknown_kind_is_refused(source: clips.ClipSource) -> None:
    with pytest.raises(ValueError, match="'earthquake'"):
        simulate.mixed(source, 0, 0, {"earthquake": 1.0})


def test_a_pan_moves_the_picture_by_its_path() -> None:
    rng = np.random.default_rng(0)
    still = cv2.GaussianBlur(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), (0, 0), 2)
    matrix = motion.affine(np.array([3.0, -2.0, 0, 0]), (40.0, 30.0), 1.0, 33)
    view = motion.warped(still, matrix, 33)
    np.testing.assert_array_equal(view, still[30 - 2 - 16 : 30 - 2 + 17, 40 + 3 - 16 : 40 + 3 + 17])


def test_paths_start_from_rest_at_their_middle() -> None:
    for seed in range(30):
        path = motion.path(16, np.array([1.0, 0.0]), np.random.default_rng(seed))
        assert np.isfinite(path).all()
        assert (path[8] == 0).all()
        assert (path[:, 1] == 0).all()


def test_over_is_exact_where_clear_and_where_opaque() -> None:
    rng = np.random.default_rng(0)
    front, back = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    opacity = np.zeros((8, 8), np.uint8)
    opacity[:, 4:] = 255
    seen = motion.over(motion.premultiplied(front, opacity), back)
    np.testing.assert_array_equal(seen[:, :4], back[:, :4])
    np.testing.assert_array_equal(seen[:, 4:], front[:, 4:])


def test_the_pressure_step_leaves_no_divergence() -> None:
    velocity = np.random.default_rng(0).normal(size=(32, 32, 2)).astype(np.float32)
    once = weather.without_divergence(velocity)
    kx, ky, _ = weather.frequencies(32)
    divergence = kx * np.fft.rfft2(once[..., 0]) + ky * np.fft.rfft2(once[..., 1])
    assert np.abs(divergence).max() < 1e-4
    np.testing.assert_allclose(weather.without_divergence(once), once, atol=1e-5)


def test_colour_that_changes_nothing_changes_nothing(source: clips.ClipSource) -> None:
    rng = np.random.default_rng(0)
    nothing = augment.Augment(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    frames = np.ascontiguousarray(source.footage[:6])
    np.testing.assert_array_equal(augment.augmented(frames, rng, nothing), frames)


def doubled(clip: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A `prepare` that reads the clip and draws."""
    return {"mean": clip.mean((1, 2, 3)), "draw": rng.random(2)}


def test_batches_go_on_from_any_position(source: clips.ClipSource) -> None:
    batches = loader.Batches(source, 2, seed=1, prepare=doubled, num_workers=0)
    whole = list(itertools.islice(batches(0), 4))
    tail = list(itertools.islice(batches(2), 2))
    for ours, theirs in zip(whole[2:], tail, strict=True):
        assert (ours.frames == theirs.frames).all()
        assert (ours.extra["draw"] == theirs.extra["draw"]).all()
    assert whole[1].indices.tolist() == [2, 3]
    assert whole[0].frames.shape == (2, 6, 3, 32, 32)


def test_workers_give_the_same_batches_in_order(source: clips.ClipSource) -> None:
    mixture = partial(simulate.mixed, source)
    alone = loader.Batches(mixture, 2, prepare=doubled, num_workers=0)(3)
    helped = loader.Batches(mixture, 2, prepare=doubled, num_workers=2, num_ahead=1)(3)
    for ours, theirs in itertools.islice(zip(alone, helped, strict=False), 4):
        assert (ours.frames == theirs.frames).all()
        assert (ours.extra["mean"] == theirs.extra["mean"]).all()
    helped.close()  # type: ignore[attr-defined]


def test_ranks_share_the_clips_out() -> None:
    def numbered(seed: int, index: int) -> np.ndarray:
        return np.full((1, 1, 1, 3), index, np.uint8)

    both = [loader.Batches(numbered, 2, num_workers=0, rank=r, world=2)(0) for r in range(2)]
    seen = [next(both[r]).indices.tolist() for r in (0, 1, 0, 1)]
    assert seen == [[0, 1], [2, 3], [4, 5], [6, 7]]


def archive_with(content: bytes, origin: footage.Origin, folder: Path) -> Path:
    """An archive nested as the origin says."""
    name = folder / origin.archive
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as zipped:
        zipped.writestr(origin.inner[1], content)
    with tarfile.open(name, "w:gz") as tarred:
        info = tarfile.TarInfo(origin.inner[0])
        info.size = len(inner.getvalue())
        tarred.addfile(info, io.BytesIO(inner.getvalue()))
    return name


def test_footage_with_another_hash_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has the hash"):
        footage.film("bbb", tmp_path, lambda o, folder: archive_with(b"other", o, folder))
    assert list(tmp_path.iterdir()) == []


def test_nested_archives_are_opened(tmp_path: Path) -> None:
    origin = footage.ORIGINS["bbb"]
    path = archive_with(b"a film", origin, tmp_path)
    assert footage.extracted(path, origin.inner) == b"a film"


def test_unknown_footage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'cats'"):
        footage.fetch("cats", tmp_path)


def test_the_shot_list_is_plain_json() -> None:
    path = Path(shots.__file__).parents[1] / "assets" / "bbb_shots.json"
    assert all(len(shot) == 2 for shot in json.loads(path.read_text()))


def counted_source(made: list[int]) -> Callable[[int, int], Frames]:
    def source(seed: int, index: int) -> Frames:
        made.append(index)
        return np.full((2, 4, 4, 3), index, np.uint8)

    return source


def test_costly_clips_are_drawn_again_from_a_pool_that_moves_on() -> None:
    made: list[int] = []
    reuse = Reuse(times=4, pool=6, choose=lambda clip, rng: {"frames": clip["frames"][:1]})
    batches = Batches(counted_source(made), 2, num_workers=0, reuse=reuse)
    drawn = [int(v) for n in range(60) for v in batches.arrays(n)["frames"][:, 0, 0, 0, 0]]
    assert len(made) == len(set(made))  # none is made twice
    assert len(batches.kept) <= 6
    assert 120 / 4 <= len(made) <= 120 / 4 + 6
    assert all(n // 4 <= clip < n // 4 + 6 for n, clip in enumerate(drawn))


def test_what_is_drawn_again_is_the_same_after_a_resume() -> None:
    reuse = Reuse(times=3, pool=4, choose=lambda clip, rng: {**clip, "n": rng.integers(9, size=1)})
    whole = Batches(counted_source([]), 2, seed=5, num_workers=0, reuse=reuse)
    again = Batches(counted_source([]), 2, seed=5, num_workers=0, reuse=reuse)
    before = [whole.arrays(n) for n in range(12)]
    for n in (7, 8, 11):
        resumed = again.arrays(n)
        assert all(np.array_equal(before[n][k], resumed[k]) for k in resumed)
