"""The model begins at the classical guess, renders at any size, and its weights travel whole."""

import pytest
import torch

from kineograph.models import weights
from kineograph.models.guess import Guess, guess_of, reach
from kineograph.models.layers import warped
from kineograph.models.net import Kineo, Plan, render, resized
from tests_support import TINY_SHAPE


def tiny(seed: int = 0) -> Kineo:
    torch.manual_seed(seed)
    return Kineo(TINY_SHAPE).eval()


def panning(num_frames: int, speed_px: float, size: int = 48) -> torch.Tensor:
    """A smooth random picture that moves to the right."""
    noise = torch.rand(1, 1, size + 8, size + 8, generator=torch.Generator().manual_seed(0))
    picture = 6 * (torch.nn.functional.avg_pool2d(noise, 9, 1) - 0.5)
    motion = torch.zeros(num_frames, 2, size, size)
    motion[:, 0] = -speed_px * torch.arange(num_frames).float()[:, None, None]
    return warped(picture.expand(num_frames, 3, -1, -1), motion).clamp(-1, 1)


def test_warped_reads_where_the_motion_points() -> None:
    picture = torch.rand(1, 3, 8, 8)
    motion = torch.zeros(1, 2, 8, 8)
    motion[:, 0], motion[:, 1] = 2, 1
    moved = warped(picture, motion)
    torch.testing.assert_close(moved[..., :6, :5], picture[..., 1:7, 2:7])


def test_motion_fades() -> None:
    ahead = reach(torch.arange(1.0, 9))
    torch.testing.assert_close(ahead[:2], torch.tensor([0.9, 0.9 + 0.81]))
    assert (ahead.diff() > 0).all()
    assert (ahead.diff().diff() < 0).all()


def test_flow_points_back_along_the_motion() -> None:
    film = panning(8, 1.0)
    guess = guess_of(film[None])
    inside = guess.motion[0, 0, 12:36, 12:36]
    assert abs(float(inside.median()) + 1.0) < 0.15
    assert abs(float(guess.motion[0, 1, 12:36, 12:36].median())) < 0.15


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
    assert plan.gates.shape == (8, 5, 48, 48)


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


def test_a_plan_renders_the_same_motion_at_twice_the_size() -> None:
    gates = torch.zeros(1, 3, 16, 16)
    gates[:, 1] = 1
    motions = torch.full((1, 2, 2, 16, 16), 1.0)
    plan = Plan(gates, motions, torch.zeros(1, 3, 16, 16))
    big = resized(plan, 32, 48)
    assert big.motions[0, 0, :, 0, 0].tolist() == pytest.approx([3.0, 2.0])
    last = torch.rand(1, 3, 32, 48)
    made = render(big, last, torch.zeros_like(last))
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
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
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


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x08" + 40 * b"\x00"])
def test_what_holds_no_weights_is_refused(tmp_path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="does not hold"):
        weights.load(str(path))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no model 'nothing'"):
        weights.load("nothing")


def test_a_guess_holds_what_it_was_given() -> None:
    zero = torch.zeros(1, 2, 4, 4)
    assert Guess(zero, zero).motion is zero
