"""The patch denoiser is the closed form; its limits, and what levels hand on, are exact."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kineograph.imagine import settled
from kineograph.known import Known
from kineograph.models.patch_search import Size, bank_of, exact, refined
from kineograph.models.patches import (
    FOCUS,
    FOCUS_T,
    Lattice,
    Search,
    bell,
    carried_over,
    denoised,
    pasted,
    queries,
)
from kineograph.models.pyramid import Level, heights, scaled, touched
from kineograph.models.recolour import colours_of, moved

SIZE = Size(2, 2, 2)


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def closed_form(noisy: Tensor, footage: Tensor, sigma: float, ring: bool) -> Tensor:
    """Every patch of the film against every patch of the footage, written out with loops."""
    (t, h, w), patches = noisy.shape[:1] + noisy.shape[2:], patches_of(footage)
    total, weight = torch.zeros_like(noisy), torch.zeros(t, 1, h, w)
    loud = bell(2, FOCUS_T)[:, None, None, None] * bell(2, FOCUS)[:, None] * bell(2, FOCUS)
    for frame in range(t if ring else t - 1):
        frames = torch.tensor([frame, (frame + 1) % t])
        for y in range(h - 1):
            for x in range(w - 1):
                patch = noisy[frames, :, y : y + 2, x : x + 2]
                away = (patch - (1 - sigma) * patches).square().flatten(1).sum(1)
                chance = (-away / (2 * sigma**2)).softmax(0)
                mean = (chance[:, None, None, None, None] * patches).sum(0)
                total[frames, :, y : y + 2, x : x + 2] += mean * loud
                weight[frames, :, y : y + 2, x : x + 2] += loud
    return total / weight


def patches_of(footage: Tensor) -> Tensor:
    t, _, h, w = footage.shape
    return torch.stack(
        [
            footage[i : i + 2, :, y : y + 2, x : x + 2]
            for i in range(t - 1)
            for y in range(h - 1)
            for x in range(w - 1)
        ]
    )


@pytest.mark.parametrize("ring", [False, True])
@pytest.mark.parametrize("sigma", [0.9, 0.5, 0.2])
def test_it_is_the_closed_form(sigma: float, ring: bool) -> None:
    footage = rand(2, 3, 3, 4)
    noisy = (1 - sigma) * rand(4, 3, 4, 5, seed=1) + sigma * torch.randn(
        4, 3, 4, 5, generator=seeded()
    )
    bank, everything = bank_of(footage, SIZE), Search(num_nearest=100)
    levels = torch.full((1, 4, 1, 4, 5), sigma)
    found, _ = denoised(noisy[None], levels, bank, everything, seeded(), ring=ring)
    torch.testing.assert_close(
        found[0], closed_form(noisy, footage, sigma, ring), atol=5e-3, rtol=0
    )


def test_little_noise_gives_the_footage_back() -> None:
    footage = rand(4, 3, 9, 10)
    bank = bank_of(footage, Size(3, 5, 5))
    noisy = footage[None] + 1e-3 * torch.randn(footage[None].shape, generator=seeded())
    found, _ = denoised(noisy, torch.full((1, 4, 1, 9, 10), 1e-3), bank, Search(), seeded())
    torch.testing.assert_close(found[0], footage, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [1.0, 0.4])
def test_one_patch_is_all_there_is(sigma: float) -> None:
    bank = bank_of(torch.tensor([0.5, -0.2, 0.1]).reshape(1, 3, 1, 1), SIZE)
    levels = torch.full((1, 4, 1, 6, 7), sigma)
    found, _ = denoised(rand(1, 4, 3, 6, 7), levels, bank, Search(), seeded())
    expected = torch.tensor([0.5, -0.2, 0.1]).reshape(3, 1, 1).expand(1, 4, 3, 6, 7)
    torch.testing.assert_close(found, expected)


def test_a_known_beginning_decides_how_a_patch_goes_on() -> None:
    """However noisy the second frame, it is the one that follows the first in the footage."""
    footage = rand(6, 3, 7, 7)
    film = torch.stack([footage[3], torch.randn(footage[0].shape, generator=seeded())])[None]
    sigma = torch.zeros(1, 2, 1, 7, 7)
    sigma[:, 1] = 1
    found, _ = denoised(film, sigma, bank_of(footage, Size(2, 7, 7)), Search(), seeded())
    torch.testing.assert_close(found[0, 1], footage[4], atol=1e-4, rtol=0)


def test_the_search_near_matches_agrees_with_the_search_of_all() -> None:
    """Begun at the true matches moved by a pixel, among neighbours it finds them again."""
    footage = rand(3, 3, 12, 12)
    bank, film = bank_of(footage, Size(2, 5, 5)), footage[None]
    asked = queries(film, torch.full((1, 3, 1, 12, 12), 0.1), bank, 1, ring=False)
    best = exact(asked, bank, 1).origins[:, 0]
    moved = (best + torch.tensor([0, 1, 0])).reshape(*asked.grid, 3)
    found = refined(asked, bank, 1, moved, 200, seeded())
    agrees = (found.origins[:, 0] == best).all(1).float().mean()
    assert agrees > 0.6
    assert (
        refined(asked, bank, 1, best.reshape(*asked.grid, 3), 0, seeded()).origins[:, 0] == best
    ).all()


def test_matches_of_a_small_film_paste_a_large_one() -> None:
    """A film that is its footage: what the small matches say of the large film is that film."""
    large = rand(6, 3, 24, 32)
    small = scaled(large, Size(3, 12, 16))
    coarse, fine = bank_of(small, Size(2, 5, 5)), bank_of(large, Size(3, 7, 7), repeated=(1, 1))
    _, matches = denoised(
        small[None], torch.full((1, 3, 1, 12, 16), 0.01), coarse, Search(), seeded()
    )
    here = Lattice(Size(3, 12, 16), coarse.size, 1, False)
    there = Lattice(Size(6, 24, 32), fine.size, 2, False)
    carried = carried_over(matches, here, there, coarse, fine)
    blank = torch.zeros(1, 6, 3, 24, 32)
    torch.testing.assert_close(
        pasted(blank, fine, 2, carried, ring=False)[0], large, atol=1e-5, rtol=0
    )


def level_of(search: Search) -> Level:
    return Level(8, 10, 1, Size(3, 5, 5), 1.0, 3, search)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    levels=st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=4, max_size=4),
    share=st.floats(0, 1),
    ring=st.booleans(),
)
def test_what_is_known_comes_back_bit_for_bit(
    seed: int, levels: list[float], share: float, ring: bool
) -> None:
    film, by_frame = rand(1, 4, 3, 8, 10, seed=seed), torch.tensor(levels).reshape(1, 4, 1, 1, 1)
    hidden = torch.rand(1, 4, 1, 8, 10, generator=seeded(seed)) < share
    known = Known(film, by_frame * hidden)
    bank = bank_of(rand(5, 3, 8, 10), Size(3, 5, 5))
    if not (known.sigma > 0).any():
        return
    frames, _ = settled(known, level_of(Search()), bank, None, ring, seeded())
    same = (known.sigma == 0).expand_as(film)
    assert torch.equal(frames[None][same], film[same])


def test_the_answer_is_made_of_the_footage() -> None:
    bank = bank_of(rand(5, 3, 8, 10), Size(3, 5, 5))
    frames, _ = settled(
        Known.nothing(1, 4, 3, 8, 10), level_of(Search()), bank, None, False, seeded()
    )
    assert frames.amin() >= -1
    assert frames.amax() <= 1


def test_heights_double_up_to_the_whole() -> None:
    assert heights(144) == [9, 18, 36, 72, 144]
    assert heights(9) == [9]
    assert heights(4) == [4]


def test_a_coarse_cell_is_touched_by_any_pixel_of_it() -> None:
    region = torch.zeros(4, 1, 8, 8, dtype=torch.bool)
    region[3, 0, 7, 0] = True
    expected = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    expected[1, 0, 3, 0] = True
    assert torch.equal(touched(region, Size(2, 4, 4)), expected)


def test_recoloured_frames_have_the_mean_of_the_other_clip() -> None:
    frames, like = 0.3 * rand(2, 3, 16, 16), 0.2 * rand(1, 3, 20, 20, seed=1) + 0.3
    answer = moved(frames, colours_of(frames), colours_of(like))
    torch.testing.assert_close(answer.mean((0, 2, 3)), like.mean((0, 2, 3)), atol=0.02, rtol=0)
    torch.testing.assert_close(answer.std(), like.std(), atol=0.04, rtol=0)


def test_frames_recoloured_like_themselves_stay() -> None:
    frames = 0.8 * rand(2, 3, 16, 16)
    own = colours_of(frames)
    torch.testing.assert_close(moved(frames, own, own), frames, atol=6e-3, rtol=0)
