"""Guidance weighs velocities, and forgetting the past gives the law of a video without it."""

import pytest
import torch
from torch import Tensor

from gaussian import SHAPE, affine, smooth_video
from kineograph import guidance
from kineograph.known import Known
from kineograph.sample import heun
from kineograph.schedule import autoregressive, joint

VIDEO = smooth_video()
SEEN = [0, 1]


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def half(latents: Tensor, sigma: Tensor) -> Tensor:
    return 0.5 * latents


def never(latents: Tensor, sigma: Tensor) -> Tensor:
    raise AssertionError("a velocity of weight 0 was asked for")


LATENTS, SIGMA = rand(1, *SHAPE), torch.full((1, SHAPE[0], 1, *SHAPE[2:]), 0.7).double()


def test_scale_moves_on_the_line_through_both() -> None:
    def at(scale: float) -> Tensor:
        return guidance.classifier_free(VIDEO.velocity, half, scale)(LATENTS, SIGMA)

    without, with_ = half(LATENTS, SIGMA), VIDEO.velocity(LATENTS, SIGMA)
    assert torch.equal(at(0.0), without)
    assert torch.equal(at(1.0), with_)
    torch.testing.assert_close(at(2.5), without + 2.5 * (with_ - without))


def test_a_weight_of_0_costs_no_call() -> None:
    guidance.classifier_free(half, never, 1.0)(LATENTS, SIGMA)
    guidance.classifier_free(never, half, 0.0)(LATENTS, SIGMA)
    guidance.history(half, [never, half], [0.0, 2.0])(LATENTS, SIGMA)


def test_histories_add_up() -> None:
    parts = [VIDEO.velocity, lambda latents, sigma: latents**2]
    mixed = guidance.history(half, parts, [1.5, -0.5])(LATENTS, SIGMA)
    base = half(LATENTS, SIGMA)
    away = [part(LATENTS, SIGMA) - base for part in parts]
    torch.testing.assert_close(mixed, base + 1.5 * away[0] - 0.5 * away[1])
    with pytest.raises(ValueError, match="2 velocities came with 1 weights"):
        guidance.history(half, parts, [1.0])


def forgetful_law(sigma: float | Tensor, schedule: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the answers when the past is remembered through noise."""

    def answer(noise: Tensor) -> Tensor:
        known = Known.exactly(rand(*SHAPE).expand(len(noise), *SHAPE)).at_frames(SEEN)
        velocity = guidance.forgetting(VIDEO.velocity, known, noise, sigma)
        answers = heun(velocity, known, noise, schedule)
        assert torch.equal(answers[:, SEEN], known.frames[:, SEEN])
        return answers

    mean, gain = affine(answer)
    return mean, gain @ gain.T


@pytest.mark.parametrize("sigma", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("schedule", [joint(32, SHAPE[0]), autoregressive(24, SHAPE[0], block=3)])
def test_a_past_through_noise_gives_the_law_given_that_noisy_past(sigma, schedule) -> None:
    """0 remembers all, 1 is the video without a past, between them is the noisy channel."""
    mean, covariance = forgetful_law(sigma, schedule)
    seen = torch.zeros(SHAPE, dtype=torch.bool)
    seen[SEEN] = True
    truth = VIDEO.given(seen.flatten(), rand(*SHAPE).flatten(), sigma)
    new = ~seen.flatten()
    torch.testing.assert_close(mean[new], truth.mean[new], atol=0.02, rtol=0)
    torch.testing.assert_close(
        covariance[new][:, new], truth.covariance[new][:, new], atol=0.02, rtol=0
    )


def test_each_frame_of_the_past_may_be_forgotten_by_itself() -> None:
    only_last = torch.tensor([1.0, 0.0, 0.0, 0.0]).reshape(1, 4, 1, 1, 1)
    mean, _ = forgetful_law(only_last, joint(32, SHAPE[0]))
    seen = torch.zeros(SHAPE, dtype=torch.bool)
    seen[1] = True
    truth = VIDEO.given(seen.flatten(), rand(*SHAPE).flatten())
    unseen = slice(SHAPE[1] * SHAPE[2] * SHAPE[3] * 2, None)
    torch.testing.assert_close(mean[unseen], truth.mean[unseen], atol=0.02, rtol=0)


def test_remembering_all_is_the_plain_velocity() -> None:
    known = Known.exactly(rand(1, *SHAPE)).at_frames(SEEN)
    level = torch.minimum(SIGMA, known.sigma)
    plain = VIDEO.velocity(LATENTS, level)
    kept = guidance.forgetting(VIDEO.velocity, known, rand(1, *SHAPE), 0.0)(LATENTS, level)
    assert torch.equal(plain, kept)
