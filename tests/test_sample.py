"""Samplers give a Gaussian video its exact conditional law, and the known exactly as given."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gaussian import SHAPE, affine, no_shape_types, smooth_video
from kineograph.known import Known
from kineograph.sample import euler, heun
from kineograph.schedule import autoregressive, joint, pyramid

VIDEO = smooth_video()
SAMPLERS = [euler, heun]
SCHEDULES = {
    "joint": lambda n: joint(n, SHAPE[0]),
    "shifted": lambda n: joint(n, SHAPE[0], shift=2.0),
    "autoregressive": lambda n: autoregressive(n, SHAPE[0]),
    "blocks": lambda n: autoregressive(n, SHAPE[0], block=3),
    "pyramid": lambda n: pyramid(n, SHAPE[0], lag=max(n // 4, 1)),
}
QUESTIONS = {
    "generate": [],
    "predict": [0, 1],
    "interpolate": [0, 3],
    "rewind": [3],
}


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def question(batch: int, known_frames: list[int]) -> Known:
    frames = rand(*SHAPE).expand(batch, *SHAPE)
    return Known.exactly(frames).at_frames(known_frames)


def law_of(sampler, known_frames: list[int], schedule: Tensor, velocity=VIDEO.velocity):
    """Mean and covariance of the sampler's answers, exactly."""
    mean, gain = affine(
        lambda noise: sampler(velocity, question(len(noise), known_frames), noise, schedule)
    )
    return mean, gain @ gain.T


def true_law(known_frames: list[int]):
    seen = torch.zeros(SHAPE, dtype=torch.bool)
    seen[known_frames] = True
    return VIDEO.given(seen.flatten(), rand(*SHAPE).flatten())


def distance(sampler, known_frames: list[int], schedule: Tensor) -> float:
    mean, covariance = law_of(sampler, known_frames, schedule)
    truth = true_law(known_frames)
    wrong_mean = (mean - truth.mean).abs().max()
    return max(wrong_mean, (covariance - truth.covariance).abs().max()).item()


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("asked", QUESTIONS)
def test_the_unknown_has_its_law_given_the_known(asked: str, name: str) -> None:
    assert distance(heun, QUESTIONS[asked], SCHEDULES[name](24)) < 0.02


@pytest.mark.parametrize("name", SCHEDULES)
def test_euler_needs_more_steps_for_the_same_law(name: str) -> None:
    assert distance(euler, QUESTIONS["predict"], SCHEDULES[name](64)) < 0.05


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("sampler", "order"), [(euler, 1), (heun, 2)])
def test_the_error_falls_with_the_order_of_the_method(sampler, order: int, name: str) -> None:
    coarse, fine = (distance(sampler, [0], SCHEDULES[name](n)) for n in (32, 64))
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.3)


@pytest.mark.parametrize("name", SCHEDULES)
def test_what_typical_frames_become_is_typical_at_any_strength_per_cell(name: str) -> None:
    """Frames drawn from the law, noised cell by cell to random levels, lead back to the law."""
    sigma = torch.rand(SHAPE[0], 1, *SHAPE[2:], generator=torch.Generator().manual_seed(1)).double()
    sigma[1, ..., 0], sigma[2, ..., 1] = 0, 1

    def answer(frames: Tensor, noise: Tensor) -> Tensor:
        known = Known(frames, sigma.expand(len(frames), *sigma.shape))
        return heun(VIDEO.velocity, known, noise, SCHEDULES[name](32))

    mean, by_noise = affine(lambda noise: answer(torch.zeros_like(noise), noise))
    _, by_frames = affine(lambda frames: answer(frames, torch.zeros_like(frames)))
    covariance = by_noise @ by_noise.T + by_frames @ VIDEO.covariance @ by_frames.T
    torch.testing.assert_close(mean + by_frames @ VIDEO.mean, VIDEO.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(covariance, VIDEO.covariance, atol=0.02, rtol=0)


@st.composite
def any_question(draw: st.DrawFn) -> tuple[Known, Tensor, Tensor, int]:
    """Random frames, random levels per cell, a random falling schedule per frame, a seed."""
    seed = draw(st.integers(0, 2**31))
    b, t, c, h, w = (draw(st.integers(1, 3)) for _ in range(5))
    generator = torch.Generator().manual_seed(seed)
    levels = torch.tensor([0.0, 0.0, 0.3, 1.0])
    sigma = levels[torch.randint(4, (b, t, 1, h, w), generator=generator)]
    frames = torch.randn(b, t, c, h, w, generator=generator)
    middle = torch.rand(draw(st.integers(0, 6)), t, generator=generator).round(decimals=1)
    schedule = torch.cat([torch.ones(1, t), middle, torch.zeros(1, t)])
    noise = torch.randn(frames.shape, generator=generator)
    return Known(frames, sigma), noise, schedule.sort(dim=0, descending=True).values, seed


@pytest.mark.parametrize("sampler", SAMPLERS)
@given(asked=any_question())
@settings(max_examples=60, deadline=None)
def test_the_known_comes_back_bit_for_bit_from_a_rude_velocity(sampler, asked) -> None:
    known, noise, schedule, seed = asked
    generator = torch.Generator().manual_seed(seed)

    def rude(latents: Tensor, sigma: Tensor) -> Tensor:
        """A sober answer where cells may move, and huge nonsense where nobody may look."""
        nonsense = torch.randn(latents.shape, generator=generator).sign() * 3e38
        return torch.where(sigma == 0, nonsense, latents.tanh())

    answer = sampler(rude, known, noise, schedule)
    exact = (known.sigma == 0).expand_as(answer)
    assert torch.equal(answer[exact], known.frames[exact])
    assert answer.isfinite().all()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("frame", [0, 3])
def test_a_velocity_that_is_not_finite_is_an_error_in_any_cell(sampler, bad, frame) -> None:
    def broken(latents: Tensor, sigma: Tensor) -> Tensor:
        velocity = torch.zeros_like(latents)
        velocity[:, frame] = bad
        return velocity

    with pytest.raises(ValueError, match="4 of 16 values NaN or infinite"):
        sampler(broken, question(1, [0]), rand(1, *SHAPE), joint(2, SHAPE[0]))


def test_all_unknown_is_plain_generation() -> None:
    noise = rand(3, *SHAPE, seed=5)
    plain = noise
    levels = torch.linspace(1, 0, 9).double()
    for level, next_level in pairwise(levels):
        sigma = level.expand(3, SHAPE[0], 1, *SHAPE[2:])
        plain = plain + (next_level - level) * VIDEO.velocity(plain, sigma)
    nothing = Known.exactly(rand(3, *SHAPE, seed=6)).forget(1.0)
    assert torch.equal(euler(VIDEO.velocity, nothing, noise, joint(8, SHAPE[0])), plain)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_frame_that_is_done_stays_as_it_is(sampler) -> None:
    """What a finished block looks like does not depend on whether others follow."""
    whole = autoregressive(4, SHAPE[0])
    cut = whole.clone()
    cut[9:, 2:] = 0  # after two blocks, jump
    asked, noise = question(1, [0]), rand(1, *SHAPE, seed=2)
    answers = [sampler(VIDEO.velocity, asked, noise, s) for s in (whole, cut)]
    assert torch.equal(answers[0][:, :2], answers[1][:, :2])
    assert not torch.equal(answers[0][:, 2:], answers[1][:, 2:])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_noise_and_values_that_must_not_matter_do_not(sampler) -> None:
    asked, noise = question(1, [0, 1]), rand(1, *SHAPE)
    other_noise = noise.clone()
    other_noise[:, :2] = 7.0
    other_values = asked.frames.clone()
    other_values[:, 2:] = math.nan
    schedule = pyramid(4, SHAPE[0])
    answer = sampler(VIDEO.velocity, asked, noise, schedule)
    other = sampler(VIDEO.velocity, Known(other_values, asked.sigma), other_noise, schedule)
    assert torch.equal(answer, other)


def num_calls(sampler, known: Known, schedule: Tensor) -> int:
    calls = []

    def counted(latents: Tensor, sigma: Tensor) -> Tensor:
        calls.append(sigma)
        return torch.zeros_like(latents)

    sampler(counted, known, torch.zeros_like(known.frames), schedule)
    return len(calls)


def test_only_steps_that_move_a_cell_cost_a_call() -> None:
    asked = question(1, [0, 1])
    assert num_calls(euler, asked, joint(6, SHAPE[0])) == 6
    assert num_calls(euler, asked, autoregressive(6, SHAPE[0])) == 2 * 6
    assert num_calls(euler, question(1, [0, 1, 2, 3]), joint(6, SHAPE[0])) == 0
    assert num_calls(euler, Known.exactly(rand(1, *SHAPE)).forget(0.5), joint(6, SHAPE[0])) == 3
    # Nothing is learned at sigma 0: the last step of each cell has no second call.
    assert num_calls(heun, asked, joint(6, SHAPE[0])) == 6 + 5
    assert num_calls(heun, asked, autoregressive(6, SHAPE[0])) == 2 * (6 + 5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_velocity_is_told_the_level_of_each_cell(sampler) -> None:
    asked = Known.exactly(rand(1, *SHAPE)).at_frames([0]) | Known.exactly(rand(1, *SHAPE)).forget(
        0.4
    )
    told = []

    def spy(latents: Tensor, sigma: Tensor) -> Tensor:
        told.append(sigma)
        assert sigma.shape == (1, SHAPE[0], 1, *SHAPE[2:])
        return VIDEO.velocity(latents, sigma)

    sampler(spy, asked, rand(1, *SHAPE), joint(10, SHAPE[0]))
    assert all((sigma[:, 0] == 0).all() for sigma in told)
    assert told[0][:, 1:].unique().tolist() == pytest.approx([0.4])
    assert all((after <= before).all() for before, after in pairwise(told))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_progress_counts_every_step_and_may_stop_the_sampler(sampler) -> None:
    heard = []
    asked, noise, schedule = question(1, [0]), rand(1, *SHAPE), autoregressive(2, SHAPE[0])
    sampler(VIDEO.velocity, asked, noise, schedule, lambda *done: heard.append(done))
    assert heard == [(step, 8) for step in range(1, 9)]

    def stop(done: int, num_steps: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampler(VIDEO.velocity, asked, noise, schedule, stop)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_answers_are_float32_or_better_and_the_known_survives_any_dtype(sampler, dtype) -> None:
    frames = rand(1, *SHAPE).to(dtype)
    asked = Known.exactly(frames).at_frames([0, 2])
    noise = rand(1, *SHAPE, seed=1).to(dtype)
    answer = sampler(lambda latents, sigma: latents.tanh(), asked, noise, joint(5, SHAPE[0]))
    assert answer.dtype == torch.promote_types(dtype, torch.float32)
    assert torch.equal(answer[:, [0, 2]].to(dtype), frames[:, [0, 2]])


@no_shape_types
def test_bad_schedules_and_noise_are_sentences() -> None:
    asked, noise = question(1, [0]), rand(1, *SHAPE)
    good = joint(4, SHAPE[0])
    hole = good.index_fill(0, torch.tensor([2]), math.nan)
    for bad in (good.flip(0), 0.5 * good, good[:-1], good[[0, 2, 1, 4]], hole):
        with pytest.raises(ValueError, match="falls from 1 to 0"):
            euler(VIDEO.velocity, asked, noise, bad)
    with pytest.raises(ValueError, match=r"for 5 frames, but the video has 4"):
        euler(VIDEO.velocity, asked, noise, joint(4, 5))
    with pytest.raises(ValueError, match=r"noise is \(2, 4, 2, 1, 2\)"):
        euler(VIDEO.velocity, asked, rand(2, *SHAPE), good)
