"""A Gaussian video, for which every right answer is known in closed form.

Its velocity is affine in the latents, so a sampler is an affine map of noise and given frames:
reading that map off column by column gives the exact law of its answers, with no sampling error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import jaxtyping
import torch
from torch import Tensor

SHAPE = (4, 2, 1, 2)  # t c h w
NUM_CELLS = 16


@dataclass(frozen=True)
class Gaussian:
    """The law of a flattened video: its mean and its covariance."""

    mean: Tensor
    covariance: Tensor

    def velocity(self, latents: Tensor, sigma: Tensor) -> Tensor:
        """E[noise - clean | latents], where each cell of latents is at its own sigma."""
        flat = latents.flatten(1)
        noise_part = sigma.to(flat).expand_as(latents).flatten(1)
        clean_part = 1 - noise_part
        law = clean_part[:, :, None] * self.covariance * clean_part[:, None, :]
        law = law + torch.diag_embed(noise_part**2)
        surprise = torch.linalg.solve(law, flat - clean_part * self.mean)
        clean = self.mean + (clean_part * surprise) @ self.covariance
        return (noise_part * surprise - clean).reshape(latents.shape)

    def given(self, seen: Tensor, values: Tensor, sigma: float = 0.0) -> "Gaussian":
        """The law of all cells, given the cells `seen` (bool) seen through noise at `sigma`.

        `values` are what the noisy observation was made from; its noise is averaged over, as a
        sampler does that draws it.
        """
        gain = (1 - sigma) * self.covariance[:, seen]
        noisy = (1 - sigma) ** 2 * self.covariance[seen][:, seen]
        noisy = noisy + sigma**2 * torch.eye(len(noisy), dtype=noisy.dtype)
        pull = torch.linalg.solve(noisy, gain.T).T
        mean = self.mean + (1 - sigma) * pull @ (values[seen] - self.mean[seen])
        covariance = self.covariance - pull @ gain.T + sigma**2 * pull @ pull.T
        return Gaussian(mean, covariance)


def smooth_video(seed: int = 0) -> Gaussian:
    """Cells of variance 1 that resemble their neighbours in time and each other in a frame."""
    time = torch.arange(SHAPE[0], dtype=torch.float64)
    over_time = torch.exp(-0.5 * (time[:, None] - time).abs())
    cells = NUM_CELLS // SHAPE[0]
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(cells, cells, generator=generator, dtype=torch.float64)
    in_frame = mix @ mix.T + 0.5 * torch.eye(cells, dtype=torch.float64)
    in_frame = in_frame / torch.outer(in_frame.diag(), in_frame.diag()).sqrt()
    mean = torch.randn(NUM_CELLS, generator=generator, dtype=torch.float64)
    return Gaussian(mean, torch.kron(over_time, in_frame))


def affine(function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The offset and the matrix (cells out x cells in) of an affine function of flat videos."""
    probes = torch.cat([torch.zeros(1, NUM_CELLS), torch.eye(NUM_CELLS)]).double()
    answers = function(probes.reshape(-1, *SHAPE)).flatten(1)
    return answers[0], (answers[1:] - answers[0]).T


def no_shape_types(test: Callable[[], None]) -> Callable[[], None]:
    """Users have no shape types: without them our own sentences must speak."""

    @wraps(test)
    def unchecked() -> None:
        before = jaxtyping.config.jaxtyping_disable
        jaxtyping.config.update("jaxtyping_disable", True)
        try:
            test()
        finally:
            jaxtyping.config.update("jaxtyping_disable", before)

    return unchecked
