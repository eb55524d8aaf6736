"""Live, a hole is filled from what was seen before it; all else of the frames stays as it is."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from kineograph import tasks
from kineograph.answer.recalling import softened
from kineograph.models import weights
from kineograph.models.remembered import MOST_KEYS, Memory
from kineograph.models.uncover import motion_between
from kineograph.models.window import Predictor
from tests_support import Counted, panning

SIDE = 48


@pytest.fixture(scope="module")
def model() -> Predictor:
    return weights.load()


def still(num_frames: int, seed: int = 0) -> Tensor:
    """A picture of soft blotches that stands."""
    noise = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    picture = torch.nn.functional.interpolate(1.6 * noise - 0.8, (SIDE, SIDE), mode="bicubic")
    return picture.clamp(-1, 1).expand(num_frames, -1, -1, -1).contiguous()


def box(left: int, top: int = 16, side: int = 12) -> Tensor:
    hole = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    hole[:, top : top + side, left : left + side] = True
    return hole


def apart(one: Tensor, other: Tensor, hole: Tensor) -> float:
    """The mean difference in a hole, in levels."""
    return float((one - other).abs()[hole.expand_as(one)].mean()) * 127.5


def filled(model: Predictor, frames: Tensor, holes: list[Tensor], **how: bool) -> list[Tensor]:
    return list(tasks.inpaint_live(frames, holes, model, **how))


def test_outside_the_hole_every_bit_stays(model: Predictor) -> None:
    frames = panning(4, 2.0, SIDE)
    holes = [box(4 + 6 * t) for t in range(4)]
    blind = [torch.where(hole, torch.nan, frame) for frame, hole in zip(frames, holes, strict=True)]
    made = filled(model, torch.stack(blind), holes)
    for frame, hole, answer in zip(frames, holes, made, strict=True):
        assert torch.equal(answer[~hole.expand(3, -1, -1)], frame[~hole.expand(3, -1, -1)])
        assert answer.isfinite().all()
        assert answer.abs().max() <= 1


def test_a_frame_without_a_hole_is_itself(model: Predictor) -> None:
    frames = list(still(3))
    none = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    made = list(tasks.inpaint_live(frames, [none, box(8), none], model))
    assert made[0] is frames[0]
    assert made[2] is frames[2]


def test_each_frame_is_answered_when_it_comes(model: Predictor) -> None:
    frames = Counted(panning(4, 1.0, SIDE))
    stream = tasks.inpaint_live(frames, (box(8) for _ in range(9)), model)
    for number in range(1, 5):
        next(stream)
        assert frames.pulled == number
    with pytest.raises(ValueError, match="argument"):
        list(stream)


def test_what_was_seen_before_is_shown_and_what_never_was_is_guessed(model: Predictor) -> None:
    frames = still(12)
    holes = [box(2 + 3 * t) for t in range(12)]
    blind = torch.stack([torch.where(h, 0.9, f) for f, h in zip(frames, holes, strict=True)])
    made = filled(model, blind, holes)
    assert apart(made[-1], frames[-1], holes[-1]) < 4
    never = filled(model, blind[-1:], holes[-1:])
    assert apart(made[-1], frames[-1], holes[-1]) < 0.4 * apart(never[0], frames[-1], holes[-1])


def test_what_was_seen_moves_with_the_picture(model: Predictor) -> None:
    frames = panning(10, 2.0, SIDE)
    holes = [torch.zeros(1, SIDE, SIDE, dtype=torch.bool)] + [box(18)] * 9
    made = filled(model, frames, holes)
    assert apart(made[-1], frames[-1], holes[-1]) < 0.5 * apart(frames[0], frames[-1], holes[-1])


@pytest.mark.parametrize("hides_new", [False, True])
def test_a_thing_is_hidden_though_it_was_in_sight_before(model: Predictor, hides_new: bool) -> None:
    frames = still(6)
    frames[:, :, 18:26, 18:26] = torch.tensor([1.0, -1.0, -1.0])[:, None, None]
    none = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    made = filled(model, frames, [none] * 3 + [box(16)] * 3, hides_new=hides_new)
    left = apart(made[-1], frames[-1], box(18, 18, 8))
    assert left > 20 if hides_new else left < 5


def test_a_hole_that_moves_on_is_no_new_thing(model: Predictor) -> None:
    frames = still(8)
    holes = [box(2 + 4 * t) for t in range(8)]
    blind = torch.stack([torch.where(h, 0.9, f) for f, h in zip(frames, holes, strict=True)])
    forgetful, plain = (filled(model, blind, holes, hides_new=new) for new in (True, False))
    assert torch.equal(torch.stack(forgetful), torch.stack(plain))


def test_nothing_crosses_a_cut(model: Predictor) -> None:
    first, second = still(5), -still(5, seed=1)
    none = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    holes = [none] * 5 + [box(18)] * 5
    made = filled(model, torch.cat([first, second]), holes)[5]
    alone = filled(model, second, holes[5:])[0]
    assert torch.equal(made, alone)


def test_a_film_that_is_all_hole_stands(model: Predictor) -> None:
    every = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    frames = still(3)
    made = filled(model, frames, [torch.zeros_like(every), every, every])
    assert apart(made[2], frames[0], every) < 6
    assert all(frame.isfinite().all() for frame in filled(model, frames, [every] * 3))


def test_what_is_kept_does_not_grow() -> None:
    shot = Memory()
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (SIDE, 8 * SIDE, 3), np.uint8)
    hole = box(18)[0].numpy()
    for t in range(2 * MOST_KEYS):
        picture = np.ascontiguousarray(wide[:, 2 * t : 2 * t + SIDE])
        shot.recalled(picture, hole)
        shot.keep(picture, hole)
        assert len(shot.keys) <= MOST_KEYS + 1
    shot.skip(picture)
    assert len(shot.keys) == 1


def test_the_mean_of_motion_around_may_be_coarse() -> None:
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 256, (20, 40), np.uint8), np.ones((5, 5), np.uint8))
    now, other = (np.ascontiguousarray(wide[:96, x : x + 128]) for x in (0, 3))
    hidden = np.zeros(now.shape, bool)
    hidden[30:60, 40:80] = True
    fine, coarse = (motion_between(now, other, hidden, by)[hidden] for by in (1, 4))
    assert np.abs(fine - coarse).max() < 0.1


def test_softening_takes_a_grid_of_two_pixels_away() -> None:
    grid = torch.ones(3, 8, 8)
    grid[:, ::2, ::2] = -1
    assert softened(grid)[:, 1:-1, 1:-1].std() < 1e-6
    assert torch.allclose(softened(torch.full((3, 8, 8), 0.3)), torch.full((3, 8, 8), 0.3))


def test_regions_end_with_the_film(model: Predictor) -> None:
    def holes() -> Iterator[Tensor]:
        yield box(8)

    with pytest.raises(ValueError, match="argument"):
        filled(model, still(2), list(holes()))
