"""Number formats are chosen by timing this machine, since bf16 is faster on some and slower on
others."""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

Format = Literal["fp32", "bf16"]
PATIENCE_SECONDS = 0.5
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Precision:
    """The chosen format, and the matrix-product rate of this machine in both (FLOP/s)."""

    name: Format
    fp32_rate: float
    bf16_rate: float

    @property
    def rate(self) -> float:
        return self.bf16_rate if self.name == "bf16" else self.fp32_rate


def gemm_rate(
    device: torch.device, dtype: torch.dtype, size: int = 1024, repeats: int = 5
) -> float:
    """FLOP/s of a square matrix product: the best of a few, as other work only slows it.

    Smaller ones are tried first, and the last is told that took no patience: some processors
    have bf16 two hundred times slower than fp32, and 10 s would go on learning that.
    """
    rate = _timed(device, dtype, size // 8, repeats)
    for larger in (size // 2, size):
        if (repeats + 1) * 2 * larger**3 / rate > PATIENCE_SECONDS:
            break
        rate = _timed(device, dtype, larger, repeats)
    return rate


def _timed(device: torch.device, dtype: torch.dtype, size: int, repeats: int) -> float:
    left = torch.full((size, size), 0.5, device=device, dtype=dtype)
    seconds = []
    for _ in range(repeats + 1):
        wait_for(device)
        start = time.perf_counter()
        torch.matmul(left, left)
        wait_for(device)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds[1:])


def wait_for(device: torch.device) -> None:
    """Accelerators work behind our back; a clock must wait for them."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def choose(device: torch.device, wanted: Format | Literal["auto"] = "auto") -> Precision:
    """The wanted format, or for "auto" bf16 where it is at least a third faster than fp32."""
    size = 4096 if device.type == "cuda" else 1024
    fp32 = gemm_rate(device, torch.float32, size)
    bf16 = gemm_rate(device, torch.bfloat16, size)
    name: Format = wanted if wanted != "auto" else ("bf16" if bf16 > 1.33 * fp32 else "fp32")
    return Precision(name, fp32, bf16)


def autocast(device: torch.device, name: Format) -> AbstractContextManager[object]:
    """Weights stay fp32; products run in bf16 where that was chosen."""
    if name == "fp32":
        return nullcontext()
    return torch.autocast(device.type, DTYPES[name])
