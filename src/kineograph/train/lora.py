"""Low-rank adaptation (Hu et al., arXiv 2106.09685): few numbers are learned beside fixed weights.

Scale is 1, so that the change is `up @ down` itself; merged, the network is what it was, but for
its values.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

MAX_RANK = 256


class LowRank(nn.Module):
    """A weight, and a change of low rank beside it that begins at nothing."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        rank = min(rank, rows, columns)
        self.down = nn.Parameter(torch.randn(rank, columns) * columns**-0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Float[Tensor, "rows *columns"]) -> Float[Tensor, "rows *columns"]:
        return weight + (self.up @ self.down).view_as(weight)


def adapted(net: nn.Module, rank: int, seed: int = 0) -> nn.Module:
    """The network, in place, where only changes of this rank are learned. ValueError for the rank.

    Biases and what is no matrix stay as they are.
    """
    if not 1 <= rank <= MAX_RANK:
        raise ValueError(f"The rank is {rank}: give 1 to {MAX_RANK}.")
    net.requires_grad_(False)
    layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in layers:
            parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, rank))
    return net


def merged(net: nn.Module) -> nn.Module:
    """The network, in place, with what was learned inside its own weights."""
    for layer in net.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return net
