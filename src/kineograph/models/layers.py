"""The few layers that the model is made of; each keeps the size of what it is given."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def conv(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution."""
    return nn.Conv2d(channels_in, channels_out, 3, stride, 1)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, answering 0 until it is trained."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class ChannelNorm(nn.Module):
    """Root mean square normalisation over channels, pixel by pixel (arXiv 1910.07467)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        weight = self.weight.to(x.dtype)
        last = F.rms_norm(x.permute(0, 2, 3, 1), (x.shape[1],), weight, 1e-5)
        return last.permute(0, 3, 1, 2)


class Residual(nn.Module):
    """x + conv(silu(conv(norm(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.first, self.second = conv(channels, channels), conv(channels, channels)
        nn.init.kaiming_normal_(self.first.weight)
        nn.init.normal_(self.second.weight, std=0.3 * (9 * channels) ** -0.5)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return x + self.second(F.silu(self.first(self.norm(x))))


class Attention(nn.Module):
    """Every place looks at every other; what it adds is 0 until it is trained."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = ChannelNorm(channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        n, c, h, w = x.shape
        heads = self.query_key_value(self.norm(x)).reshape(n, 3, self.num_heads, -1, h * w)
        query, key, value = heads.transpose(-1, -2).unbind(1)
        seen = F.scaled_dot_product_attention(query, key, value)
        return x + self.out(seen.transpose(-1, -2).reshape(n, c, h, w))


def channels_last(x: Tensor) -> Tensor:
    """Convolutions on CPUs are fastest with channels last in memory."""
    return x.contiguous(memory_format=torch.channels_last)


def warped(
    source: Float[Tensor, "n c h w"],
    motion: Float[Tensor, "n 2 h w"],
    mode: str = "bilinear",
    beyond: str = "border",
) -> Float[Tensor, "n c h w"]:
    """out(x) = source(x + motion(x)), motion in pixels as (dx, dy).

    mode: "bilinear" or "bicubic". beyond: what is outside of the picture, its "border" drawn out,
    or the picture's "reflection".
    """
    h, w = source.shape[-2:]
    here = _places(h, w, motion.dtype, motion.device)
    places = torch.addcmul(here, motion.permute(0, 2, 3, 1), 2 / motion.new_tensor([w, h]))
    return F.grid_sample(source, places, mode, padding_mode=beyond, align_corners=False)


@lru_cache(maxsize=4)
def _places(h: int, w: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "h w 2"]:
    """The middles of all pixels, from -1 to 1, as `F.grid_sample` counts them."""
    with torch.inference_mode(False):  # what is kept must serve training, too
        y = (2 * torch.arange(h, dtype=dtype, device=device) + 1) / h - 1
        x = (2 * torch.arange(w, dtype=dtype, device=device) + 1) / w - 1
        return torch.stack([x.expand(h, w), y[:, None].expand(h, w)], -1)


def enlarged(x: Float[Tensor, "n c h w"], factor: int) -> Float[Tensor, "n c h2 w2"]:
    """Bilinear."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def nearby(x: Float[Tensor, "n c h w"], width_px: int = 5) -> Float[Tensor, "n c h w"]:
    """The mean over a square, twice: close to a Gaussian of 0.4 widths."""
    return smoothed(smoothed(x, width_px), width_px)


def smoothed(x: Float[Tensor, "n c h w"], width_px: int) -> Float[Tensor, "n c h w"]:
    """The mean over a square of odd width."""
    half = width_px // 2
    wide = F.pad(x, (half, half, half, half), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(wide, (1, width_px), 1), (width_px, 1), 1)
