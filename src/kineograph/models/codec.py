"""A codec turns frames into what a sampler works on, and back, each frame by itself.

The trained one starts at a classical codec, the lowest frequencies of 8x8 pixels, and a zeroed
residual on both ways: training can only move on from there.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kineograph.models.layers import ChannelNorm, Residual, channels_last, conv, zeroed

STRIDE_PX = 8
LEAST_LOG_VARIANCE, FIRST_LOG_VARIANCE, MOST_LOG_VARIANCE = -12.0, -8.0, 4.0
GAIN = 0.25
"""Brings the largest coefficients near to 1."""


@runtime_checkable
class Codec(Protocol):
    """Frames in [-1, 1], whole cells of `stride_px` pixels wide and high, and their latents."""

    stride_px: int
    channels: int

    def encode(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t c h2 w2"]: ...

    def decode(self, latents: Float[Tensor, "b t c h2 w2"]) -> Float[Tensor, "b t 3 h w"]: ...


class Pixels:
    """Pixels are the latents, so what is known stays exact."""

    stride_px = 1
    channels = 3

    def encode(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t 3 h w"]:
        return frames

    def decode(self, latents: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t 3 h w"]:
        return latents


@dataclass(frozen=True)
class VaeShape:
    """Channels of the latents, and widths at a quarter and at an eighth of the picture's size."""

    channels: int = 16
    quarter: int = 64
    eighth: int = 96


class Vae(nn.Module):
    """A variational autoencoder (Kingma and Welling, arXiv 1312.6114) of 8x8 pixels a cell."""

    shift: Float[Tensor, "c 1 1"]
    scale: Float[Tensor, "c 1 1"]

    def __init__(self, shape: VaeShape | None = None) -> None:
        super().__init__()
        self.shape = s = shape or VaeShape()
        self.stride_px, self.channels = STRIDE_PX, s.channels
        self.analyse = nn.Conv2d(3, s.channels, STRIDE_PX, STRIDE_PX, bias=False)
        self.see = nn.Sequential(
            nn.PixelUnshuffle(4),
            conv(3 * 16, s.quarter),
            Residual(s.quarter),
            conv(s.quarter, s.eighth, stride=2),
            Residual(s.eighth),
            ChannelNorm(s.eighth),
            zeroed(conv(s.eighth, 2 * s.channels)),
        )
        self.synthesise = nn.ConvTranspose2d(s.channels, 3, STRIDE_PX, STRIDE_PX, bias=False)
        self.paint = nn.Sequential(
            conv(s.channels, s.eighth),
            Residual(s.eighth),
            Residual(s.eighth),
            conv(s.eighth, 4 * s.quarter),
            nn.PixelShuffle(2),
            Residual(s.quarter),
            Residual(s.quarter),
            ChannelNorm(s.quarter),
            zeroed(conv(s.quarter, 3 * 16)),
            nn.PixelShuffle(4),
        )
        self.register_buffer("shift", torch.zeros(s.channels, 1, 1))
        self.register_buffer("scale", torch.ones(s.channels, 1, 1))
        basis = lowest_frequencies(s.channels)
        self.analyse.weight.data.copy_(GAIN * basis)
        self.synthesise.weight.data.copy_(basis / GAIN)

    def posterior(
        self, pictures: Float[Tensor, "n 3 h w"]
    ) -> tuple[Float[Tensor, "n c h2 w2"], Float[Tensor, "n c h2 w2"]]:
        """Mean and log variance of each cell, not yet scaled."""
        pictures = channels_last(pictures)
        more, log_variance = self.see(pictures).float().chunk(2, 1)
        log_variance = log_variance + FIRST_LOG_VARIANCE
        mean = self.analyse(pictures).float() + more
        return mean, log_variance.clamp(LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE)

    def painted(self, cells: Float[Tensor, "n c h2 w2"]) -> Float[Tensor, "n 3 h w"]:
        """Pictures of cells that are not scaled."""
        cells = channels_last(cells)
        return self.synthesise(cells).float() + self.paint(cells).float()

    def encode(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t c h2 w2"]:
        """The mean of each cell, scaled: the same latents every time."""
        mean, _ = self.posterior(frames.flatten(0, 1))
        return ((mean - self.shift) / self.scale).unflatten(0, frames.shape[:2])

    def decode(self, latents: Float[Tensor, "b t c h2 w2"]) -> Float[Tensor, "b t 3 h w"]:
        cells = latents.flatten(0, 1) * self.scale + self.shift
        return self.painted(cells).unflatten(0, latents.shape[:2])

    @torch.no_grad()
    def standardise(self, pictures: Float[Tensor, "n 3 h w"]) -> None:
        """Sets shift and scale so that each channel of their latents has mean 0 and variance 1."""
        mean, _ = self.posterior(pictures)
        self.shift.copy_(mean.mean((0, 2, 3))[:, None, None])
        self.scale.copy_((mean - self.shift).square().mean((0, 2, 3)).sqrt()[:, None, None])


def lowest_frequencies(num: int) -> Float[Tensor, "num 3 8 8"]:
    """Cosines (Ahmed et al., 1974) of grey and of two colour differences, which count 2 higher."""
    at = (torch.arange(STRIDE_PX) + 0.5) * torch.pi / STRIDE_PX
    waves = torch.stack([torch.cos(f * at) for f in range(STRIDE_PX)])
    waves = waves / waves.norm(dim=1, keepdim=True)
    colours = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]])
    colours = colours / colours.norm(dim=1, keepdim=True)
    order = sorted(
        (v + u + 2 * (colour > 0), colour, v, u)
        for colour in range(3)
        for v in range(STRIDE_PX)
        for u in range(STRIDE_PX)
    )
    kernels = [torch.einsum("c,h,w->chw", colours[c], waves[v], waves[u]) for _, c, v, u in order]
    return torch.stack(kernels[:num])
