"""Luck is drawn as likely as it is said to be, and what is likeliest is what no noise gives."""

import torch

from kineograph.models.luck import LEAST_ODDS, divergence, odds_of


def said(num: int = 3) -> torch.Tensor:
    return 2 * torch.randn(1, 2 * num, 1, 1, generator=torch.Generator().manual_seed(3))


def test_ways_are_drawn_as_often_as_their_odds() -> None:
    odds = odds_of(said(), 3)
    noise = torch.randn(20_000, 6, 1, 1, generator=torch.Generator().manual_seed(1))
    drawn = torch.cat([odds.at(one[None]) for one in noise]).mean(0).flatten()
    assert torch.allclose(drawn, odds.logs.exp().flatten(), atol=0.015)


def test_without_noise_it_is_the_likeliest_of_each_choice() -> None:
    odds = odds_of(said(), 3)
    taken = odds.at(torch.zeros(1, 6, 1, 1)).unflatten(1, (2, 3))
    assert torch.equal(taken.argmax(2), odds.logs.argmax(2))
    assert torch.equal(taken.sum(2), torch.ones(1, 2, 1, 1))


def test_no_way_is_impossible_and_odds_come_to_1() -> None:
    odds = odds_of(1e4 * said(), 3).logs.exp()
    assert torch.allclose(odds.sum(2), torch.ones(1, 2, 1, 1))
    assert odds.min() >= LEAST_ODDS / 3 - 1e-6


def test_divergence_is_that_of_choices() -> None:
    one, other = odds_of(said(), 3), odds_of(said().flip(1), 3)
    kinds = [
        torch.distributions.Categorical(logits=odds.logs.movedim(2, -1)) for odds in (one, other)
    ]
    expected = torch.distributions.kl_divergence(*kinds).sum((1, 2, 3))
    assert torch.allclose(divergence(one, other), expected, atol=1e-5)
    assert torch.allclose(divergence(one, one), torch.zeros(1), atol=1e-6)


def test_what_is_taken_learns_by_its_odds() -> None:
    said_here = said().requires_grad_()
    weights = torch.arange(6.0)[None, :, None, None]
    (odds_of(said_here, 3).at(torch.zeros(1, 6, 1, 1)) * weights).sum().backward()
    by_taken = said_here.grad
    said_here.grad = None
    (odds_of(said_here, 3).logs.exp().flatten(1, 2) * weights).sum().backward()
    assert by_taken is not None
    assert said_here.grad is not None
    assert torch.allclose(by_taken, said_here.grad)
