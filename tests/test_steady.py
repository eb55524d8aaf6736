"""What is left of noise stands still along the motion; another picture is let go at once."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from einops import rearrange

from kineograph.models.aligned import trusted
from kineograph.models.steady import Levels, calmed, held_on
from tests_support import panning

LEFT = 1.5
"""Levels of error in a cleaned frame, another in each, when noise of 25 was taken away."""


def levels_of(frames: torch.Tensor) -> list[Levels]:
    pictures = rearrange((frames + 1) * 127.5, "t c h w -> t h w c").contiguous()
    return list(pictures.numpy().astype(np.float32))


def left_over(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Blotches, as a cleaned frame has them."""
    fine = np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
    soft = cv2.blur(fine, (3, 3))
    return LEFT * soft / soft.std()


def steadied(frames: list[Levels], noise: float) -> list[Levels]:
    held, made = None, []
    for frame in frames:
        held = held_on(held, frame, noise)
        made.append(held.frame)
    return made


def change(films: list[Levels]) -> float:
    return float(np.mean([np.abs(b - a).mean() for a, b in pairwise(films[4:])]))


@pytest.mark.parametrize("speed_px", [0.0, 2.0])
def test_it_crawls_less_and_errs_less(speed_px: float) -> None:
    truth = levels_of(panning(16, speed_px, 96))
    errors = [left_over(frame.shape, n) for n, frame in enumerate(truth)]
    given = [frame + error for frame, error in zip(truth, errors, strict=True)]
    made = steadied(given, 25.0)
    left = [frame - clean for frame, clean in zip(made, truth, strict=True)]
    inner = [error[16:-16, 16:-16] for error in left]
    before = [error[16:-16, 16:-16] for error in errors]
    assert np.square(inner[8:]).mean() < 0.5 * np.square(before[8:]).mean()
    if not speed_px:
        assert change(inner) < 0.35 * change(before)


def test_the_first_frame_after_a_cut_is_its_own() -> None:
    one, other = levels_of(panning(4, 0.0, 64)), levels_of(-panning(4, 0.0, 64))
    made = steadied([*one, *other], 10.0)
    apart = np.abs(one[0] - other[0]).max(-1) > 40
    assert np.abs(made[4] - other[0])[apart].mean() < 0.5


def test_without_noise_next_to_nothing_changes() -> None:
    frames = levels_of(panning(8, 1.3, 96))
    made = steadied(frames, 0.0)
    assert np.abs(np.stack(made) - np.stack(frames))[:, 16:-16, 16:-16].mean() < 0.5


def test_motion_that_explains_nothing_is_not_believed() -> None:
    rng = np.random.default_rng(0)
    grey = np.clip(128 + rng.normal(0, 20, (2, 64, 64)), 0, 255).astype(np.uint8)
    motion = np.full((64, 64, 2), 3.0, np.float32)
    assert np.abs(trusted(motion, grey[0], grey[0])).max() == 0
    right = np.roll(grey[0], 3, 1)
    believed = trusted(motion * np.array([-1, 0], np.float32), right, grey[0])
    assert np.abs(believed[8:-8, 8:-8, 0] + 3).max() < 0.01


def test_trembling_is_no_motion() -> None:
    slow, fast = np.full((4, 4, 2), 0.1, np.float32), np.full((4, 4, 2), 2.0, np.float32)
    assert np.abs(calmed(slow)).max() == 0
    assert np.array_equal(calmed(fast), fast)
