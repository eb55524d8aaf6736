"""The model begins at the classical guess, renders at any size, and its weights travel whole."""

import gc
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.models import weights
from kineograph.models.candidates import CANDIDATES, shares
from kineograph.models.guess import fitted, guess_of
from kineograph.models.layers import smoothed, warped
from kineograph.models.motion import reach
from kineograph.models.net import Kineo, Plan, answered, coherent, pulled, render
from kineograph.models.weigh import Weigher
from tests_support import TINY_SHAPE, panning


def tiny(seed: int = 0) -> Kineo:
    torch.manual_seed(seed)
    return Kineo(TINY_SHAPE).eval()


def test_warped_reads_where_the_motion_points() -> None:
    picture = torch.rand(1, 3, 8, 8)
    motion = torch.zeros(1, 2, 8, 8)
    motion[:, 0], motion[:, 1] = 2, 1
    moved = warped(picture, motion)
    torch.testing.assert_close(moved[..., :6, :5], picture[..., 1:7, 2:7])


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_whole_pixel_of_motion_is_exact_in_every_mode(mode: str) -> None:
    picture = torch.rand(1, 3, 12, 12)
    moved = warped(picture, torch.full((1, 2, 12, 12), 2.0), mode)
    torch.testing.assert_close(moved[..., :8, :8], picture[..., 2:10, 2:10], atol=1e-5, rtol=0)


def test_smoothed_is_the_mean_over_a_square() -> None:
    picture = torch.rand(1, 1, 9, 11)
    expected = picture[..., 2:7, 3:8].mean()
    torch.testing.assert_close(smoothed(picture, 5)[0, 0, 4, 5], expected)


def test_motion_fades() -> None:
    ahead = torch.tensor([reach(h) for h in range(1, 9)])
    torch.testing.assert_close(ahead[:2], torch.tensor([0.84, 0.84 + 0.84**2]))
    assert (ahead.diff() > 0).all()
    assert (ahead.diff().diff() < 0).all()


def test_shares_of_the_blend_sum_to_one() -> None:
    free = torch.randn(2, len(CANDIDATES) - 1, 3, 4)
    torch.testing.assert_close(shares(free, (24, 32)).sum(1), torch.ones(2, 24, 32))


def test_the_blend_finds_the_one_candidate_that_always_was_right() -> None:
    """The film repeats itself every second frame: only the still frame before the last is right."""
    generator = torch.Generator().manual_seed(0)
    pair = smoothed(torch.rand(2, 3, 48, 48, generator=generator), 5) * 4 - 2
    film = pair.repeat(8, 1, 1, 1)[None]
    no_flow = torch.zeros(1, 7, 2, 48, 48)
    found = fitted(film[:, :8], no_flow)
    said = answered(Weigher(), film[:, 5:8], found, [1]).blend[:, 0]
    error, copied = ((x - film[:, 8]).square().mean() for x in (said, film[:, 7]))
    assert error < 0.1 * copied  # the ridge holds it back from 0
    assert (found.tried[:, 0, 2] < found.tried[:, 0, 0] - 2).all()


def test_a_fit_that_foretells_nothing_is_not_believed() -> None:
    """Every frame is another picture: whatever fits the others is wrong for the next."""
    generator = torch.Generator().manual_seed(0)
    film = smoothed(torch.rand(8, 3, 48, 48, generator=generator), 5)[None] * 4 - 2
    found = fitted(film, torch.zeros(1, 7, 2, 48, 48))
    fit = found.fits[0]
    assert (fit.belief * fit.weights).abs().mean() < 0.25


def test_a_coherent_plan_moves_and_never_blends() -> None:
    film = panning(16, 1.0)[None]
    sigma = torch.zeros_like(film[:, :, :1])
    sigma[:, 8:] = 1
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(film[0, 8:].shape, generator=generator)
        plan = coherent(tiny()(film, sigma, guess_of(film[:, :8]))[1], noise)
    assert torch.equal(plan.gates.sum(1), torch.ones(8, 48, 48))
    assert ((plan.gates == 0) | (plan.gates == 1)).all()
    assert not plan.added.any()
    ahead = plan.paths[:, 0, 0, 16:32, 16:32].mean((-1, -2))
    assert (ahead.diff() < 0).all()
    assert -1.3 < ahead[0] < -0.6


def test_what_comes_into_a_sample_is_mirrored() -> None:
    last = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    motion = torch.zeros(1, 2, 32, 32)
    motion[:, 0] = 4
    plan = pulled(motion, torch.ones(1))
    made = render(plan, 0, torch.stack([last] * 3))
    assert torch.allclose(made[..., :28], last[..., 4:], atol=1e-5)
    assert torch.allclose(made[..., 28:], last[..., 28:].flip(-1), atol=1e-5)


def test_a_still_film_is_answered_by_its_picture() -> None:
    film = panning(1, 0.0).expand(8, -1, -1, -1)[None]
    said = answered(Weigher(), film[:, 5:8], guess_of(film), range(1, 9)).blend
    torch.testing.assert_close(said, film[:, 7:8].expand_as(said), atol=2e-3, rtol=0)


def test_flow_points_back_along_the_motion() -> None:
    film = panning(8, 1.0)
    guess = guess_of(film[None])
    inside = guess.motions[0, 0, 0, 12:36, 12:36]
    assert abs(float(inside.median()) + 1.0) < 0.15
    assert abs(float(guess.motions[0, 0, 1, 12:36, 12:36].median())) < 0.15


def test_an_untrained_model_beats_a_copy_on_a_pan() -> None:
    film = panning(16, 1.0)[None]
    sigma = torch.zeros_like(film[:, :, :1])
    sigma[:, 8:] = 1
    noised = film.clone()
    noised[:, 8:] = torch.randn(film[:, 8:].shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answer, plan = tiny()(noised, sigma, guess_of(film[:, :8]))
    error = (answer[:, :2] - film[:, 8:10])[..., 8:40, 8:40].square().mean()
    copied = (film[:, 7:8] - film[:, 8:10])[..., 8:40, 8:40].square().mean()
    assert error < 0.3 * copied
    assert plan.gates.shape == (8, len(CANDIDATES) + 3, 48, 48)


def test_the_answer_does_not_see_the_unknown_frames() -> None:
    """At sigma 1 the unknown frames are noise alone, so only chance could tell them apart."""
    film = panning(16, 0.5)[None]
    other = film.clone()
    other[:, 8:] = -1
    sigma = torch.zeros_like(film[:, :, :1])
    sigma[:, 8:] = 1
    noise = torch.randn(film.shape, generator=torch.Generator().manual_seed(1))
    guess = guess_of(film[:, :8])
    model = tiny()
    with torch.no_grad():
        answers = [model(torch.lerp(f, noise, sigma), sigma, guess)[0] for f in (film, other)]
    torch.testing.assert_close(answers[0], answers[1])


def test_chosen_horizons_are_those_of_the_whole_window() -> None:
    film = panning(16, 0.7)[None]
    sigma = torch.zeros_like(film[:, :, :1])
    sigma[:, 8:] = 1
    model, guess = tiny(), guess_of(film[:, :8])
    with torch.no_grad():
        whole, _ = model(film, sigma, guess)
        some, _ = model(film, sigma, guess, torch.tensor([1, 6]))
    torch.testing.assert_close(some, whole[:, [1, 6]])


def test_a_plan_renders_at_its_own_size_what_the_model_answered() -> None:
    film = panning(16, 0.7)[None]
    sigma = torch.zeros_like(film[:, :, :1])
    sigma[:, 8:] = 1
    with torch.no_grad():
        answer, plan = tiny()(film, sigma, guess_of(film[:, :8]))
        for index in (0, 5):
            made = render(plan, index, film[0, 5:8])
            torch.testing.assert_close(made, answer[0, index], atol=1e-5, rtol=0)


@pytest.mark.parametrize("gate", [len(CANDIDATES), 0])
def test_a_plan_renders_the_same_motion_at_twice_the_size(gate: int) -> None:
    """Learned or classical, motions grow with the picture."""
    gates = torch.zeros(1, len(CANDIDATES) + 2, 16, 16)
    gates[:, gate] = 1
    motions = torch.full((1, 3, 2, 16, 16), 1.0)
    plan = Plan(gates, motions, torch.ones(1), motions[:, :2], torch.zeros(1, 3, 16, 16))
    last = torch.rand(3, 32, 48)
    made = render(plan, 0, torch.stack([torch.zeros_like(last)] * 2 + [last]))
    torch.testing.assert_close(made[..., :30, :45], last[..., 2:, 3:], atol=1e-5, rtol=1e-5)


def test_every_weight_gets_a_gradient_once_the_heads_move() -> None:
    model = tiny().train()
    film = panning(16, 1.3)[None]
    sigma = torch.zeros_like(film[:, :, :1])
    sigma[:, 8:] = 0.5
    guess = guess_of(film[:, :8])
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 4 and not weight.any():
                torch.nn.init.normal_(weight, std=0.02)
    answer, _ = model(film, sigma, guess)
    (answer - film[:, 8:]).square().mean().backward()
    learning = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    still = [n for n, p in learning if p.grad is None or not p.grad.any()]
    assert not still


def test_weights_travel_with_shape_and_card(tmp_path) -> None:
    model, path = tiny(3), tmp_path / "m.safetensors"
    weights.save(model, path, {"steps": 7})
    loaded = weights.load(str(path))
    assert loaded.shape == TINY_SHAPE
    assert weights.card(str(path)) == {"steps": 7}
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float()), name
    assert not list(tmp_path.glob(".*"))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from([1e-6, 1.0, 1e4]))
def test_8_bits_hold_a_matrix_to_half_a_step_of_its_row(seed: int, scale: float) -> None:
    drawn = scale * torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(seed))
    drawn[2] = 0
    whole, step = weights.in_8_bits(drawn)
    back = weights.in_floats({"w": whole, "w" + weights.STEP: step})["w"]
    assert bool(((back - drawn).abs() <= 0.501 * step.view(-1, 1, 1)).all())
    again, _ = weights.in_8_bits(back)
    assert torch.equal(again, whole)  # what was shipped may be shipped again


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x08" + 40 * b"\x00"])
def test_what_holds_no_weights_is_refused(tmp_path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="does not hold"):
        weights.load(str(path))


def test_loading_leaves_nothing_behind(tmp_path: Path) -> None:
    """A worker loads a model for each film, and makes thousands of them."""
    weights.save(tiny(), tmp_path / "tiny.safetensors", {"name": "tiny"})

    def blocks() -> int:
        gc.collect()
        return sys.getallocatedblocks()

    for _ in range(3):
        weights.load(str(tmp_path / "tiny.safetensors"))
    before = blocks()
    for _ in range(10):
        weights.load(str(tmp_path / "tiny.safetensors"))
    assert blocks() - before < 10 * 50


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no model 'nothing'"):
        weights.load("nothing")


def test_noise_moves_a_sample_and_no_more_than_its_motion() -> None:
    film = panning(16, 1.0)[None]
    sigma = torch.zeros_like(film[:, :, :1])
    sigma[:, 8:] = 1
    with torch.no_grad():
        plan = tiny()(film, sigma, guess_of(film[:, :8]))[1]
    noise = [torch.randn(8, 3, 48, 48, generator=torch.Generator().manual_seed(s)) for s in (1, 2)]
    first, second = (coherent(plan, n).paths for n in noise)
    assert torch.equal(first, coherent(plan, noise[0]).paths)
    assert 0.01 < (first - second).abs().mean() < 0.5 * first.abs().mean()
