"""The network that mends the guess begins at it, and what it adds is thought out once."""

import pytest
import torch

from kineograph import Sampling, predict
from kineograph.answer import answered_window
from kineograph.models import ahead
from kineograph.models.guess import guess_of
from kineograph.models.layers import enlarged
from kineograph.models.net import Kineo
from kineograph.models.restorer import Restorer
from kineograph.train import lessons
from kineograph.video.levels import in_bytes
from tests_support import TINY_SHAPE, panning


@pytest.fixture
def model() -> Kineo:
    torch.manual_seed(0)
    return Kineo(TINY_SHAPE).eval().requires_grad_(False)


def untrained() -> Restorer:
    return lessons.begun(lessons.LESSONS[ahead.NAME]).eval().requires_grad_(False)


def test_untrained_it_answers_the_guess(model: Kineo) -> None:
    known = panning(8, 1.5)
    model.restorers[ahead.NAME] = untrained()
    window = answered_window(model, known, Sampling(1), torch.Generator())
    said = model.say(known[None], guess_of(known[None]))
    for index in range(8):
        frame = window.frame(index, known[-3:])
        assert (frame - said.blend[0, index]).abs().max() < 4 / 127.5


def test_what_it_adds_is_added_at_the_film_s_size(model: Kineo) -> None:
    known = panning(8, 1.5)
    net = untrained()
    model.restorers[ahead.NAME] = net
    wide = enlarged(known, 2)
    plain = answered_window(model, known, Sampling(1), torch.Generator()).frame(0, wide[-3:])
    assert net.say.bias is not None
    net.say.bias[:12] += 0.1  # a correction of 0.1 everywhere
    lighter = answered_window(model, known, Sampling(1), torch.Generator()).frame(0, wide[-3:])
    torch.testing.assert_close(lighter, plain + 0.1, atol=1e-5, rtol=0)


def test_samples_are_not_its_business(model: Kineo) -> None:
    known = panning(8, 1.5)
    before = predict(known, 3, model, Sampling(2, seed=1))
    model.restorers[ahead.NAME] = untrained()
    assert torch.equal(before, predict(known, 3, model, Sampling(2, seed=1)))


def test_it_is_shown_each_horizon_as_its_own(model: Kineo) -> None:
    known = torch.stack([panning(8, 1.5), panning(8, 0.5)])
    said = model.say(known, guess_of(known))
    shown = ahead.shown_ahead(known, said, model.horizons)
    assert shown.own.shape == (16, 3, 48, 48)
    assert shown.told[:8, 0].tolist() == [h / 8 for h in range(1, 9)]
    assert torch.equal(shown.told[:8], shown.told[8:])
    assert torch.equal(shown.own[9], in_bytes(said.blend[1, 1]))
    assert torch.equal(shown.made[10, -1], in_bytes(known[1, -1]))
