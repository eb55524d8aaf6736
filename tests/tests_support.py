"""What several test files share."""

from collections.abc import Iterator

import numpy as np
import torch

from kineograph.data.clips import ClipOptions, ClipSource
from kineograph.data.loader import Batches
from kineograph.models.codec import VaeShape
from kineograph.models.latent import LatentShape
from kineograph.models.layers import warped
from kineograph.models.net import Shape
from kineograph.train import recipes

TINY_SHAPE = Shape(
    encoder=16, frame_code=8, predictor=64, bottleneck=64, frame_plan=16, decoder=16, painter=16
)
TINY_VAE = VaeShape(channels=8, quarter=16, eighth=16)
TINY_LATENT = LatentShape(
    encoder=16, frame_code=8, predictor=32, bottleneck=64, frame_plan=8, decoder=16
)


def panning(num_frames: int, speed_px: float, size: int = 48) -> torch.Tensor:
    """A smooth random picture that moves to the right."""
    noise = torch.rand(1, 1, size + 8, size + 8, generator=torch.Generator().manual_seed(0))
    picture = 6 * (torch.nn.functional.avg_pool2d(noise, 9, 1) - 0.5)
    motion = torch.zeros(num_frames, 2, size, size)
    motion[:, 0] = -speed_px * torch.arange(num_frames).float()[:, None, None]
    return warped(picture.expand(num_frames, 3, -1, -1), motion).clamp(-1, 1)


class Counted:
    """A stream of frames that tells how many were pulled."""

    def __init__(self, frames: torch.Tensor) -> None:
        self.frames, self.pulled = frames, 0

    def __iter__(self) -> Iterator[torch.Tensor]:
        for frame in self.frames:
            self.pulled += 1
            yield frame


def footage() -> np.ndarray:
    """Noise that slides by one pixel a frame."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (10, 30, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    return np.stack([wide[:72, t : t + 128] for t in range(40)])


def sliding_noise(num_frames: int, size: int = 4) -> Batches:
    """Batches of it, some under a moving camera, with flows."""
    options = ClipOptions(num_frames=num_frames, size_px=32)
    source = ClipSource(footage(), [(0, 40)], options)
    mixture = recipes.Mixture(source, (("film", 0.7), ("camera", 0.3)))
    return Batches(mixture, size, prepare=recipes.with_flows, num_workers=0)
