"""Films imagined from a clip are new, made of it, closed if asked; edits stay where they belong."""

import numpy as np
import pytest
import torch
from einops import rearrange
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from kineograph.data.weather import Fluid, fluid
from kineograph.edit import edit
from kineograph.imagine import (
    OVERLAP,
    Imagining,
    generate,
    generation_levels,
    imagined,
    known_at_ends,
    windows,
)
from kineograph.models.patch_search import Size
from kineograph.models.pyramid import bank_at
from kineograph.train import nearest
from kineograph.video.levels import in_bytes
from tests_support import panning

H, W = 16, 22


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """A picture that slides to the right, there and back."""
    there = panning(16, 1.0)[:, :, :H, :W]
    return torch.cat([there, there.flip(0)])


def test_the_same_seed_gives_the_same_film_and_another_another(clip: Tensor) -> None:
    first, again, other = (generate(clip, 8, H, W, Imagining(seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.02


def test_it_is_made_of_the_clip_and_is_no_stretch_of_it(clip: Tensor) -> None:
    film = generate(clip, 16, H, W, Imagining(seed=3))
    assert film.amin() >= clip.amin() - 1e-4
    assert film.amax() <= clip.amax() + 1e-4
    assert abs(film.std() / clip.std() - 1) < 0.2
    nearest = min((film - clip[i : i + 16]).abs().mean() for i in range(17))
    assert nearest > 0.01


@pytest.mark.parametrize("num_frames", [8, 16])
def test_seeds_differ_and_none_repeats_the_footage(num_frames: int) -> None:
    gas = fluid(96, 36, Fluid(fading=0.95), np.random.default_rng(0), warm_up=60)
    smoke = torch.from_numpy(np.stack(list(gas)))[:, None].repeat(1, 3, 1, 1) * 2 - 1
    learned, held_out = smoke[:48], smoke[48:]
    films = [generate(learned, num_frames, 36, 36, Imagining(seed)) for seed in range(3)]
    made, parts = [as_clip(film) for film in films], as_clip(held_out).reshape(6, 8, 36, 36, 3)
    found = nearest.report(made, list(parts), [(as_clip(learned), [(0, 48)])])
    assert min(one.distance for one in found.found) > found.by_chance / 3
    for i, film in enumerate(films):
        assert (film - films[i - 1]).square().mean().sqrt() * 127.5 > found.by_chance / 3
        for axis in (0, 2, 3):
            # Neither still nor restless, neither soft nor full of seams.
            ratio = film.diff(dim=axis).abs().mean() / learned.diff(dim=axis).abs().mean()
            assert 0.6 < ratio < 1.5


def as_clip(frames: Tensor) -> np.ndarray:
    return rearrange(in_bytes(frames), "t c h w -> t h w c").numpy()


def test_a_clip_of_one_colour_gives_that_colour() -> None:
    grey = torch.full((4, 3, 12, 12), 0.25)
    torch.testing.assert_close(generate(grey, 9, 14, 10), torch.full((9, 3, 14, 10), 0.25))


@pytest.mark.parametrize("num_frames", [20, 36])
def test_a_loop_closes(clip: Tensor, num_frames: int) -> None:
    film = generate(clip, num_frames, H, W, Imagining(seed=1, window=24), loop=True)
    changes = film.diff(dim=0).abs().mean((1, 2, 3))
    seam = (film[0] - film[-1]).abs().mean()
    assert len(film) == num_frames
    assert seam <= changes.max()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 500), st.integers(20, 60), st.booleans())
def test_windows_make_every_frame_once(num_frames: int, window: int, loop: bool) -> None:
    plan = windows(num_frames, window, loop)
    assert sum(num_new for num_new, _ in plan) == num_frames
    assert all(num_new >= 1 for num_new, _ in plan)
    assert all(num_new + OVERLAP <= window for num_new, closing in plan[1:] if not closing)
    closings = [closing for _, closing in plan]
    assert closings == [False] * (len(plan) - 1) + [loop and num_frames > window]
    assert plan[-1][0] >= 2 * OVERLAP or not closings[-1]


@pytest.mark.parametrize("num_after", [0, OVERLAP])
def test_a_window_keeps_its_known_ends(clip: Tensor, num_after: int) -> None:
    levels = generation_levels(H, W)
    banks = [bank_at(one, clip, Size(24, one.height, one.width), 0.1) for one in levels]
    before, after = clip[:OVERLAP], clip[:num_after]
    known = known_at_ends(before, torch.zeros(16, 3, H, W), after)
    film = imagined(known, levels, banks, False, torch.Generator().manual_seed(0))
    assert torch.equal(film[:OVERLAP], before)
    assert torch.equal(film[len(film) - num_after :], after)
    assert film[OVERLAP : OVERLAP + 16].std() > 0.1


def test_frames_do_not_depend_on_how_many_follow(clip: Tensor) -> None:
    shorter, longer = (generate(clip, n, H, W, Imagining(window=20)) for n in (26, 30))
    assert torch.equal(shorter, longer[:26])


@pytest.mark.parametrize("strength", [0.0, 1e-300, 1e-5])
def test_an_edit_of_next_to_no_strength_is_the_film(strength: float) -> None:
    film = rand(3, 3, H, W)
    assert torch.equal(edit(film, strength, reference=rand(2, 3, 20, 20, seed=1)), film)


@settings(max_examples=6, phases=[Phase.generate], deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 1), st.floats(0, 1), st.booleans())
def test_outside_the_region_every_bit_stays(
    seed: int, strength: float, share: float, referred: bool
) -> None:
    film = rand(2, 3, H, W, seed=seed)
    region = torch.rand(2, 1, H, W, generator=torch.Generator().manual_seed(seed)) < share
    reference = rand(2, 3, 20, 20, seed=1) if referred else None
    edited = edit(film, strength, region, reference)
    outside = ~region.expand_as(film)
    assert torch.equal(edited[outside], film[outside])


def test_a_strong_edit_has_the_colours_of_the_reference(clip: Tensor) -> None:
    red = 0.2 * rand(2, 3, H, W) + torch.tensor([0.7, -0.6, -0.6]).reshape(3, 1, 1)
    changes = [
        (edit(clip[:2], strength, reference=red).mean((0, 2, 3)) - red.mean((0, 2, 3))).abs().max()
        for strength in (0.0, 0.3, 0.95)
    ]
    assert changes[2] < 0.1 < changes[0]
    assert changes[2] <= changes[1] <= changes[0]


def test_what_stands_still_does_not_flicker() -> None:
    still = panning(1, 0.0)[:, :, :36, :48].expand(6, -1, -1, -1).clone()
    edited = edit(still, 0.6, reference=-still[:1].flip(-1))
    changes = edited.diff(dim=0).abs().mean((1, 2, 3))
    assert changes[-1] < 0.1 * edited.std()


def test_another_seed_edits_otherwise(clip: Tensor) -> None:
    first, again, other = (edit(clip[:2], 0.9, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_senseless_questions_are_refused(clip: Tensor) -> None:
    with pytest.raises(ValueError, match="0 frames of"):
        generate(clip, 0, H, W)
    with pytest.raises(ValueError, match="NaN"):
        generate(clip * torch.nan, 4, H, W)
    with pytest.raises(ValueError, match=r"strength is 1\.5"):
        edit(clip, 1.5)
    with pytest.raises(ValueError, match=r"region is \(1, 1, 5, 5\)"):
        edit(clip, 0.5, torch.ones(1, 1, 5, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="variety"):
        Imagining(variety=0.0)
