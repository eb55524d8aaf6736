"""Blur is told in pixels from edges, and undone without a trace where there was none."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch

from kineograph import read
from kineograph.evaluate.sheet import to_image_frames
from kineograph.models import sharpen, weights
from kineograph.models.aligned import Picture
from kineograph.tasks import Enhancement, enhance
from kineograph.video.levels import frames_of


def edges(size: int = 160, seed: int = 0, line: int = cv2.LINE_AA) -> Picture:
    """Polygons of many levels and directions, sharp as a renderer makes them."""
    rng = np.random.default_rng(seed)
    picture = np.full((size, size, 3), 128, np.uint8)
    for _ in range(60):
        middle = rng.uniform(0, size, 2)
        corners = middle + rng.normal(0, size / 8, (3, 2))
        level = rng.integers(20, 236, 3).tolist()
        cv2.fillPoly(picture, [np.rint(corners * 16).astype(np.int32)], level, line, 4)
    return picture


def out_of_focus(picture: Picture, width: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), width))


def shaken(picture: Picture, length: int) -> Picture:
    return np.asarray(cv2.blur(picture, (length, 1)))


def blur_of(pictures: Sequence[Picture]) -> sharpen.Blur:
    return sharpen.blur_of([sharpen.edges_of(picture) for picture in pictures])


def decibels(one: Picture, other: Picture) -> float:
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other).mean()))


@pytest.mark.parametrize("width", [0.8, 1.3, 1.8, 2.5])
def test_the_width_is_told(width: float) -> None:
    blur = blur_of([out_of_focus(edges(seed=n), width) for n in range(4)])
    assert np.sqrt(np.trace(blur) / 2) == pytest.approx(width, rel=0.25)


def test_what_is_wide_is_told_at_half_the_size() -> None:
    wide = [out_of_focus(edges(400, n), 4.5) for n in range(3)]
    assert np.sqrt(np.trace(blur_of(wide)) / 2) == pytest.approx(4.5, rel=0.3)


def test_shaking_has_a_direction() -> None:
    blur = blur_of([shaken(edges(seed=n), 5) for n in range(4)])
    assert blur[0, 0] > 4 * blur[1, 1]
    turned = [np.ascontiguousarray(np.rot90(shaken(edges(seed=n), 5))) for n in range(4)]
    np.testing.assert_allclose(np.diag(blur_of(turned)), np.diag(blur)[::-1], atol=0.1)


def test_sharp_pictures_have_next_to_none_and_empty_ones_none() -> None:
    assert np.trace(blur_of([edges(line=cv2.LINE_8)])) / 2 < sharpen.LEAST_BLUR
    assert not sharpen.is_blurred(blur_of([np.full((64, 64, 3), 9, np.uint8)]))


@pytest.mark.parametrize(
    ("spoil", "gain"), [(lambda p: out_of_focus(p, 1.3), 2.0), (lambda p: shaken(p, 5), 0.5)]
)
def test_a_film_out_of_focus_or_shaken_comes_back_sharper(spoil, gain: float) -> None:
    film = to_image_frames(read(weights.ASSETS / "clip.mp4", num_frames=6).frames)
    small = [cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for p in film]
    sharp = np.stack(small)
    soft = np.stack([spoil(p) for p in sharp])
    answer = torch.stack(list(enhance(iter(frames_of(soft)), Enhancement(deblur=True))))
    made = np.rint((answer.numpy().transpose(0, 2, 3, 1) + 1) * 127.5).astype(np.uint8)
    assert decibels(made, sharp) > decibels(soft, sharp) + gain


def test_noise_is_not_made_larger() -> None:
    rng = np.random.default_rng(0)
    soft = out_of_focus(edges(), 1.3)
    noisy = np.clip(soft + rng.normal(0, 8, soft.shape), 0, 255).astype(np.uint8)
    frame, blur = frames_of(noisy[None])[0], np.eye(2) * 1.7
    careful, careless = (sharpen.sharpened(frame, blur, n) for n in (8.0, 0.5))
    grain = (frame - frames_of(soft[None])[0]).std()
    assert (careful - frames_of(edges()[None])[0]).std() < 2 * grain
    assert (careless - frames_of(edges()[None])[0]).std() > 2 * grain


def test_any_size_keeps_its_size_and_its_light() -> None:
    for size in ((2, 2), (5, 37), (64, 48)):
        frame = torch.full((3, *size), 0.25)
        made = sharpen.sharpened(frame, np.eye(2), 1.0)
        torch.testing.assert_close(made, frame, atol=1e-3, rtol=0)
