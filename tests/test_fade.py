"""A fade is told from other changes of light, is continued by equal steps, and ends at white."""

import pytest
import torch
from torch import Tensor

from kineograph import predict
from kineograph.models import fade
from kineograph.models.net import Kineo
from tests_support import TINY_SHAPE, panning


def bright(num_frames: int, speed_px: float, white: float = 1.0) -> Tensor:
    """A pan whose brightest values reach `white`, of a full light of 1."""
    film = (panning(num_frames, speed_px) + 1) / 2
    return film / film.quantile(0.995) * white


def lit(film: Tensor, light: list[float]) -> Tensor:
    """The film in a light for each frame, as 8 bits hold it."""
    shown = film * torch.tensor(light)[:, None, None, None]
    return (shown.clamp(0, 1) * 255).round() / 127.5 - 1


@pytest.fixture(scope="module")
def model() -> Kineo:
    torch.manual_seed(0)
    return Kineo(TINY_SHAPE).eval().requires_grad_(False)


@pytest.mark.parametrize("step", [0.05, -0.05])
def test_a_fade_is_found_and_divided_out(step: float) -> None:
    film = bright(8, 0.5, 0.8)
    light = [0.5 + step * (t - 7) for t in range(8)]
    found = fade.found(lit(film, light))
    assert found is not None
    assert found.step == pytest.approx(step / 0.5, rel=0.15)
    torch.testing.assert_close(found.light, torch.tensor(light) / light[-1], atol=0.02, rtol=0.02)
    even = found.evened(lit(film, light))
    torch.testing.assert_close(even, lit(film, [0.5] * 8), atol=0.04, rtol=0)
    assert torch.equal(found.evened(lit(film, light)[-3:]), even[-3:])


@pytest.mark.parametrize("film", [panning(8, 1.0), panning(1, 0.0).expand(8, -1, -1, -1)])
def test_a_film_in_one_light_is_no_fade(film: Tensor) -> None:
    assert fade.found(film) is None


def test_a_lamp_in_a_corner_is_no_fade() -> None:
    film = lit(bright(8, 0.0), [0.4] * 8)
    for t in range(8):
        film[t, :, :20, :20] += 0.1 * t
    assert fade.found(film) is None


def test_light_that_jumps_is_no_fade() -> None:
    assert fade.found(lit(bright(8, 0.0), [0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.6])) is None


def test_a_fade_goes_on_and_stops_where_it_would_clip(model) -> None:
    """Full light is reached two frames after the last known one."""
    light = [min(1.0, 0.1 * (t + 1)) for t in range(16)]
    film = lit(bright(16, 0.0), light)
    answer = predict(film[:8], 8, model)
    assert (answer - film[8:]).abs().mean() < 0.02


def test_a_fade_that_has_just_ended_stays(model) -> None:
    film = lit(bright(16, 0.0), [min(1.0, 0.3 + 0.1 * t) for t in range(16)])
    assert (predict(film[:8], 8, model) - film[8:]).abs().mean() < 0.02


def test_a_fade_to_black_ends_in_black(model) -> None:
    film = lit(bright(16, 0.5), [max(0.0, 1 - 0.11 * t) for t in range(16)])
    answer = predict(film[:8], 8, model)
    assert (answer[3:] + 1).abs().max() < 0.02
