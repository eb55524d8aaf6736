"""What foresees begins at the guess; its mean is made at the film's size, its samples are moved."""

import pytest
import torch

from kineograph import Sampling, predict
from kineograph.answer import answered_window
from kineograph.models import ahead
from kineograph.models.ahead import Ahead
from kineograph.models.guess import guess_of
from kineograph.models.layers import enlarged
from kineograph.models.net import Kineo
from kineograph.models.window import Window
from kineograph.train import lessons
from kineograph.video.levels import in_bytes
from tests_support import TINY_SHAPE, panning


@pytest.fixture
def model() -> Kineo:
    torch.manual_seed(0)
    return Kineo(TINY_SHAPE).eval().requires_grad_(False)


def untrained() -> Ahead:
    net = lessons.begun(lessons.LESSONS[ahead.NAME])
    assert isinstance(net, Ahead)
    net.draws = torch.tensor(True)
    return net.eval().requires_grad_(False)


def asked(model: Kineo, steps: int = 1, seed: int = 0, zoom: int = 1) -> Window:
    known = enlarged(panning(8, 1.5), zoom) if zoom > 1 else panning(8, 1.5)
    return answered_window(model, known, Sampling(steps), torch.Generator().manual_seed(seed))


def test_untrained_it_answers_the_guess(model: Kineo) -> None:
    known = panning(8, 1.5)
    model.restorers[ahead.NAME] = untrained()
    said = model.say(known[None], guess_of(known[None]))
    mean, sample = asked(model), asked(model, 2)
    for index in range(8):
        frame = mean.frame(index, known[-3:])
        assert (frame - said.blend[0, index]).abs().max() < 6 / 127.5
        moved = sample.frame(index, known[-3:])
        inner = (moved - said.blend[0, index])[:, 12:-12, 12:-12]
        assert inner.abs().mean() < 0.05


def test_the_plan_of_the_mean_is_the_mean(model: Kineo) -> None:
    """At the size it was thought out at, nothing is lost by making frames of gates and motions."""
    net = untrained()
    torch.manual_seed(1)
    for layer in (net.mend.say, net.move.bend, net.move.bend_all):
        layer.weight.normal_(std=0.05)
    known = panning(8, 1.5)[None]
    said = model.say(known, guess_of(known))
    coming = ahead.coming_of(known, said, model.horizons)
    mean, _ = net(coming)
    model.restorers[ahead.NAME] = net
    window = asked(model)
    for index in range(8):
        frame = window.frame(index, known[0, -3:])
        assert (frame - mean[index]).abs().mean() < 0.5 / 127.5  # pictures were in 256 levels


def test_what_it_adds_is_added_at_the_film_s_size(model: Kineo) -> None:
    net = untrained()
    model.restorers[ahead.NAME] = net
    wide = enlarged(panning(8, 1.5), 2)
    plain = asked(model).frame(0, wide[-3:])
    assert net.mend.say.bias is not None
    net.mend.say.bias[:12] += 0.1  # a correction of 0.1 everywhere
    torch.testing.assert_close(asked(model).frame(0, wide[-3:]), plain + 0.1, atol=1e-5, rtol=0)


def test_samples_differ_by_seed_and_not_by_steps(model: Kineo) -> None:
    known = panning(8, 1.5)
    model.restorers[ahead.NAME] = untrained()
    one = predict(known, 3, model, Sampling(2, seed=1))
    assert torch.equal(one, predict(known, 3, model, Sampling(2, seed=1)))
    assert torch.equal(one, predict(known, 3, model, Sampling(4, seed=1)))
    assert not torch.equal(one, predict(known, 3, model, Sampling(2, seed=2)))


def test_a_still_film_stands_still_in_every_sample(model: Kineo) -> None:
    model.restorers[ahead.NAME] = untrained()
    still = panning(8, 0)
    sample = predict(still, 4, model, Sampling(2, seed=3))
    assert (sample - still[-1]).abs().max() < 2 / 127.5


def test_it_is_shown_each_horizon_as_its_own(model: Kineo) -> None:
    known = torch.stack([panning(8, 1.5), panning(8, 0.5)])
    said = model.say(known, guess_of(known))
    coming = ahead.coming_of(known, said, model.horizons)
    shown = coming.shown
    assert shown.own.shape == (16, 3, 48, 48)
    assert shown.told[:8, 0].tolist() == [h / 8 for h in range(1, 9)]
    assert torch.equal(shown.told[:8], shown.told[8:])
    assert torch.equal(shown.own[9], in_bytes(said.blend[1, 1]))
    assert torch.equal(shown.made[10, -1], in_bytes(known[1, -1]))
    assert torch.equal(coming.path[11], said.paths[1, 3, 0])


def test_samples_are_the_large_network_s_unless_it_draws(model: Kineo) -> None:
    known = panning(8, 1.5)
    before = predict(known, 3, model, Sampling(2, seed=1))
    net = untrained()
    net.draws = torch.tensor(False)
    model.restorers[ahead.NAME] = net
    assert torch.equal(before, predict(known, 3, model, Sampling(2, seed=1)))
