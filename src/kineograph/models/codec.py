"""A codec turns frames into what the kernel works on, and back; only it knows the stride."""

from typing import Protocol

from jaxtyping import Float
from torch import Tensor


class Codec(Protocol):
    """Any pair of maps between frames and latents, each frame by itself."""

    stride_px: int

    def encode(self, frames: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t d h2 w2"]: ...

    def decode(self, latents: Float[Tensor, "b t d h2 w2"]) -> Float[Tensor, "b t c h w"]: ...


class Pixels:
    """The default: pixels are the latents, so what is known stays exact."""

    stride_px = 1

    def encode(self, frames: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
        return frames

    def decode(self, latents: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
        return latents
