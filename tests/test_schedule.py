"""Every schedule falls from exactly 1 to exactly 0 in each frame, in the order it promises."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kineograph.schedule import autoregressive, joint, pyramid, shifted

quick = settings(max_examples=40, deadline=None)
STEPS, FRAMES, LAGS = st.integers(1, 12), st.integers(1, 9), st.integers(0, 5)
SHIFTS = st.floats(0.1, 10.0)


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Tensor, int, int]:
    steps, frames, number, shift = draw(st.tuples(STEPS, FRAMES, LAGS, SHIFTS))
    kind = draw(st.sampled_from(["joint", "autoregressive", "pyramid"]))
    made = {
        "joint": lambda: joint(steps, frames, shift),
        "autoregressive": lambda: autoregressive(steps, frames, number + 1, shift),
        "pyramid": lambda: pyramid(steps, frames, number, shift),
    }[kind]()
    return made, steps, frames


@quick
@given(schedules())
def test_each_frame_falls_from_1_to_0_in_its_own_steps(made) -> None:
    schedule, steps, frames = made
    assert schedule.shape[1] == frames
    assert (schedule[0] == 1).all()
    assert (schedule[-1] == 0).all()
    drops = schedule.diff(dim=0)
    assert (drops <= 0).all()
    assert ((drops < 0).sum(dim=0) == steps).all()
    # Earlier frames are never noisier than later ones.
    assert (schedule.diff(dim=1) >= 0).all()


@quick
@given(STEPS, FRAMES, st.integers(1, 5), SHIFTS)
def test_a_block_begins_when_the_one_before_it_is_done(steps, frames, block, shift) -> None:
    schedule = autoregressive(steps, frames, block, shift)
    assert len(schedule) == -(-frames // block) * steps + 1
    for first in range(0, frames, block):
        inside = schedule[:, first : first + block]
        assert (inside == inside[:, :1]).all()
        if first:
            begun = schedule[:, first] < 1
            assert (schedule[begun, first - 1] == 0).all()
            assert begun.sum() == len(schedule) - 1 - steps * (first // block)


@quick
@given(STEPS, FRAMES, SHIFTS)
def test_pyramids_reach_from_joint_to_autoregressive(steps, frames, shift) -> None:
    assert torch.equal(pyramid(steps, frames, 0, shift), joint(steps, frames, shift))
    assert torch.equal(
        pyramid(steps, frames, steps, shift), autoregressive(steps, frames, 1, shift)
    )
    assert torch.equal(joint(steps, frames, shift), autoregressive(steps, frames, frames, shift))


@quick
@given(STEPS, FRAMES, LAGS)
def test_a_pyramid_delays_each_frame_by_the_lag(steps, frames, lag) -> None:
    schedule = pyramid(steps, frames, lag)
    assert len(schedule) == steps + lag * (frames - 1) + 1
    assert (schedule.diff(dim=0) < 0).any(dim=1).all() or lag > steps  # no step is idle
    for one in range(frames - 1):
        assert torch.equal(schedule[lag:, one + 1], schedule[: len(schedule) - lag, one])


def test_levels_are_even_unless_shifted() -> None:
    torch.testing.assert_close(joint(4, 1)[:, 0], torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))
    torch.testing.assert_close(
        joint(4, 1, shift=3.0)[:, 0], torch.tensor([1.0, 0.9, 0.75, 0.5, 0.0])
    )


@quick
@given(SHIFTS, SHIFTS)
def test_shifts_compose_and_keep_the_ends(one: float, other: float) -> None:
    levels = torch.linspace(0, 1, 11).double()
    torch.testing.assert_close(shifted(shifted(levels, one), other), shifted(levels, one * other))
    torch.testing.assert_close(shifted(levels, 1.0), levels)
    assert shifted(levels, one)[[0, -1]].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: joint(0, 4), "0 steps"),
        (lambda: joint(4, 0), "0 frames"),
        (lambda: autoregressive(4, 4, block=0), "block of 0"),
        (lambda: pyramid(4, 4, lag=-1), "lag of -1"),
        (lambda: joint(4, 4, shift=0.0), "shift is 0.0"),
        (lambda: joint(4, 4, shift=float("nan")), "shift is nan"),
    ],
)
def test_bad_schedules_are_sentences(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
