"""Noise follows straight lines with exact ends, and a grid gives back the picture it padded."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kineograph import flow
from kineograph.shapes import Grid

quick = settings(max_examples=40, deadline=None)
LEVELS = st.floats(0.0, 1.0, width=32)


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@quick
@given(st.integers(0, 2**31), LEVELS)
def test_both_ends_are_exact_and_the_middle_is_the_line(seed: int, level: float) -> None:
    clean, noise = 100 * rand(1, 3, 2, 4, 5, seed=seed), rand(1, 3, 2, 4, 5, seed=seed + 1)
    sigma = torch.full((1, 3, 1, 4, 5), level)
    sigma[:, 0], sigma[:, 1] = 0, 1
    noisy = flow.noised(clean, noise, sigma)
    assert torch.equal(noisy[:, 0], clean[:, 0])
    assert torch.equal(noisy[:, 1], noise[:, 1])
    line = (1 - level) * clean[:, 2] + level * noise[:, 2]
    torch.testing.assert_close(noisy[:, 2], line, atol=1e-4, rtol=1e-4)


def test_velocity_is_the_slope_of_the_line() -> None:
    clean, noise, sigma = rand(7).double(), rand(7, seed=1).double(), torch.rand(7).double()
    step = 1e-3
    rise = flow.noised(clean, noise, sigma + step) - flow.noised(clean, noise, sigma - step)
    torch.testing.assert_close(flow.velocity(clean, noise), rise / (2 * step))


@quick
@given(st.floats(0.0625, 1.0, width=32))
def test_clean_and_velocity_tell_the_same(level: float) -> None:
    clean, noise, sigma = rand(1, 2, 3, 4, 5), rand(1, 2, 3, 4, 5, seed=1), torch.tensor(level)
    sigma = sigma.expand(1, 2, 1, 4, 5)
    noisy, velocity = flow.noised(clean, noise, sigma), flow.velocity(clean, noise)
    told = flow.velocity_from_clean(noisy, clean, sigma)
    torch.testing.assert_close(told, velocity, atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(
        flow.clean_from_velocity(noisy, velocity, sigma), clean, atol=1e-5, rtol=1e-5
    )


def test_where_nothing_is_noisy_the_velocity_is_0_and_its_gradient_is_finite() -> None:
    clean = rand(4).requires_grad_()
    velocity = flow.velocity_from_clean(rand(4, seed=1), clean, torch.tensor([0.0, 0.0, 0.5, 1.0]))
    assert (velocity[:2] == 0).all()
    velocity.square().sum().backward()
    assert clean.grad is not None
    assert clean.grad.isfinite().all()
    assert (clean.grad[:2] == 0).all()


@quick
@given(LEVELS, LEVELS)
def test_renoised_is_noised_further_along_the_same_line(one: float, other: float) -> None:
    low, high = (torch.tensor([level]) for level in sorted((one, other)))
    clean, noise = rand(5).double(), rand(5, seed=1).double()
    low, high = low.double(), high.double()
    noisy = flow.noised(clean, noise, low)
    torch.testing.assert_close(
        flow.renoised(noisy, noise, low, high), flow.noised(clean, noise, high)
    )
    assert torch.equal(flow.renoised(noisy, noise, low, low), noisy)
    assert torch.equal(flow.renoised(noisy, noise, low, torch.ones_like(low)), noise)


@quick
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 17), st.booleans())
def test_a_grid_gives_back_the_picture_it_padded(h: int, w: int, stride: int, bytes_: bool) -> None:
    grid = Grid(h, w, stride)
    frames = torch.randint(0, 255, (2, 3, h, w), dtype=torch.uint8)
    frames = frames if bytes_ else frames.float()
    padded = grid.pad(frames)
    assert padded.shape == (2, 3, grid.padded_height, grid.padded_width)
    assert (grid.padded_height, grid.padded_width) == (
        grid.num_rows * stride,
        grid.num_columns * stride,
    )
    assert 0 <= grid.padded_height - h < stride
    assert 0 <= grid.padded_width - w < stride
    assert torch.equal(grid.crop(padded), frames)
    below, right = padded[..., h:, :w], padded[..., :h, w:]
    assert torch.equal(below, frames[..., -1:, :].expand_as(below))
    assert torch.equal(right, frames[..., :, -1:].expand_as(right))
    corner = padded[..., h:, w:]
    assert torch.equal(corner, frames[..., -1:, -1:].expand_as(corner))


def test_a_grid_refuses_other_pictures() -> None:
    grid = Grid(height=5, width=6, stride=4)
    with pytest.raises(ValueError, match=r"\(6, 5\).*needs \(5, 6\)"):
        grid.pad(torch.zeros(3, 6, 5))
    with pytest.raises(ValueError, match=r"needs \(8, 8\)"):
        grid.crop(torch.zeros(3, 5, 6))
    with pytest.raises(ValueError, match="height=0"):
        Grid(0, 4, 4)
