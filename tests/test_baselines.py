"""The baselines obey what they claim: still stays still, a steady slide goes on, bounds hold."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.evaluate import baselines
from kineograph.evaluate.clips import EvalClip
from kineograph.evaluate.extrapolate import Dis, Extrapolation, Farneback, motion_at, warp
from kineograph.evaluate.metrics import psnr
from kineograph.evaluate.tune import descend, score


def smooth_picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(
        1, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(seed)
    )
    return torch.nn.functional.interpolate(coarse * 1.6 - 0.8, (height, width), mode="bicubic")[0]


def sliding(num_frames: int, dx: int = 2, dy: int = 1) -> torch.Tensor:
    """A window that moves over one large picture, so every frame is exact."""
    big = smooth_picture(128, 160).clamp(-1, 1)
    at = [(30 + dy * t, 20 + dx * t) for t in range(num_frames)]
    return torch.stack([big[:, y : y + 64, x : x + 64] for y, x in at])


@pytest.mark.parametrize("name", list(baselines.classical()))
def test_a_still_film_stays_still(name: str) -> None:
    context = smooth_picture(32, 40).clamp(-1, 1).expand(5, 3, 32, 40)
    answer = baselines.classical()[name](context, 3)
    assert answer.shape == (3, 3, 32, 40)
    torch.testing.assert_close(answer, context[:3], atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", list(baselines.classical()))
def test_answers_are_deterministic_bounded_and_leave_the_context_alone(name: str) -> None:
    context = sliding(6)
    kept = context.clone()
    first, again = (baselines.classical()[name](context, 4) for _ in range(2))
    assert torch.equal(first, again)
    assert first.dtype == context.dtype
    assert first.abs().max() <= 1
    assert torch.equal(context, kept)


@pytest.mark.parametrize("estimator", [Farneback(), Dis()])
@pytest.mark.parametrize("transport", ["still", "sought", "splat"])
def test_a_steady_slide_goes_on(estimator: Farneback | Dis, transport: str) -> None:
    film = sliding(11)
    how = Extrapolation(estimator, transport=transport, sampling="cubic")  # pyright: ignore
    answer = baselines.along_flow(film[:8], 3, how)
    inside = (..., slice(16, 48), slice(16, 48))
    assert psnr(answer[inside], film[8:][inside]).min() > 30
    copied = baselines.copy_last(film[:8], 3)
    assert psnr(copied[inside], film[8:][inside]).max() < 30


@pytest.mark.parametrize("transport", ["still", "sought", "splat"])
def test_uniform_motion_is_carried_whole(transport: str) -> None:
    motion = torch.tensor([1.5, -2.25]).expand(24, 32, 2).contiguous().numpy()
    moved = motion_at(motion, 3.0, transport)
    assert abs(moved - 3 * motion).max() < 1e-4


def test_motion_is_read_at_the_source() -> None:
    """out(x) = source(x + motion(x)): positive dx shows what lies to the right."""
    picture = torch.arange(8.0).expand(1, 6, 8)[0, :, :, None].contiguous().numpy()
    motion = torch.tensor([1.0, 0.0]).expand(6, 8, 2).contiguous().numpy()
    assert warp(picture, motion)[0, 2].item() == 3


def test_damping_shortens_the_path() -> None:
    film = sliding(8)
    how = Extrapolation(Dis(), damping=0.5)
    far = baselines.along_flow(film, 12, how)
    assert (far[11] - far[10]).abs().mean() < 0.05 * (far[1] - far[0]).abs().mean()


def test_linear_follows_its_formula() -> None:
    context = torch.tensor([0.0, 0.2]).reshape(2, 1, 1, 1).expand(2, 3, 4, 4)
    answer = baselines.linear(context, 3, damping=0.5)
    expected = [0.2 + 0.2 * 0.5, 0.2 + 0.2 * 0.75, 0.2 + 0.2 * 0.875]
    torch.testing.assert_close(answer[:, 0, 0, 0], torch.tensor(expected))
    assert baselines.linear(context * 5, 3, damping=1.0).max() == 1


def test_hindcast_picks_what_would_have_been_right() -> None:
    def black(context: torch.Tensor, n: int) -> torch.Tensor:
        return torch.full((n, *context.shape[1:]), -1.0)

    judge = baselines.hindcast([black, baselines.copy_last], num_tested=1)
    still = torch.zeros(4, 3, 8, 8)
    assert judge(still, 2).eq(0).all()
    assert judge(still - 1, 2).eq(-1).all()
    assert judge(still[:2], 2).eq(-1).all(), "too few frames to judge: the first answers"


@settings(max_examples=15, deadline=None)
@given(
    t=st.integers(1, 4), c=st.sampled_from([1, 3]), h=st.integers(1, 20), w=st.integers(1, 20),
    n=st.integers(1, 3), name=st.sampled_from(list(baselines.classical())),
)  # fmt: skip
def test_any_size_is_answered(t: int, c: int, h: int, w: int, n: int, name: str) -> None:
    context = torch.rand(t, c, h, w, generator=torch.Generator().manual_seed(t)) * 2 - 1
    answer = baselines.classical()[name](context, n)
    assert answer.shape == (n, c, h, w)
    assert torch.isfinite(answer).all()


@pytest.mark.parametrize("name", list(baselines.classical()))
def test_bad_input_is_refused_in_a_sentence(name: str) -> None:
    predict = baselines.classical()[name]
    with pytest.raises(ValueError, match="at least 1 known frame"):
        predict(torch.zeros(0, 3, 16, 16), 2)
    with pytest.raises(ValueError, match="NaN"):
        predict(torch.full((4, 3, 16, 16), torch.nan), 2)


def test_tuning_never_ends_below_its_start() -> None:
    film = sliding(12)
    clips = [EvalClip("slide", "one", film[:8], film[8:])]

    def rate(how: Extrapolation, name: str):
        return score(lambda c, n: baselines.along_flow(c, n, how), clips, name)

    seen = list(descend(Extrapolation(Farneback(), damping=0.5), {"damping": (0.5, 1.0)}, rate))
    assert seen[-1][0].damping == 1.0
    assert seen[-1][1].mean == max(trial.mean for _, trial in seen)
