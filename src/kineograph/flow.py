"""The one convention of noise: sigma 0 is clean, 1 is noise, and the straight line joins them.

Flow matching on straight paths (Lipman et al., arXiv 2210.02747; Liu et al., arXiv 2209.03003),
with a noise level of its own for every cell (Diffusion Forcing, arXiv 2407.01392).
`sigma` broadcasts over channels; nothing else in the package writes these formulas again.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Velocity = Callable[
    [Float[Tensor, "b t c h w"], Float[Tensor, "b t 1 h w"]], Float[Tensor, "b t c h w"]
]
"""(latents, sigma) -> the expected noise - clean of each cell, given all cells at their levels."""


def noised(
    clean: Float[Tensor, "*#cells"],
    noise: Float[Tensor, "*#cells"],
    sigma: Float[Tensor, "*#cells"],
) -> Float[Tensor, "*#cells"]:
    """(1 - sigma) clean + sigma noise; exactly `clean` at 0 and exactly `noise` at 1."""
    return torch.lerp(clean, noise, sigma.to(clean.dtype))


def velocity(
    clean: Float[Tensor, "*cells"], noise: Float[Tensor, "*cells"]
) -> Float[Tensor, "*cells"]:
    """The derivative of `noised` in sigma: it points from the clean frames to the noise."""
    return noise - clean


def velocity_from_clean(
    noisy: Float[Tensor, "*#cells"],
    clean: Float[Tensor, "*#cells"],
    sigma: Float[Tensor, "*#cells"],
) -> Float[Tensor, "*#cells"]:
    """The velocity that leads from `noisy` to `clean`; exactly 0 where sigma is 0."""
    # Dividing by infinity, not choosing by `where`: the gradient stays finite at sigma 0 too.
    return (noisy - clean) / sigma.masked_fill(sigma == 0, torch.inf)


def clean_from_velocity(
    noisy: Float[Tensor, "*#cells"],
    velocity: Float[Tensor, "*#cells"],
    sigma: Float[Tensor, "*#cells"],
) -> Float[Tensor, "*#cells"]:
    """The clean frames at the end of the straight line that `velocity` draws through `noisy`."""
    return noisy - sigma * velocity


def renoised(
    noisy: Float[Tensor, "*#cells"],
    noise: Float[Tensor, "*#cells"],
    sigma: Float[Tensor, "*#cells"],
    higher: Float[Tensor, "*#cells"],
) -> Float[Tensor, "*#cells"]:
    """`noisy`, made with `noise` at `sigma`, brought up to the level `higher` of the same line."""
    # (1 - higher) / (1 - sigma) of the old value is left; at sigma 1 there is no way up.
    left = (1 - sigma).clamp(min=torch.finfo(sigma.dtype).tiny)
    return noised(noisy, noise, (higher - sigma) / left)
