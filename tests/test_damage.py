"""What is spoilt on purpose is found again, and whole films are left alone."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kineograph import damage
from kineograph.damage import Damage, Finding
from kineograph.data import damaged
from kineograph.video.levels import frames_of
from tests_support import Counted

HEIGHT, WIDTH = 90, 160
NOTHING = Damage(dropped=False, frozen=False, glitch=False, scratch=False, dust=False)


def picture(seed: int, width: int = 420) -> np.ndarray:
    """Smooth and fine texture, wide enough to pan over."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(HEIGHT // 10, width // 10, 3)).astype(np.float32)
    fine = rng.normal(size=(HEIGHT // 3, width // 3, 3)).astype(np.float32)
    both = [cv2.resize(x, (width, HEIGHT), interpolation=cv2.INTER_CUBIC) for x in (coarse, fine)]
    return np.clip(128 + 40 * both[0] + 12 * both[1], 30, 225)


def pan(num_frames: int, px_per_frame: float = 2.0, seed: int = 0) -> np.ndarray:
    """A camera that goes to the right at a steady pace, `t h w 3` bytes."""
    wide, frames = picture(seed), []
    for t in range(num_frames):
        shift = np.array([[1, 0, px_per_frame * t], [0, 1, 0]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        frames.append(cv2.warpAffine(wide, shift, (WIDTH, HEIGHT), flags=flags))
    return np.rint(np.stack(frames)).astype(np.uint8)


def findings(frames: np.ndarray, what: Damage | None = None) -> list[Finding]:
    return list(damage.found(iter(frames_of(frames)), what))


def holes(found: list[Finding]) -> np.ndarray:
    return np.stack([finding.hole[0].numpy() for finding in found])


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    return pan(40)


@pytest.mark.parametrize("px_per_frame", [0.0, 0.4, 3.0])
def test_a_whole_film_has_nothing_wrong(px_per_frame: float) -> None:
    for finding in findings(pan(24, px_per_frame)):
        assert finding.kinds == frozenset()
        assert not finding.hole.any()
        assert finding.num_missing == 0


def test_cuts_begin_shots_and_broken_frames_do_not() -> None:
    frames = np.concatenate([pan(12), pan(12, 1.0, seed=1), pan(12, 3.0, seed=2)])
    frames[6], frames[30] = 255, np.random.default_rng(0).integers(0, 255, frames[0].shape)
    starts = [t for t, is_cut in enumerate(damage.cuts(iter(frames_of(frames)))) if is_cut]
    assert starts == [0, 12, 24]
    assert [t for t, f in enumerate(findings(frames, NOTHING)) if f.starts_shot] == starts


def test_an_empty_film_and_a_single_frame() -> None:
    assert findings(pan(1)[:0]) == []
    (only,) = findings(pan(1))
    assert only.starts_shot
    assert not only.hole.any()
    assert list(damage.cuts(iter(frames_of(pan(1))))) == [True]


def test_dust_is_found_where_it_is(film: np.ndarray) -> None:
    spoilt = damaged.with_dust(film, rng(), per_frame=2.0)
    told = holes(findings(spoilt.frames, Damage(scratch=False)))[1:-1]
    truth = spoilt.hole[1:-1]
    assert (told & truth).sum() > 0.75 * truth.sum()
    near = np.stack([cv2.dilate(h.astype(np.uint8), np.ones((5, 5), np.uint8)) for h in truth])
    assert (told & (near == 0)).sum() < 0.05 * told.sum()


def test_dust_on_a_still_picture_is_found() -> None:
    spoilt = damaged.with_dust(pan(12, 0.0), rng(), per_frame=2.0)
    told, truth = holes(findings(spoilt.frames))[1:-1], spoilt.hole[1:-1]
    assert (told & truth).sum() > 0.8 * truth.sum()


@pytest.mark.parametrize("px_per_frame", [0.0, 2.0])
def test_a_faint_speck_is_found(px_per_frame: float) -> None:
    frames = pan(12, px_per_frame)
    frames[6, 40:44, 50:54] = frames[6, 36:48, 46:58].max() + 20
    told = holes(findings(frames, Damage(scratch=False)))
    assert told[6, 40:44, 50:54].mean() > 0.7
    assert told.sum() == told[6, 38:46, 48:56].sum()


def test_glitches_are_found_in_the_frames_that_have_them(film: np.ndarray) -> None:
    spoilt = damaged.with_glitches(film, rng(), share=0.2)
    found = findings(spoilt.frames)
    assert spoilt.hole.any((1, 2)).sum() >= 3
    assert [bool(f.kinds & {"glitch", "dust"}) for f in found] == spoilt.hole.any((1, 2)).tolist()
    assert (holes(found) & spoilt.hole).sum() > 0.7 * spoilt.hole.sum()


def test_a_frame_of_garbage_is_made_anew_as_a_whole(film: np.ndarray) -> None:
    frames = film.copy()
    frames[20] = np.random.default_rng(0).integers(0, 255, film[0].shape)
    found = findings(frames)
    assert found[20].hole.all()
    assert found[20].kinds == {"glitch"}
    assert not holes(found)[np.arange(40) != 20].any()


def test_a_thing_that_flies_past_is_no_dust() -> None:
    frames = pan(16, 0.0)
    for t in range(16):
        cv2.circle(frames[t], (8 + 9 * t, 40), 6, (70, 40, 30), -1)
        cv2.circle(frames[t], (6 + 9 * t, 38), 2, (190, 150, 120), -1)
    assert not holes(findings(frames)).any()


def line(frames: np.ndarray, first: int) -> np.ndarray:
    """A dark line at column 70 from a frame on."""
    spoilt = frames.copy()
    spoilt[first:, 5:85, 70] = 15
    return spoilt


def test_a_scratch_that_comes_is_found(film: np.ndarray) -> None:
    found = findings(line(film, 12), Damage(dust=False, glitch=False))
    assert all(f.kinds == {"scratch"} for f in found[13:])
    assert not holes(found)[:10].any()
    told = holes(found)[14:]
    assert told[:, 10:80, 70].mean() > 0.9
    assert not told[:, :, :65].any()
    assert not told[:, :, 76:].any()


def test_a_scratch_is_told_from_a_pole_by_what_moves_beneath() -> None:
    only = Damage(dust=False, glitch=False)
    still = holes(findings(line(pan(24, 0.0), 0), only))
    moving = holes(findings(line(pan(24, 2.0), 0), only))
    assert not still.any()
    assert moving[-8:, 10:80, 70].all()


def test_a_scratch_that_stays_through_a_cut_is_found() -> None:
    frames = line(np.concatenate([pan(10, 0.0), pan(10, 0.0, seed=1)]), 0)
    assert told_scratches(frames)[:, 10:80, 70].mean() > 0.9


def upright(
    frames: np.ndarray, sway_px: np.ndarray, strengths: np.ndarray, foot: float = 1.0
) -> np.ndarray:
    """A bright line about column 70, whose foot moves by a share of what its top does."""
    rows, columns = np.mgrid[: frames.shape[1], : frames.shape[2]]
    shares = 1 + (foot - 1) * rows / frames.shape[1]
    shown = []
    for frame, sway, strength in zip(frames, sway_px, strengths, strict=True):
        cover = strength * np.exp(-((columns - 70 - sway * shares) ** 2))[..., None]
        shown.append(frame + cover * (235.0 - frame))
    return np.rint(np.stack(shown)).astype(np.uint8)


def told_scratches(frames: np.ndarray) -> np.ndarray:
    return holes(findings(frames, Damage(False, False, False, True, False)))


TREMBLE = 0.3 * np.random.default_rng(5).normal(size=24)
STEADY, FLICKER = np.full(24, 0.7), 0.7 - 0.2 * np.random.default_rng(6).random(24)


@pytest.mark.parametrize(("sway", "strengths"), [(TREMBLE, STEADY), (0 * TREMBLE, FLICKER)])
def test_a_line_that_trembles_as_one_in_a_still_picture_is_a_scratch(
    sway: np.ndarray, strengths: np.ndarray
) -> None:
    told = told_scratches(upright(pan(24, 0.0), sway, strengths))
    assert told[:, 5:85, 70].mean() > 0.9
    assert not told[:, :, :65].any()
    assert not told[:, :, 76:].any()


STILL_LINES = {
    "a pole": (0 * TREMBLE, STEADY, 1.0),
    "a reed that sways on its foot": (TREMBLE, STEADY, 0.0),
    "a shadow that glides": (np.linspace(0, 3, 24), STEADY, 1.0),
    "a light that fades in": (0 * TREMBLE, np.linspace(0.4, 0.9, 24), 1.0),
}


@pytest.mark.parametrize("name", STILL_LINES)
def test_what_stands_sways_glides_or_fades_is_the_pictures_own(name: str) -> None:
    assert not told_scratches(upright(pan(24, 0.0), *STILL_LINES[name])).any()


def test_a_pole_trembles_with_the_camera() -> None:
    pole = upright(picture(0)[None], np.zeros(1), STEADY[:1])
    shifts = [np.array([[1, 0, sway], [0, 1, 0]], np.float32) for sway in TREMBLE]
    frames = np.stack([cv2.warpAffine(pole[0], shift, (WIDTH, HEIGHT)) for shift in shifts])
    assert not told_scratches(frames).any()


def test_dropped_frames_are_counted_where_they_are_gone(film: np.ndarray) -> None:
    spoilt = damaged.with_dropped(pan(60, 1.5), rng(), share=0.1)
    assert (spoilt.missing > 0).sum() >= 2
    told = [f.num_missing for f in findings(spoilt.frames)]
    assert told == spoilt.missing.tolist()


def test_frozen_frames_are_found(film: np.ndarray) -> None:
    spoilt = damaged.with_frozen(pan(60, 1.5), rng(), share=0.1)
    told = [f.kinds == {"frozen"} and bool(f.hole.all()) for f in findings(spoilt.frames)]
    assert told == spoilt.hole.all((1, 2)).tolist()
    assert sum(told) >= 2


@pytest.mark.parametrize("times", [2, 3])
def test_animation_on_twos_and_threes_is_whole(times: int) -> None:
    assert not any(f.kinds for f in findings(pan(14, 3.0).repeat(times, 0)))


def test_a_pause_is_no_freeze() -> None:
    steady = pan(30, 1.5)
    paused = np.concatenate([steady[:15], steady[14:15].repeat(4, 0), steady[15:]])
    assert not any("frozen" in f.kinds for f in findings(paused))


def test_what_is_not_sought_is_not_told(film: np.ndarray) -> None:
    spoilt = damaged.with_glitches(damaged.with_dust(film, rng()).frames, rng(), share=0.2)
    assert not any(f.kinds for f in findings(spoilt.frames, NOTHING))


def test_findings_look_no_farther_than_they_say() -> None:
    counted = Counted(frames_of(pan(40)))
    for number, _ in enumerate(damage.found(counted)):
        assert counted.pulled <= number + 1 + damage.AHEAD + 1


def test_small_and_odd_frames_do() -> None:
    for size in ((8, 8), (13, 37), (1, 1)):
        frames = np.zeros((16, *size, 3), np.uint8)
        assert not any(f.kinds for f in findings(frames))


def test_a_change_of_size_is_refused() -> None:
    with pytest.raises(ValueError, match="9x8 follows one of 8x8"):
        list(damage.found(iter([torch.zeros(3, 8, 8), torch.zeros(3, 8, 9)])))


@given(st.frozensets(st.integers(0, 300), min_size=1))
def test_lists_of_frames_are_read_back(numbers: frozenset[int]) -> None:
    assert damage.listed(",".join(map(str, sorted(numbers)))) == numbers


def test_runs_of_frames_are_both_ends_and_all_between() -> None:
    assert damage.listed("12, 40-44") == {12, 40, 41, 42, 43, 44}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("12,x", "'x' in '12,x'"),
        ("", "'' in ''"),
        ("9-3", "write 3-9"),
        ("-4", "no frame"),
        ("0-999999999", "has 1000000000 frames"),
    ],
)
def test_unclear_lists_are_refused(text: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        damage.listed(text)


def test_listed_frames_are_made_anew_and_must_exist() -> None:
    plain = findings(pan(6), NOTHING)
    told = list(damage.marked(iter(plain), frozenset({2, 5})))
    assert [bool(f.hole.all()) for f in told] == [False, False, True, False, False, True]
    assert told[2].kinds == {"listed"}
    assert told[0] is plain[0]
    with pytest.raises(ValueError, match="frame 6 is listed, and the film has 6 frames, 0 to 5"):
        list(damage.marked(iter(plain), frozenset({6})))


def test_missing_frames_are_spread_as_whole_holes(film: np.ndarray) -> None:
    frames = list(frames_of(film[:3]))
    none = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    told = [Finding(none), Finding(none, frozenset({"dropped"}), 2), Finding(none)]
    out = list(damage.spread(iter(frames), iter(told)))
    assert [bool(f.hole.all()) for _, f in out] == [False, True, True, False, False]
    given_back = [frame for frame, f in out if not f.hole.any()]
    assert all(ours is theirs for ours, theirs in zip(given_back, frames, strict=True))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=20))
def test_gaps_in_times_tell_how_many_are_missing(steps: list[int]) -> None:
    times = [float(t / Fraction(24000, 1001)) for t in np.cumsum([0, *steps]).tolist()]
    told = list(damage.missing_by_times(times, Fraction(24000, 1001)))
    assert told == [0, *(step - 1 for step in steps)]


MAKERS = [
    damaged.scratched,
    damaged.with_dust,
    damaged.with_dropped,
    damaged.with_frozen,
    damaged.with_glitches,
]


@pytest.mark.parametrize("make", MAKERS)
def test_damage_depends_on_its_seed_alone_and_is_told(film: np.ndarray, make) -> None:
    before = film.copy()
    first, again, other = (make(film, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(film, before)
    np.testing.assert_array_equal(first.frames, again.frames)
    assert first.frames.shape != other.frames.shape or (first.frames != other.frames).any()
    assert len(first.hole) == len(first.missing) == len(first.frames)
    kept = np.cumsum(first.missing + 1) - 1
    whole = ~first.hole
    change = np.abs(first.frames.astype(int) - film[kept]).max(-1)
    assert change[whole].max() < damaged.SEEN_LEVELS
    assert first.hole.any() or first.missing.any()


@pytest.mark.parametrize("px_per_frame", [0.7, 1.0, 2.5])
def test_a_pole_goes_with_the_picture(px_per_frame: float) -> None:
    wide = upright(picture(0)[None], np.full(1, 40.0), STEADY[:1])[0]
    shifts = [np.array([[1, 0, t * px_per_frame], [0, 1, 0]], np.float32) for t in range(30)]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    frames = [cv2.warpAffine(wide, shift, (WIDTH, HEIGHT), flags=flags) for shift in shifts]
    assert not told_scratches(np.stack(frames)).any()


def test_a_line_at_the_very_side_may_be_the_edge_of_something() -> None:
    frames = pan(24, 2.0)
    frames[8:, :, :1] = 15
    assert not told_scratches(frames).any()


def test_a_line_that_a_person_saw_needs_no_proof() -> None:
    frames, only = line(pan(12, 0.0), 0), Damage(dust=False, glitch=False)
    assert not told_scratches(frames).any()
    told = list(damage.found(iter(frames_of(frames)), only, damage.listed("69-71", "column")))
    assert all(f.kinds == {"scratch"} for f in told)
    assert holes(told)[:, 10:80, 70].all()
    assert not holes(told)[:, :, :65].any()
    beside = list(damage.found(iter(frames_of(frames)), only, frozenset({30})))
    assert not holes(beside).any()


def test_lines_must_be_in_the_film_and_sought() -> None:
    frames = list(frames_of(pan(3, 0.0)))
    with pytest.raises(ValueError, match="column 160 is listed, and the film has 160 columns"):
        list(damage.found(iter(frames), Damage(), frozenset({4, 160})))
    with pytest.raises(ValueError, match="scratches are not sought"):
        list(damage.found(iter(frames), NOTHING, frozenset({4})))
    with pytest.raises(ValueError, match="'x' in '4,x' is no column or run of columns"):
        damage.listed("4,x", "column")
