"""A world as one function of bytes, which is what every backend runs and every file of it holds."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from kineograph.models.world import World
from kineograph.video.levels import from_levels, in_bytes


class Playable(nn.Module):
    """Frames in and out as 0 to 255; the end as how likely it is."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def forward(
        self,
        past: UInt8[Tensor, "n p 3 h w"],
        plate: UInt8[Tensor, "n 3 h w"],
        action: Float[Tensor, "n a"],
        noise: Float[Tensor, "n l h16 w16"],
    ) -> tuple[UInt8[Tensor, "n 3 h w"], Float[Tensor, " n"], Float[Tensor, " n"]]:
        """The next frame, its reward, and the chance that it was the end."""
        said = self.world(from_levels(past), from_levels(plate), action, noise)
        return in_bytes(said.frame), said.reward, said.end.sigmoid()

    def example(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Questions of the right shapes, all 0."""
        s = self.world.shape
        size = (3, s.height_px, s.width_px)
        return (
            torch.zeros(1, s.num_past, *size, dtype=torch.uint8),
            torch.zeros(1, *size, dtype=torch.uint8),
            torch.zeros(1, s.num_actions),
            torch.zeros(1, *s.luck_size),
        )
