"""What is looked at while a run goes on: speed, held-out numbers, pictures."""

import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from kineograph.answer import Sampling, continued
from kineograph.data.augment import Frames
from kineograph.data.loader import Batch
from kineograph.models.motion import NUM_KNOWN
from kineograph.train import precision
from kineograph.video.levels import frames_of

Objective = Callable[[nn.Module, Batch, torch.Generator], tuple[Tensor, dict[str, Tensor]]]
Pictures = Callable[[nn.Module], Mapping[str, Float[Tensor, "c h w"]]]


@dataclass(frozen=True)
class HeldOut:
    """Fixed batches and one objective per number to report, at fixed noise levels say.

    Every measure starts from the same generator, so that only the weights make a difference.
    said: the numbers as a person wants to hear them; each with its name by default.
    """

    batches: Sequence[Batch]
    objectives: Mapping[str, Objective]
    said: Callable[[Mapping[str, float]], str] | None = None


@dataclass
class Meter:
    """Seconds and clips since it was made: what passed, and what went on waiting for data."""

    start: float = field(default_factory=time.perf_counter)
    waited: float = 0.0
    clips: int = 0

    @property
    def seconds(self) -> float:
        return max(1e-9, time.perf_counter() - self.start)

    def shares(self, flops_per_clip: float | None, gemm_rate: float) -> dict[str, float]:
        rate = self.clips / self.seconds
        found = {"clips_per_second": rate, "wait_share": self.waited / self.seconds}
        if flops_per_clip is not None:
            found["gemm_share"] = rate * flops_per_clip / gemm_rate
        return found


@torch.no_grad()
def held_out_numbers(
    model: nn.Module, held_out: HeldOut, device: torch.device, number_format: precision.Format
) -> dict[str, float]:
    """The mean of each objective over the fixed batches."""
    found = {}
    for name, objective in held_out.objectives.items():
        generator = torch.Generator(device).manual_seed(0)
        with precision.autocast(device, number_format):
            losses = [objective(model, b.to(device), generator)[0] for b in held_out.batches]
        found[f"held_out/{name}"] = float(torch.stack(losses).mean())
    return found


def strips(
    clips: Sequence[Frames], steps: int = 4, horizons: Sequence[int] = (1, 2, 4, 8)
) -> Pictures:
    """A picture per clip: truth, mean and one sample below each other, at the horizons.

    The model is asked as users ask it, on a copy that leaves the run untouched.
    """

    def drawn(model: nn.Module) -> dict[str, Float[Tensor, "c h w"]]:
        asked = deepcopy(model).cpu().eval()
        return {f"strip-{n}": strip(asked, clip, steps, horizons) for n, clip in enumerate(clips)}

    return drawn


def strip(
    model: Any, clip: Frames, steps: int, horizons: Sequence[int]
) -> Float[Tensor, "c rows_h columns_w"]:
    """One strip in 0..1; the clip has 8 known frames, then as many as the last horizon."""
    frames = frames_of(clip)
    known, truth = frames[:NUM_KNOWN], frames[NUM_KNOWN:]
    answers = [
        torch.stack(list(continued(model, known, max(horizons), Sampling(s)))) for s in (1, steps)
    ]
    columns = [horizon - 1 for horizon in horizons]
    rows = torch.stack([films[columns] for films in (truth, *answers)])
    return rearrange((rows + 1) / 2, "r n c h w -> c (r h) (n w)")


def write_picture(path: Path, picture: Float[Tensor, "c h w"]) -> None:
    """A PNG of a picture in 0..1."""
    values = picture.detach().float().clamp(0, 1).mul(255).round().byte().cpu().numpy()
    cv2.imwrite(str(path), np.ascontiguousarray(values.transpose(1, 2, 0)[..., ::-1]))
