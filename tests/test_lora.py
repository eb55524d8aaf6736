"""Low-rank changes begin at nothing, stay of low rank, and end inside the network's own weights."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from kineograph.train import lora


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2, 2))


def learned(rank: int) -> tuple[nn.Module, nn.Module]:
    """The network before, and after a few steps."""
    torch.manual_seed(1)
    x, wanted = torch.randn(2, 3, 8, 8), torch.randn(2, 4, 12, 12)
    adapted = lora.adapted(net(), rank)
    torch.testing.assert_close(adapted(x), net()(x), rtol=0, atol=0)
    optimizer = torch.optim.Adam([p for p in adapted.parameters() if p.requires_grad], 0.05)
    for _ in range(5):
        optimizer.zero_grad()
        (adapted(x) - wanted).square().mean().backward()
        optimizer.step()
    before = deepcopy(adapted)(x).detach()
    merged = lora.merged(adapted)
    torch.testing.assert_close(merged(x), before)
    return net(), merged


def test_what_is_merged_answers_the_same_and_is_shaped_as_before() -> None:
    before, after = learned(2)
    mine, yours = before.state_dict(), after.state_dict()
    assert mine.keys() == yours.keys()
    for name in mine:
        same = torch.equal(mine[name], yours[name])
        assert same == name.endswith("bias"), name


def test_the_change_has_the_rank() -> None:
    before, after = learned(2)
    mine, yours = before.state_dict(), after.state_dict()
    for name, one in mine.items():
        if one.ndim > 1:
            change = (yours[name] - one).flatten(1)
            assert int(torch.linalg.matrix_rank(change, atol=1e-4)) == 2


def test_a_rank_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="rank is 0"):
        lora.adapted(net(), 0)
