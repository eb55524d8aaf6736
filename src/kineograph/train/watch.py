"""What is looked at while a run goes on: speed, held-out numbers, pictures."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kineograph.data.loader import Batch
from kineograph.train import precision

Objective = Callable[[nn.Module, Batch, torch.Generator], tuple[Tensor, dict[str, Tensor]]]
Pictures = Callable[[nn.Module], Mapping[str, Float[Tensor, "c h w"]]]


@dataclass(frozen=True)
class HeldOut:
    """Fixed batches and one objective per number to report, at fixed noise levels say.

    Every measure starts from the same generator, so that only the weights make a difference.
    """

    batches: Sequence[Batch]
    objectives: Mapping[str, Objective]


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


def write_picture(path: Path, picture: Float[Tensor, "c h w"]) -> None:
    """A PNG of a picture in 0..1."""
    values = picture.detach().float().clamp(0, 1).mul(255).round().byte().cpu().numpy()
    cv2.imwrite(str(path), np.ascontiguousarray(values.transpose(1, 2, 0)[..., ::-1]))
