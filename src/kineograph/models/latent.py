"""The predictor in a codec's latents: untrained it answers the classical guess, as decoded.

The question is the one that `net.Kineo` is asked: 8 known and 8 unknown frames, a noise level for
each cell. Beside the latents stands a guide: the latents of the classical guess.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kineograph.models.candidates import NUM_SOURCES
from kineograph.models.codec import Codec
from kineograph.models.guess import NUM_TRIED, Guess
from kineograph.models.layers import (
    Attention,
    ChannelNorm,
    Residual,
    channels_last,
    conv,
    enlarged,
    smoothed,
    zeroed,
)
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.net import CONTRAST, answered
from kineograph.models.weigh import Weigher

SLOWNESS = 0.2
"""Of the head: the guess is good, and first steps at the full rate leave it for the worse."""
LEAST_ADDED = 0.05
"""Of latents of variance 1: what may be added even where nothing moves."""


@dataclass(frozen=True)
class LatentShape:
    """The widths of the model."""

    num_frames: int = 16
    encoder: int = 64
    frame_code: int = 24
    predictor: int = 160
    bottleneck: int = 192
    frame_plan: int = 32
    decoder: int = 96


@dataclass(frozen=True, eq=False)
class Guidance:
    """The latents of the guessed frames, and how wrong copy, motion and guess were on the past."""

    latents: Float[Tensor, "b n c h w"]
    tried: Float[Tensor, "b n 3 h w"]


class LatentKineo(nn.Module):
    """Encoder (each frame), predictor (all frames at once), decoder (each unknown frame).

    For each cell it moves from the guide towards the last known frame, towards the noised cell
    itself, and by what it adds; all three are 0 until it is trained.
    """

    def __init__(self, codec: Codec, shape: LatentShape | None = None) -> None:
        super().__init__()
        self.codec = codec
        self.shape = s = shape or LatentShape()
        seen = 3 * codec.channels + 4
        self.weigh = Weigher().requires_grad_(False)
        self.encode = nn.Sequential(
            conv(seen, s.encoder),
            Residual(s.encoder),
            ChannelNorm(s.encoder),
            nn.Conv2d(s.encoder, s.frame_code, 1),
        )
        self.gather = nn.Sequential(
            conv(s.frame_code * s.num_frames, s.predictor), Residual(s.predictor)
        )
        self.look_around = nn.Sequential(
            conv(s.predictor, s.bottleneck, stride=2),
            Residual(s.bottleneck),
            Attention(s.bottleneck, max(1, s.bottleneck // 64)),
            nn.Conv2d(s.bottleneck, s.predictor, 1),
        )
        self.spread = nn.Sequential(
            Residual(s.predictor),
            ChannelNorm(s.predictor),
            nn.Conv2d(s.predictor, s.frame_plan * self.num_unknown, 1),
        )
        self.decode = nn.Sequential(
            conv(s.frame_plan + seen, s.decoder),
            Residual(s.decoder),
            ChannelNorm(s.decoder),
            zeroed(conv(s.decoder, 3 * codec.channels)),
        )

    @property
    def num_unknown(self) -> int:
        return self.shape.num_frames - NUM_KNOWN

    @torch.no_grad()
    def guidance(self, known: Float[Tensor, "b 8 3 h w"], guess: Guess) -> Guidance:
        """The guess, as the model is told it."""
        said = answered(self.weigh, known[:, -NUM_SOURCES:], guess, range(1, self.num_unknown + 1))
        latents = self.codec.encode(said.blend)
        tried = [guess.tried[:, min(n, NUM_TRIED - 1)] for n in range(self.num_unknown)]
        cells = F.avg_pool2d(torch.stack(tried, 1).flatten(0, 1), self.codec.stride_px)
        return Guidance(latents, cells.unflatten(0, latents.shape[:2]))

    def forward(
        self,
        latents: Float[Tensor, "b t c h w"],
        sigma: Float[Tensor, "b t 1 h w"],
        guidance: Guidance,
    ) -> Float[Tensor, "b n c h w"]:
        """The clean latents of the unknown frames; h and w are even.

        latents are noised by sigma: the first 8 known, then as many as the window holds.
        """
        b = latents.shape[0]
        seen = _seen(latents, sigma, guidance)
        plans = self._plans(seen)
        here = torch.cat([plans, seen[:, NUM_KNOWN:].to(plans.dtype)], 2)
        out = SLOWNESS * self.decode(channels_last(here.flatten(0, 1))).float()
        out = out.unflatten(0, (b, -1))
        still, own, added = out.chunk(3, 2)
        to_last = latents[:, NUM_KNOWN - 1 : NUM_KNOWN] - guidance.latents
        to_noisy = (1 - sigma[:, NUM_KNOWN:]) * (latents[:, NUM_KNOWN:] - guidance.latents)
        added = _disagreement(to_last) * added
        return guidance.latents + still * to_last + own * to_noisy + added

    def _plans(self, seen: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b n d h w"]:
        b = seen.shape[0]
        codes = self.encode(channels_last(seen.flatten(0, 1)))
        x = self.gather(channels_last(rearrange(codes, "(b t) c h w -> b (t c) h w", b=b)))
        x = self.spread(x + enlarged(self.look_around(x), 2))
        return rearrange(x, "b (n d) h w -> b n d h w", n=self.num_unknown)


def _disagreement(to_last: Float[Tensor, "b n c h w"]) -> Float[Tensor, "b n 1 h w"]:
    """How much guess and copy differ around here; unbounded, still clips would own the gradient."""
    power = to_last.square().mean(2, keepdim=True)
    return smoothed(power.flatten(0, 1), 3).unflatten(0, power.shape[:2]).sqrt() + LEAST_ADDED


def _seen(latents: Tensor, sigma: Tensor, guidance: Guidance) -> Float[Tensor, "b t d h w"]:
    """Per frame: itself, its change since the last known one, what the guess says, and sigma."""
    last = latents[:, NUM_KNOWN - 1 : NUM_KNOWN]
    said = torch.cat([CONTRAST * (guidance.latents - last), (guidance.tried + 6) / 3], 2)
    said = torch.cat([torch.zeros_like(said[:, :1]).expand(-1, NUM_KNOWN, -1, -1, -1), said], 1)
    return torch.cat([latents, CONTRAST * (latents - last), said, sigma], 2)
