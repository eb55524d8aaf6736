"""Questions compose: what is known can be joined, cut, forgotten and chosen, and nothing leaks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gaussian import no_shape_types
from kineograph.known import Guide, Known

SHAPE = (2, 5, 3, 2, 4)
quick = settings(max_examples=25, deadline=None)
LEVELS = torch.tensor([0.0, 0.25, 0.5, 1.0])


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@st.composite
def knowns(draw: st.DrawFn) -> Known:
    seed = draw(st.integers(0, 2**31))
    generator = torch.Generator().manual_seed(seed)
    b, t, _, h, w = SHAPE
    sigma = LEVELS[torch.randint(4, (b, t, 1, h, w), generator=generator)]
    return Known(torch.randn(SHAPE, generator=generator), sigma)


def same(one: Known, other: Known) -> bool:
    return torch.equal(one.frames, other.frames) and torch.equal(one.sigma, other.sigma)


NOTHING = Known.nothing(*SHAPE)


@quick
@given(knowns(), knowns(), knowns())
def test_the_better_known_wins_and_nothing_is_the_identity(a: Known, b: Known, c: Known) -> None:
    assert same(a | a, a)
    assert same(a | NOTHING, a)
    assert same(NOTHING | a, a)
    assert same((a | b) | c, a | (b | c))
    assert torch.equal((a | b).sigma, torch.minimum(a.sigma, b.sigma))
    ties = (a.sigma == b.sigma).expand(SHAPE)
    assert torch.equal((a | b).frames[~ties], (b | a).frames[~ties])
    assert torch.equal((a | b).frames[ties], a.frames[ties])


@quick
@given(knowns(), st.integers(0, 4), st.integers(0, 4))
def test_time_grows_at_either_end_and_cuts_back(known: Known, after: int, before: int) -> None:
    grown = known.followed_by(after).preceded_by(before)
    assert grown.num_frames == before + SHAPE[1] + after
    assert same(grown[before : before + SHAPE[1]], known)
    assert (grown.sigma[:, :before] == 1).all()
    assert (grown.sigma[:, before + SHAPE[1] :] == 1).all()


@quick
@given(knowns(), st.sets(st.integers(-5, 4)))
def test_frames_not_chosen_are_not_known(known: Known, chosen: set[int]) -> None:
    kept = known.at_frames(sorted(chosen))
    for i in range(SHAPE[1]):
        here, there = kept[i : i + 1], known[i : i + 1]
        stays = i in chosen or i - SHAPE[1] in chosen
        assert same(here, there if stays else there.forget(1.0))


@quick
@given(knowns(), knowns())
def test_a_region_and_its_outside_make_the_whole(a: Known, b: Known) -> None:
    inside = b.sigma < 0.4
    assert same(a.region(inside) | a.region(~inside), a)
    assert (a.region(inside).sigma[~inside] == 1).all()
    assert same(a.region(torch.ones(1, 1, 1, 1, 1, dtype=torch.bool)), a)


@quick
@given(knowns(), st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_what_is_forgotten_stays_forgotten(known: Known, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert same(known.forget(low).forget(high), known.forget(high))
    assert same(known.forget(high).forget(low), known.forget(high))
    assert same(known.forget(0.0), known)
    assert same(known.forget(1.0), NOTHING)
    assert same(known.forget(torch.full_like(known.sigma, high)), known.forget(high))


def test_everything_or_nothing() -> None:
    frames = rand(*SHAPE)
    assert torch.equal(Known.exactly(frames).frames, frames)
    assert (Known.exactly(frames).sigma == 0).all()
    assert (NOTHING.sigma == 1).all()
    assert same(Known.exactly(frames).at_frames([]), NOTHING)
    assert same(Known.exactly(frames)[:0].followed_by(SHAPE[1]), NOTHING)
    assert NOTHING.num_frames == SHAPE[1]


@quick
@given(knowns())
def test_an_answer_cannot_peek_at_what_is_not_known(known: Known) -> None:
    unknown = (known.sigma == 1).expand(SHAPE)
    assert (known.frames[unknown] == 0).all()
    holes = torch.where(unknown, math.nan, known.frames)
    assert same(Known(holes, known.sigma), known)


@no_shape_types
def test_bad_questions_are_sentences() -> None:
    frames, sigma = rand(*SHAPE), torch.zeros(2, 5, 1, 2, 4)
    with pytest.raises(ValueError, match=r"uint8: give floating point"):
        Known(frames.byte(), sigma)
    with pytest.raises(ValueError, match=r"\(5, 3, 2, 4\)"):
        Known(frames[0], sigma)
    with pytest.raises(ValueError, match=r"sigma is \(2, 5, 1, 2, 1\).*need \(2, 5, 1, 2, 4\)"):
        Known(frames, sigma[..., :1])
    for wrong in (-0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match=f"{wrong:.1f}.*stay in"):
            Known(frames, sigma + wrong)
    for wrong in (math.nan, math.inf):
        bad = frames.clone()
        bad[0, 0, 0, 0, 0] = wrong
        with pytest.raises(ValueError, match="1 values that are said to be known"):
            Known(bad, sigma)
    with pytest.raises(ValueError, match="no frame 5"):
        Known(frames, sigma).at_frames([0, 5])
    with pytest.raises(ValueError, match="-1 frames"):
        Known(frames, sigma).followed_by(-1)
    with pytest.raises(ValueError, match="one shape"):
        _ = Known(frames, sigma) | Known(frames, sigma)[1:]


def test_a_guide_without_trust_says_nothing() -> None:
    none = Guide.none_like(Known.exactly(rand(*SHAPE)))
    assert (none.frames == 0).all()
    assert (none.trust == 0).all()
    trust = torch.zeros(2, 5, 1, 2, 4)
    trust[:, 2] = 0.5
    guide = Guide(torch.where(trust > 0, rand(*SHAPE), math.nan), trust)
    assert torch.equal(guide.frames[:, 2], rand(*SHAPE)[:, 2])
    assert (guide.frames[:, :2] == 0).all()
    with pytest.raises(ValueError, match=r"trust runs from 0.0 to 2.0"):
        Guide(rand(*SHAPE), 4 * trust)
