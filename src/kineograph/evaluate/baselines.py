"""Each baseline answers `kineo predict` without learning: context frames in, next frames out."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from kineograph.evaluate.extrapolate import Dis, Extrapolation, Farneback, extrapolate

Baseline = Callable[[Float[Tensor, "t c h w"], int], Float[Tensor, "n c h w"]]

# Tuned on training shots alone; docs/decisions/0002-tuned-baselines.md has the numbers.
FARNEBACK = Extrapolation(Farneback(), trust=1.0, damping=0.8)
DIS = Extrapolation(Dis(), upsample=2, trust=0.3, damping=0.84)
LINEAR_DAMPING = 0.2


def copy_last(context: Float[Tensor, "t c h w"], num_frames: int) -> Float[Tensor, "n c h w"]:
    """The last known frame, again and again."""
    return repeat(_checked(context, num_frames)[-1], "c h w -> n c h w", n=num_frames)


def linear(
    context: Float[Tensor, "t c h w"], num_frames: int, damping: float = LINEAR_DAMPING
) -> Float[Tensor, "n c h w"]:
    """Each pixel's last change goes on, weakened by `damping` at every step, within [-1, 1]."""
    last = _checked(context, num_frames)[-1]
    change = last - context[-2] if len(context) > 1 else torch.zeros_like(last)
    reach = torch.cumsum(damping ** torch.arange(1, num_frames + 1, dtype=torch.float64), dim=0)
    reach = rearrange(reach.to(last), "n -> n 1 1 1")
    return (last + reach * change).clamp(-1, 1)


def farneback(
    context: Float[Tensor, "t c h w"], num_frames: int, how: Extrapolation = FARNEBACK
) -> Float[Tensor, "n c h w"]:
    """The last frame pulled along its Farneback flow."""
    return along_flow(context, num_frames, how)


def dis(
    context: Float[Tensor, "t c h w"], num_frames: int, how: Extrapolation = DIS
) -> Float[Tensor, "n c h w"]:
    """The last frame pulled along its dense inverse search flow."""
    return along_flow(context, num_frames, how)


def along_flow(
    context: Float[Tensor, "t c h w"], num_frames: int, how: Extrapolation
) -> Float[Tensor, "n c h w"]:
    """Flow extrapolation as `how` says; one frame has no motion and is copied."""
    pixels = _checked(context, num_frames)[-(how.num_flows + 1) :]
    if len(pixels) < 2 or min(pixels.shape[-2:]) < how.estimator.smallest_px:
        return copy_last(context, num_frames)
    pictures = list(rearrange(pixels.cpu().float(), "t c h w -> t h w c").contiguous().numpy())
    frames = np.stack(extrapolate(pictures, num_frames, how))
    return rearrange(torch.from_numpy(frames), "n h w c -> n c h w").to(context).clamp(-1, 1)


def hindcast(candidates: Sequence[Baseline], num_tested: int = 2) -> Baseline:
    """The candidate that would best have foretold the last `num_tested` known frames.

    Best is the highest mean PSNR; a tie goes to the earlier candidate. With too few known
    frames to judge (fewer than num_tested + 2) the first candidate answers.
    """

    def answer(context: Float[Tensor, "t c h w"], num_frames: int) -> Float[Tensor, "n c h w"]:
        if len(context) < num_tested + 2:
            return candidates[0](context, num_frames)
        past, recent = context[:-num_tested], context[-num_tested:]

        def misfit(candidate: Baseline) -> float:
            error = (candidate(past, num_tested) - recent).double().square()
            return float((error.mean(dim=(1, 2, 3)) + 1e-6).log().sum())

        return min(candidates, key=misfit)(context, num_frames)

    return answer


def dis_hindcast(context: Float[Tensor, "t c h w"], num_frames: int) -> Float[Tensor, "n c h w"]:
    """DIS flow extrapolation or a copy, whichever would have foretold the last known frame."""
    return hindcast([dis, copy_last], num_tested=1)(context, num_frames)


def classical() -> dict[str, Baseline]:
    """Every tuned classical baseline by the name that tables give it."""
    return {
        "copy": copy_last,
        "linear": linear,
        "farneback": farneback,
        "dis": dis,
        "dis hindcast": dis_hindcast,
    }


def _checked(context: Float[Tensor, "t c h w"], num_frames: int) -> Float[Tensor, "t c h w"]:
    if len(context) == 0 or num_frames < 1:
        raise ValueError(
            f"A baseline needs at least 1 known frame and 1 to predict; got {len(context)} "
            f"known and {num_frames} to predict."
        )
    if not torch.isfinite(context[-3:]).all():
        raise ValueError("The known frames hold NaN or infinity; give finite values in [-1, 1].")
    return context
