"""A package's video diffusion is trained here on its own loss, and foretells what it was not told.

Unet3D under GaussianDiffusion of video-diffusion-pytorch 0.7.0 (after Ho et al., arXiv 2204.03458),
as they come. It knows no question: frames that are known are put in place at each noise level.
"""

import importlib
import time
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from kineograph.data.augment import Frames
from kineograph.data.clips import Source, fixed_clips, rng_for
from kineograph.evaluate.peers import standing_in
from kineograph.train import precision
from kineograph.train.nearest import Stretches
from kineograph.video.levels import frames_of

PACKAGES = ("video_diffusion_pytorch", "rotary_embedding_torch", "einops_exts")
NUM_FRAMES, DIM, DIM_MULTS = 8, 64, (1, 2, 4, 8)
LEARNING_RATE = 3e-4
"""After few steps of one clip this is better than its own 1e-4, by 0.04 to 1.2 dB."""


@dataclass(frozen=True)
class Asked:
    """How a next frame is drawn of it.

    times: the noise levels, of 1,000, from the noisiest on. rounds: how often each is gone through
    (RePaint, Lugmayr et al., arXiv 2201.09865, section 4.2). from_last: begins with the last known
    frame, noised, instead of with noise (SDEdit, Meng et al., arXiv 2108.01073).
    """

    times: tuple[int, ...]
    rounds: int = 1
    from_last: bool = False


WAYS = {
    "from noise": Asked((900, 750, 600, 450, 300, 150)),
    "from noise, twice": Asked((900, 500, 200), rounds=2),
    "from the last frame at 0.02": Asked((20,), from_last=True),
    "from the last frame at 0.1": Asked((100,), from_last=True),
    "from the last frame at 0.3": Asked((300,), from_last=True),
}
"""By name; each is measured, as none is best after any time of training. After little of it,
best is what begins nearest to the last frame: at 0.02 it gives back little else."""


def require() -> None:
    """ValueError where its packages are not installed."""
    absent = [package for package in PACKAGES if find_spec(package) is None]
    if absent:
        raise ValueError(
            f"The peer needs {', '.join(absent)}, not installed here: `make .venv/.peers` does it."
        )


def load(size_px: int, dim: int = DIM, seed: int = 0) -> Any:
    """A new one, untrained. ValueError where its packages are not installed."""
    require()
    pictures = {"transforms": SimpleNamespace(ToTensor=object), "utils": object}
    with standing_in(torchvision=pictures, tqdm={"tqdm": object}):
        package = importlib.import_module(PACKAGES[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = package.Unet3D(dim=dim, dim_mults=DIM_MULTS)
    return package.GaussianDiffusion(net, image_size=size_px, num_frames=NUM_FRAMES)


def clips_of(films: Stretches, size_px: int) -> Source:
    """Clips from any frame on, cut as the package does: the middle square of all the height."""
    starts = [
        (film, first)
        for film, shots in films
        for start, end in shots
        for first in range(start, end - NUM_FRAMES + 1)
    ]

    def clip(seed: int, index: int) -> Frames:
        film, first = starts[int(rng_for(seed, index).integers(len(starts)))]
        return fixed_clips(film, [(first, first + NUM_FRAMES)], NUM_FRAMES, size_px)[0]

    return clip


def train(diffusion: Any, source: Source, minutes: float, seed: int = 0) -> tuple[int, float]:
    """Steps of one clip until the minutes are over; gives the clips, and the seconds they took.

    No other number of clips a step makes more steps, which is what few minutes lack.
    The mean weights that the package keeps begin at step 2,000, so the newest are taken.
    """
    optimizer = torch.optim.Adam(diffusion.parameters(), lr=LEARNING_RATE)
    generator = torch.Generator().manual_seed(seed)
    device = torch.device("cpu")
    kind = precision.choose(device).name
    num_clips, began = 0, time.monotonic()
    while num_clips == 0 or time.monotonic() - began < minutes * 60:
        clip = rearrange(frames_of(source(seed, num_clips)), "t c h w -> 1 c t h w")
        at = torch.randint(diffusion.num_timesteps, (1,), generator=generator)
        noise = torch.randn(clip.shape, generator=generator)
        with precision.autocast(device, kind):
            loss = diffusion.p_losses(clip, at, noise=noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        num_clips += 1
    return num_clips, time.monotonic() - began


@torch.no_grad()
def next_frame(
    diffusion: Any, known: Float[Tensor, "k c h w"], how: Asked, generator: torch.Generator
) -> Float[Tensor, "1 c h w"]:
    """The frame after the known ones, by deterministic steps (DDIM, arXiv 2010.02502, eq. 12)."""
    film = torch.cat([known, known[-1:]])

    def noise() -> Tensor:
        return torch.randn(film.shape, generator=generator)

    fixed, first = noise(), how.times[0]
    noised = mixed(diffusion, film, fixed, first)
    if not how.from_last:
        noised[-1:] = fixed[-1:]
    for now, then in pairwise(how.times):
        for _ in range(how.rounds - 1):
            less = lowered(diffusion, noised, known, fixed, now, then)
            fixed = noise()
            noised = mixed(diffusion, film, fixed, now)
            noised[-1:] = raised(diffusion, less[-1:], fixed[-1:], then, now)
        noised = lowered(diffusion, noised, known, fixed, now, then)
    return clean_of(diffusion, noised, how.times[-1])[-1:]


def lowered(
    diffusion: Any, noised: Tensor, known: Tensor, fixed: Tensor, now: int, then: int
) -> Float[Tensor, "t c h w"]:
    """From one noise level to a lower one; what is known keeps its frames and its noise."""
    clean = clean_of(diffusion, noised, now)
    signal, spread = scales(diffusion, now)
    noise = (noised - signal * clean) / spread
    clean[: len(known)], noise[: len(known)] = known, fixed[: len(known)]
    return mixed(diffusion, clean, noise, then)


def raised(diffusion: Any, less: Tensor, noise: Tensor, then: int, now: int) -> Tensor:
    """Back to a higher noise level, by noise of just what is missing (RePaint, eq. 1)."""
    signal, spread = scales(diffusion, now)
    signal_then, spread_then = scales(diffusion, then)
    kept = signal / signal_then
    return kept * less + (spread**2 - (kept * spread_then) ** 2).clamp(min=0).sqrt() * noise


def clean_of(diffusion: Any, noised: Float[Tensor, "t c h w"], at: int) -> Tensor:
    """The clean frames that it expects, within [-1, 1]."""
    when = torch.tensor([at])
    film = rearrange(noised, "t c h w -> 1 c t h w")
    clean = diffusion.predict_start_from_noise(film, when, diffusion.denoise_fn(film, when))
    return rearrange(clean, "1 c t h w -> t c h w").clamp(-1, 1)


def mixed(diffusion: Any, clean: Tensor, noise: Tensor, at: int) -> Tensor:
    """Frames at a noise level."""
    signal, spread = scales(diffusion, at)
    return signal * clean + spread * noise


def scales(diffusion: Any, at: int) -> tuple[Tensor, Tensor]:
    """How much of the film and how much noise there is at a level."""
    return diffusion.sqrt_alphas_cumprod[at], diffusion.sqrt_one_minus_alphas_cumprod[at]
