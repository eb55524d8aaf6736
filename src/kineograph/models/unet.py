"""The small U-Net that restorers and movers look with: cells of 2, 4 and 8 px."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kineograph.models.layers import channels_last, conv


class Block(nn.Module):
    """x + conv(relu(conv(x))): no norm, since levels matter here and every pass costs."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)
        nn.init.kaiming_normal_(self.first.weight)
        nn.init.normal_(self.second.weight, std=0.3 * (9 * channels) ** -0.5)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return self.second(F.relu(self.first(x), inplace=True)).add_(x)


class UNet(nn.Module):
    """Features of cells of 2 px, and of cells of 8 px, of what is seen in cells of 2 px."""

    def __init__(self, num_seen: int, num_told: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.see = conv(num_seen, fine)
        self.tell = nn.Linear(num_told, fine, bias=False)
        self.fine_in, self.fine_out = Block(fine), Block(fine)
        self.down = nn.Conv2d(fine, middle, 2, 2)
        self.middle_in, self.middle_out = Block(middle), Block(middle)
        self.down_again = nn.Conv2d(middle, coarse, 2, 2)
        self.coarse = nn.Sequential(Block(coarse), Block(coarse))
        self.up = nn.ConvTranspose2d(coarse, middle, 2, 2)
        self.up_again = nn.ConvTranspose2d(middle, fine, 2, 2)

    def forward(
        self, seen: Float[Tensor, "n s h2 w2"], told: Float[Tensor, "n a"]
    ) -> tuple[Float[Tensor, "n c h2 w2"], Float[Tensor, "n c8 h8 w8"]]:
        x = channels_last(self.see(seen)).add_(self.tell(told)[..., None, None])
        fine = self.fine_in(x)
        middle = self.middle_in(self.down(fine))
        coarse = self.coarse(self.down_again(middle))
        middle = self.middle_out(self.up(coarse).add_(middle))
        return self.fine_out(self.up_again(middle).add_(fine)), coarse
