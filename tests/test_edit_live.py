"""A film is restyled as it comes: at once, without end, in its region only, without trembling."""

from collections.abc import Iterator
from itertools import islice, repeat

import numpy as np
import pytest
import torch
from einops import rearrange
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from kineograph.edit import _Live, editing, editing_live
from kineograph.models import laid
from kineograph.models.patches import carried_over
from kineograph.models.recolour import colours_of, moved, moved_picture
from tests_support import panning

H, W = 36, 48


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def live(film: Tensor, reference: Tensor, strength: float, seed: int = 0) -> Tensor:
    return torch.stack(list(editing_live(iter(film), reference, strength, seed=seed)))


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """A picture that slides to the right."""
    return panning(8, 1.0)[:, :, :H, :W].contiguous()


@pytest.fixture(scope="module")
def red() -> Tensor:
    """Red, with a grain."""
    return 0.2 * rand(2, 3, H, W) + torch.tensor([0.7, -0.6, -0.6]).reshape(3, 1, 1)


def test_each_frame_is_answered_before_the_next_is_asked_for(clip: Tensor, red: Tensor) -> None:
    pulled = [0, 0]

    def counted(which: int, of: Tensor) -> Iterator[Tensor]:
        for one in of:
            pulled[which] += 1
            yield one

    inside = torch.ones(len(clip), 1, H, W, dtype=torch.bool)
    answers = editing_live(counted(0, clip), red, 0.6, counted(1, inside))
    for i in range(1, 5):
        next(answers)
        assert pulled == [i, i]


def test_a_film_without_end_is_answered(clip: Tensor, red: Tensor) -> None:
    assert len(list(islice(editing_live(repeat(clip[0]), red, 0.6), 3))) == 3


def test_the_first_frame_is_answered_as_a_film_of_one(clip: Tensor, red: Tensor) -> None:
    (alone,) = editing(clip[:1], 0.7, reference=red, seed=3)
    assert torch.equal(next(editing_live(iter(clip), red, 0.7, seed=3)), alone)


@settings(max_examples=4, phases=[Phase.generate], deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_outside_the_region_every_bit_stays(seed: int, strength: float, share: float) -> None:
    film = rand(3, 3, 26, 30, seed=seed)
    regions = torch.rand(3, 1, 26, 30, generator=torch.Generator().manual_seed(seed)) < share
    edited = editing_live(iter(film), rand(1, 3, 20, 20), strength, iter(regions))
    for answer, frame, inside in zip(edited, film, regions, strict=True):
        outside = ~inside.expand_as(frame)
        assert answer[outside].numpy().tobytes() == frame[outside].numpy().tobytes()


def test_where_the_region_is_empty_the_frame_itself_comes_back(clip: Tensor, red: Tensor) -> None:
    regions = torch.ones(4, 1, H, W, dtype=torch.bool)
    regions[[0, 2]] = False
    frames = list(clip[:4])
    answers = list(editing_live(frames, red, 0.6, iter(regions)))
    assert [a is f for a, f in zip(answers, frames, strict=True)] == [True, False, True, False]


def test_what_is_new_to_the_region_is_as_if_it_had_been_in_it(clip: Tensor, red: Tensor) -> None:
    inside = torch.zeros(4, 1, H, W, dtype=torch.bool)
    inside[:, :, :18], inside[3] = True, True
    parts, whole = list(editing_live(iter(clip[:4]), red, 0.6, iter(inside))), live(clip, red, 0.6)
    assert torch.equal(parts[3], whole[3])


def test_strength_0_gives_the_film_back(clip: Tensor, red: Tensor) -> None:
    assert torch.equal(live(clip, red, 0.0), clip)


def test_the_same_seed_gives_the_same_film_and_another_another(clip: Tensor) -> None:
    reference = -clip[:1].flip(-1)
    first, again, other = (live(clip[:3], reference, 0.9, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first[2], other[2])


def test_the_colours_are_more_and_more_those_of_the_reference(clip: Tensor, red: Tensor) -> None:
    away = [
        (live(clip, red, strength)[-1].mean((1, 2)) - red.mean((0, 2, 3))).abs().max()
        for strength in (0.0, 0.3, 0.95)
    ]
    assert away[2] < 0.1 < away[0]
    assert away[2] <= away[1] <= away[0]


def test_what_stands_still_does_not_flicker(clip: Tensor) -> None:
    edited = live(clip[:1].expand(8, -1, -1, -1), -clip[:1].flip(-1), 0.6)
    changes = edited.diff(dim=0).abs().mean((1, 2, 3))
    assert changes.max() < 0.1 * edited.std()
    assert changes[-1] < 0.02 * edited.std()


def test_the_texture_moves_as_the_film_does(clip: Tensor) -> None:
    reference = rand(1, 3, H, W).lerp(panning(1, 0.0)[:, :, :H, :W], 0.5)
    edited = live(panning(12, 1.0)[:, :, :H, :W].contiguous(), reference, 0.7)[6:, :, :, 8:-8]
    moving = (edited[1:, :, :, 1:] - edited[:-1, :, :, :-1]).abs().mean()
    moving = min(moving, (edited[1:, :, :, :-1] - edited[:-1, :, :, 1:]).abs().mean())
    assert moving < 0.6 * edited.diff(dim=0).abs().mean()


def test_after_a_cut_nothing_is_left_of_the_shot_before(clip: Tensor, red: Tensor) -> None:
    reference = torch.cat([rand(1, 3, H, W) * 0.3 - 0.6, rand(1, 3, H, W) * 0.3 + 0.6], -1)
    dark, light = torch.full((3, H, W), -0.6), torch.full((3, H, W), 0.6)
    left, right = dark.clone(), dark.clone()
    left[..., : W // 2], right[..., W // 2 :] = light[..., : W // 2], light[..., W // 2 :]
    before, after = left + 0.1 * rand(3, H, W), right + 0.1 * rand(3, H, W, seed=1)
    answer = list(editing_live([before, before, after], reference, 0.7))[-1]
    assert (answer - after).square().mean() < 0.15 * (answer - before).square().mean()


@pytest.mark.parametrize(("h", "w"), [(1, 1), (3, 7), (23, 40), (61, 61), (62, 75)])
def test_films_of_any_size_are_answered(h: int, w: int) -> None:
    answers = live(rand(3, 3, h, w), rand(2, 3, 31, 20, seed=1), 0.8)
    assert answers.shape == (3, 3, h, w)
    assert answers.isfinite().all()
    assert answers.abs().max() <= 1.001


def test_the_quick_ways_are_the_plain_ones(clip: Tensor) -> None:
    film = panning(1, 0.0, 96)[:, :, :72]
    reference = rand(3, 3, 80, 90, seed=2)
    making = _Live.of(film[0], 0.7, reference, 0)
    coarse, fine = making.planes[:2]
    origins = making.first(film[0]).laid[0].origins
    matches = rearrange(torch.from_numpy(origins).long(), "a y x -> 1 y x a")
    plain = carried_over(matches, coarse.lattice, fine.lattice, coarse.bank, fine.bank)
    quick = laid.over_to(fine, coarse, origins)
    assert np.array_equal(quick, rearrange(plain, "1 y x a -> a y x").numpy())
    colours = colours_of(film), colours_of(reference)
    quick = moved_picture(laid.rows_of(film[0]), *colours)
    np.testing.assert_allclose(quick, laid.rows_of(moved(film, *colours)[0]), atol=1e-4)


def test_brought_patches_show_the_same_a_pixel_on(clip: Tensor) -> None:
    film = panning(1, 0.0, 96)[:, :, :72]
    making = _Live.of(film[0], 0.9, film.flip(-1), 0)
    plane, last = making.planes[-1], making.first(film[0]).laid[-1]
    motion = np.zeros((*plane.size, 2), np.float32)
    motion[..., 0] = -2
    brought, there = laid.brought(plane, last.origins, motion, turn=5)
    assert there[:, 1:].all()
    assert not there[:, 0].any() or not there[:, -1].any()
    before, after = (laid.shown(plane, origins) for origins in (last.origins, brought))
    np.testing.assert_allclose(after[4:-4, 8:-8], before[4:-4, 6:-10], atol=1e-6)


def test_senseless_questions_are_refused(clip: Tensor, red: Tensor) -> None:
    everywhere = torch.ones(1, 1, H, W, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"strength is 1\.5"):
        live(clip, red, 1.5)
    with pytest.raises(ValueError, match="frame 1 holds NaN"):
        live(torch.stack([clip[0], clip[1] * torch.nan]), red, 0.5)
    with pytest.raises(ValueError, match=r"reference is \(0, 3, 36, 48\)"):
        live(clip, red[:0], 0.5)
    with pytest.raises(ValueError, match="only 1 regions"):
        list(editing_live(clip, red, 0.5, iter(everywhere)))
    with pytest.raises(ValueError, match=r"region is \(1, 5, 5\)"):
        list(editing_live(clip, red, 0.5, iter(everywhere[..., :5, :5])))
    with pytest.raises(
        ValueError, match=r"Frame 1 is \(3, 20, 48\), but the film is \(3, 36, 48\)"
    ):
        list(editing_live(iter([clip[0], clip[1, :, :20]]), red, 0.5))
