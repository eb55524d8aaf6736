"""Flicker goes; fades, cuts, lamps, motion and white stay."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from kineograph import flicker
from kineograph.video.levels import frames_of, levels
from test_damage import HEIGHT, WIDTH, pan
from tests_support import Counted


def deflickered(frames: Tensor, strength: float = 1.0) -> Tensor:
    return torch.stack(list(flicker.deflickered(iter(frames), strength)))


def lit(frames: np.ndarray, gains: np.ndarray) -> Tensor:
    """The film times gains that fit its shape, as 8 bits hold it."""
    return frames_of(np.clip(np.rint(frames * gains), 0, 255).astype(np.uint8))


def error(one: Tensor, other: Tensor) -> float:
    """Mean levels of difference."""
    return float((one - other).abs().mean()) * 127.5


def gains(seed: int, shape: tuple[int, ...], size: float = 0.08) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(size=shape) * size)


@pytest.mark.parametrize("px_per_frame", [0.0, 1.5])
def test_flicker_of_the_whole_picture_goes(px_per_frame: float) -> None:
    film = pan(36, px_per_frame)
    worn = lit(film, gains(0, (36, 1, 1, 1)))
    before, after = error(worn, frames_of(film)), error(deflickered(worn), frames_of(film))
    assert after < 0.4 * before


def test_flicker_of_colours_and_places_goes() -> None:
    film = pan(36, 1.0)
    colour = lit(film, gains(1, (36, 1, 1, 3), 0.06))
    assert error(deflickered(colour), frames_of(film)) < 0.45 * error(colour, frames_of(film))
    fields = [cv2.resize(g, (WIDTH, HEIGHT)) for g in gains(2, (36, 2, 3), 0.1)]
    local = lit(film, np.stack(fields)[..., None])
    assert error(deflickered(local), frames_of(film)) < 0.6 * error(local, frames_of(film))


def test_flicker_alternating_on_a_still_is_halved_exactly() -> None:
    """The line through gains that alternate lies midway: closed form on a still."""
    film = pan(30, 0.0)
    swing = np.where(np.arange(30) % 2, np.exp(0.05), np.exp(-0.05)).reshape(-1, 1, 1, 1)
    out = deflickered(lit(film, swing))
    assert error(out[12:18], lit(film, np.ones(1))[12:18]) < 1.0
    assert error(out[13:18], out[12:17]) < 0.6


def test_no_strength_gives_the_frames_themselves() -> None:
    frames = list(lit(pan(5), gains(0, (5, 1, 1, 1))))
    out = list(flicker.deflickered(iter(frames), 0.0))
    assert all(ours is theirs for ours, theirs in zip(out, frames, strict=True))


def test_half_the_strength_takes_about_half() -> None:
    film = pan(30, 0.0)
    worn = lit(film, gains(3, (30, 1, 1, 1)))
    whole = (deflickered(worn) - worn).abs().mean()
    half = (deflickered(worn, 0.5) - worn).abs().mean()
    assert float(half / whole) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("px_per_frame", [0.0, 0.7, 3.0])
def test_a_steady_film_is_left_alone(px_per_frame: float) -> None:
    film = frames_of(pan(30, px_per_frame))
    assert error(deflickered(film), film) < 0.1


def test_a_still_without_flicker_comes_back_bit_for_bit() -> None:
    film = frames_of(pan(20, 0.0))
    assert torch.equal(deflickered(film), film)


def test_a_fade_stays() -> None:
    fade = lit(pan(40, 1.0), np.linspace(1, 0.3, 40).reshape(-1, 1, 1, 1))
    assert error(deflickered(fade), fade) < 0.4


def test_a_cut_and_a_lamp_that_goes_on_stay() -> None:
    cut = np.concatenate([pan(15) * 0.5, pan(15, seed=1)])
    lamp = pan(30) * np.where(np.arange(30) < 15, 0.6, 1.0).reshape(-1, 1, 1, 1)
    for film in (lit(cut, np.ones(1)), lit(lamp, np.ones(1))):
        assert error(deflickered(film), film) < 0.2


def test_white_and_black_stay_and_nothing_leaves_the_range() -> None:
    film = pan(24, 0.0)
    film[:, :30, :40], film[:, 60:, 100:] = 255, 0
    worn = lit(film, gains(4, (24, 1, 1, 1), 0.15))
    worn[:, :, :30, :40], worn[:, :, 60:, 100:] = 1.0, -1.0
    out = deflickered(worn)
    assert out.abs().max() <= 1
    assert float((out[:, :, :30, :40] - 1).abs().mean()) * 127.5 < 6
    assert float((out[:, :, 60:, 100:] + 1).max()) * 127.5 < 2
    assert torch.equal(levels(out[:, :, 60:, 100:]).mode(-1).values, torch.zeros(24, 3, 30))


def test_what_is_relit_keeps_its_order() -> None:
    """Brighter stays brighter, up to white, for any gain."""
    ramp = torch.linspace(-1, 1, 256).expand(3, 4, 256)
    for gain in (-0.4, 0.2, 0.5):
        light = flicker.Light(
            np.full((len(flicker.KNOTS), 3), gain, np.float32),
            np.zeros((*flicker.GRID, 3), np.float32),
        )
        out = flicker.relit(ramp, light)
        assert (out.diff(dim=-1) > -1e-4).all()
        assert float(out[0, 0, 100] + 1) > float(ramp[0, 0, 100] + 1) or gain < 0


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match=f"strength is {strength}"):
        flicker.deflickered(iter([]), strength)


def test_short_films_and_small_frames_do() -> None:
    for shape in ((1, 3, 8, 8), (2, 3, 5, 9), (20, 3, 1, 1)):
        film = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        assert deflickered(film).shape == film.shape
    assert list(flicker.deflickered(iter([]))) == []


def test_it_looks_no_farther_than_it_says() -> None:
    counted = Counted(frames_of(pan(40)))
    for number, _ in enumerate(flicker.deflickered(counted)):
        assert counted.pulled <= number + 1 + flicker.AHEAD
