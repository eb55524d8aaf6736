"""A critic learns to tell frames of a game from frames of a dream of it, patch by patch.

Hinge loss over patches, every layer held to a norm of one, actions by projection (arXiv 1802.05957,
1802.05637).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from kineograph.models.world import WorldShape

NUM_SEEN = 3
WIDTHS = (64, 128, 256, 256)
LEAK = 0.2


class Critic(nn.Module):
    """How real a frame looks after the two before it and an action, in cells of 8 and of 16 px."""

    def __init__(self, shape: WorldShape, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        first, second, third, last = widths
        self.see = spectral_norm(nn.Conv2d(12 * NUM_SEEN, first, 3, 1, 1))
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, 2, 1))
            for a, b in ((first, second), (second, third), (third, last))
        )
        self.near = spectral_norm(nn.Conv2d(third, 1, 1))
        self.far = spectral_norm(nn.Conv2d(last, 1, 1))
        self.acted = spectral_norm(nn.Linear(shape.num_actions, last, bias=False))

    def forward(
        self, frames: Float[Tensor, "n 3 3 h w"], action: Float[Tensor, "n a"]
    ) -> Float[Tensor, "n p"]:
        """frames: the two before, and the one to judge."""
        before, now = frames[:, :-1], frames[:, -1]
        changes = torch.stack([before[:, 0], now - before[:, 1], now], 1)
        x = F.leaky_relu(self.see(F.pixel_unshuffle(changes.flatten(1, 2), 2)), LEAK)
        for number, layer in enumerate(self.down):
            x = F.leaky_relu(layer(x), LEAK)
            if number == 1:
                near = self.near(x)
        far = self.far(x) + (x * self.acted(action)[..., None, None]).sum(1, keepdim=True)
        return torch.cat([near.flatten(1), far.flatten(1)], 1).float()


def fooled(judged: Float[Tensor, "n p"]) -> Float[Tensor, ""]:
    """The loss of what made them: low where the critic takes them for real."""
    return -judged.mean()


def told_apart(
    real: Float[Tensor, "n p"], made: Float[Tensor, "m p"], there: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """The critic's own loss. there: 1 for frames that are, 0 for those that only fill a place."""
    of_real = (there * F.relu(1 - real).mean(1)).sum() / there.sum().clamp(min=1)
    return of_real + F.relu(1 + made).mean()
