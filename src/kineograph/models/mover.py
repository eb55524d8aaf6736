"""A mover says where the last frame goes: it bends the classical motion, and paints nothing.

So what it makes is as sharp as what it was given. It starts at the classical motion.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kineograph.models.layers import conv, enlarged, nearby, zeroed
from kineograph.models.restorer import CONTRAST, Shown, as_values
from kineograph.models.unet import UNet

LEAST_REACH_PX, REACH_SHARE, REACH_WIDTH_PX = 2.0, 0.5, 33
"""How far a path may bend at a nudge: by this, and by a share of how far it leads around here."""
SMOOTH_PX = 5
MOST_NUDGES = 50.0


class Mover(nn.Module):
    """A small U-Net whose answer is a change of motion, in cells of 2 and of 8 px."""

    def __init__(self, num_made: int, num_told: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.look = UNet(12 * (1 + num_made), num_told, channels)
        self.bend = zeroed(conv(channels[0], 2))
        self.bend_all = zeroed(conv(channels[2], 2))

    def forward(self, shown: Shown, path: Float[Tensor, "n 2 h w"]) -> Float[Tensor, "n 2 h w"]:
        """Where each pixel of the frame to come was in the last one.

        shown: of its pictures the first is the last frame along `path`.
        """
        start, *made = (as_values(picture) for picture in shown.made.unbind(1))
        differ = [CONTRAST * (picture - start) for picture in (as_values(shown.own), *made)]
        fine, coarse = self.look(torch.cat([start, *differ], 1), shown.told)
        bent = enlarged(nearby(self.bend(fine).contiguous(), SMOOTH_PX), 2)
        bent = bent + 2 * enlarged(self.bend_all(coarse).contiguous(), 8)
        # What diverges must not read outside of a picture, which ends the process.
        bent = torch.nan_to_num(bent).clamp(-MOST_NUDGES, MOST_NUDGES)
        length = nearby(path.norm(dim=1, keepdim=True), REACH_WIDTH_PX)
        return path + (LEAST_REACH_PX + REACH_SHARE * length) * bent
