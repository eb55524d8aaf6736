"""Times DIAMOND's denoiser (arXiv 2405.12399) out of a checkout of its code, as its own program.

Its modules are called `data`, `models` and `utils`, so nothing of Kineograph may be imported here,
and of the checkout only `models.diffusion` is run: two names that this takes from elsewhere are
but types. Arguments: CHECKOUT SECONDS NUM_THREADS. Writes one line of JSON.
"""

import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

SIDE_PX, NUM_PAST, NUM_ACTIONS, NUM_STEPS = 64, 4, 18, 3
"""What config/env/atari.yaml, config/agent/default.yaml and config/trainer.yaml say; all of Atari's
actions."""
NUM_WARM = 3


def types_alone(name: str, held: str) -> None:
    """A module in whose place the real one would draw in the whole trainer."""
    module = ModuleType(name)
    setattr(module, held, object)
    sys.modules[name] = module


def sampler(checkout: Path) -> Any:
    """The sampler with an unlearned denoiser, as the checkout's own configuration has them."""
    sys.path.insert(0, str(checkout / "src"))
    types_alone("data", "Batch")
    types_alone("utils", "LossAndLogs")
    from models import diffusion  # pyright: ignore[reportMissingImports]

    inner = diffusion.InnerModelConfig(
        img_channels=3,
        num_steps_conditioning=NUM_PAST,
        cond_channels=256,
        depths=[2, 2, 2, 2],
        channels=[64, 64, 64, 64],
        attn_depths=[False, False, False, False],
        num_actions=NUM_ACTIONS,
    )
    denoiser = diffusion.Denoiser(diffusion.DenoiserConfig(inner, 0.5, 0.3)).eval()
    how = diffusion.DiffusionSamplerConfig(num_steps_denoising=NUM_STEPS)
    return diffusion.DiffusionSampler(denoiser.requires_grad_(False), how)


@torch.inference_mode()
def times(drawn: Any, seconds: float) -> list[float]:
    """How long each frame took, of a game that goes on from its own."""
    past = torch.zeros(1, NUM_PAST, 3, SIDE_PX, SIDE_PX)
    taken: list[float] = []
    while len(taken) <= NUM_WARM or sum(taken[NUM_WARM:]) < seconds:
        actions = torch.full((1, NUM_PAST), len(taken) % NUM_ACTIONS)
        began = time.perf_counter()
        frame, _ = drawn.sample(past, actions)
        past = torch.cat([past[:, 1:], frame[:, None]], 1)
        taken.append(time.perf_counter() - began)
    return taken[NUM_WARM:]


def main() -> None:
    checkout, seconds, num_threads = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(num_threads)
    torch.manual_seed(0)
    drawn = sampler(checkout)
    told = {
        "num_parameters": sum(weight.numel() for weight in drawn.denoiser.parameters()),
        "num_steps": NUM_STEPS,
        "side_px": SIDE_PX,
        "seconds": times(drawn, seconds),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
