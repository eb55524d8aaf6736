"""The measures agree with closed forms, and with the reference numbers of the packages they use."""

import importlib.util
import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.evaluate import metrics
from tests_support import panning

has_stlpips = importlib.util.find_spec("stlpips_pytorch") is not None


def noisy_pair(num: int = 2, size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    clean = torch.rand(num, 3, size, size, generator=generator) * 2 - 1
    noise = torch.randn(num, 3, size, size, generator=generator)
    return clean, (clean + 0.3 * noise).clamp(-1, 1)


@settings(max_examples=20, deadline=None)
@given(step=st.integers(1, 255))
def test_psnr_of_a_constant_offset_is_its_closed_form(step: int) -> None:
    truth = torch.full((2, 3, 4, 4), -1.0)
    answer = metrics.psnr(truth + step / 127.5, truth)
    expected = 20 * math.log10(255 / step)
    assert answer.tolist() == pytest.approx([expected] * 2, abs=1e-9)


def test_psnr_sees_only_what_8_bits_hold() -> None:
    truth = torch.zeros(1, 3, 4, 4)
    assert metrics.psnr(truth + 0.4 / 127.5 - 0.5 / 127.5, truth - 0.5 / 127.5)[0] <= 60
    assert metrics.psnr(truth + 1.2 / 255, truth + 1.4 / 255)[0] == 60, "one level: the same file"
    assert metrics.psnr(torch.full_like(truth, 9.0), torch.ones_like(truth))[0] == 60


def test_flicker_is_1_for_the_film_and_more_where_frames_jump() -> None:
    film = panning(8, 1.5, 64)
    flicker = metrics.flicker_against(film)
    assert flicker(film) == 1
    jumping = film + torch.tensor([0.0, 0.1]).repeat(4)[:, None, None, None]
    assert flicker(jumping) > 3
    assert flicker(film[:1].repeat(8, 1, 1, 1)) > 3, "standing still where the film moves"


def test_each_frame_has_its_own_number() -> None:
    truth = torch.zeros(3, 3, 16, 16)
    wrong = truth.clone()
    wrong[1] = 0.5
    for measure in (metrics.psnr, metrics.ssim):
        values = measure(wrong, truth)
        assert values[0] == values[2] > values[1]


def test_ssim_of_flat_frames_is_its_closed_form() -> None:
    """Without texture only the luminance term is left: (2ab + c1) / (a^2 + b^2 + c1)."""
    a, b = 51 / 127.5 - 1, 204 / 127.5 - 1
    flat = torch.ones(1, 1, 16, 16, dtype=torch.float64)
    c1 = 0.02**2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert metrics.ssim(flat * a, flat * b).item() == pytest.approx(expected, abs=1e-9)


def test_ssim_is_one_for_the_truth_symmetric_and_falls_with_noise() -> None:
    clean, noisy = noisy_pair()
    assert metrics.ssim(clean, clean).tolist() == pytest.approx([1, 1], abs=1e-12)
    torch.testing.assert_close(metrics.ssim(clean, noisy), metrics.ssim(noisy, clean))
    assert (metrics.ssim((clean + noisy) / 2, clean) > metrics.ssim(noisy, clean)).all()
    with pytest.raises(ValueError, match="11x11"):
        metrics.ssim(clean[..., :8, :8], clean[..., :8, :8])


def test_ssim_window_is_the_standard_one() -> None:
    """One lit pixel spreads into the 11x11 Gaussian of sigma 1.5 whose weights sum to 1."""
    spot = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    spot[..., 10, 10] = 1
    window = metrics._windowed(spot)[0, 0]
    assert window.shape == (11, 11)
    assert window.sum().item() == pytest.approx(1)
    assert (window[5, 6] / window[5, 5]).item() == pytest.approx(math.exp(-1 / 4.5))


@pytest.mark.skipif(not has_stlpips, reason="stlpips_pytorch is an optional package")
def test_st_lpips_gives_the_numbers_of_its_package_and_leaves_no_stand_in() -> None:
    clean, noisy = noisy_pair()
    before = set(sys.modules)
    distance = metrics.StLpips(batch=1).against(clean)
    left = {name.split(".")[0] for name in set(sys.modules) - before}
    assert not left & {"torchvision", "IPython", "torchsummary", "stlpips_pytorch"}
    assert distance(clean).tolist() == [0, 0]
    # Measured once with the package's own code, before its blur was replaced.
    assert distance(noisy).tolist() == pytest.approx([0.0059, 0.0061], abs=2e-4)


def test_a_missing_package_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install --no-deps stlpips_pytorch"):
        metrics.StLpips()
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ValueError, match="pip install imageio-ffmpeg"):
        metrics.vmaf(torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 32, 32))


def test_vmaf_ranks_and_answers_per_frame() -> None:
    clean, noisy = noisy_pair(3)
    same, worse = metrics.vmaf(clean, clean), metrics.vmaf(noisy, clean)
    assert same.shape == (3,)
    assert (same > 90).all()
    assert (worse < same - 5).all()
    assert torch.equal(worse, metrics.vmaf(noisy, clean))
