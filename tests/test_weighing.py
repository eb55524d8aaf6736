"""A weigher begins at what is believed, is scored by the picture's own error, and learns."""

import torch

from kineograph.models.candidates import CANDIDATES, NUM_FREE, blended, normal_equations
from kineograph.models.guess import guess_of
from kineograph.models.weigh import LARGEST_SHIFT, Weigher, heard
from kineograph.train.weighing import Examples, WeighingOptions, examples, squared_error, train
from tests_support import panning, sliding_noise


def asked(horizon: int = 1) -> Examples:
    return next(examples(next(sliding_noise(16, 2)(0)), (horizon,)))


def test_untrained_it_uses_the_fit_as_far_as_it_is_believed() -> None:
    film = panning(8, 1.0)[None]
    fit = guess_of(film).fits[0]
    of = torch.zeros(1, NUM_FREE, NUM_FREE, 6, 6)
    expected = heard(fit, of, 1)[1] * fit.weights
    torch.testing.assert_close(Weigher()(fit, of, 1), expected)


def test_it_shifts_no_weight_by_more_than_it_may() -> None:
    told, weigher = asked(), Weigher()
    with torch.no_grad():
        torch.nn.init.normal_(weigher.say.weight, std=100.0)
        weights = weigher.decided(told.clues, told.weights, told.belief)
    least, most = (torch.zeros_like(told.weights), told.weights)
    least, most = torch.minimum(least, most), torch.maximum(least, most)
    assert (weights >= least - LARGEST_SHIFT - 1e-6).all()
    assert (weights <= most + LARGEST_SHIFT + 1e-6).all()


def test_the_quadratic_form_is_the_error_of_the_blended_picture() -> None:
    generator = torch.Generator().manual_seed(0)
    made = torch.rand(2, len(CANDIDATES), 3, 32, 48, generator=generator)
    truth = torch.rand(2, 3, 32, 48, generator=generator)
    even = torch.rand(2, NUM_FREE, 1, 1, generator=generator).expand(-1, -1, 4, 6)
    picture = (blended(made, even) - truth).square().mean((1, 2, 3))
    told = asked()._replace(normal=normal_equations(made, truth))
    torch.testing.assert_close(squared_error(told, even), picture)


def test_training_lowers_the_error_and_leaves_it_frozen() -> None:
    torch.manual_seed(0)
    weigher = Weigher()
    options = WeighingOptions(num_clips=8, horizons=(1, 3), steps=60, batch_size=8)
    before, after = train(weigher, sliding_noise(16, 4), options)
    assert after < before - 0.02
    assert not any(p.requires_grad for p in weigher.parameters())
    assert weigher.spread.min() >= 0.1
