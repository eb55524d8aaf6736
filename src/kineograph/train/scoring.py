"""How the answers of small networks are scored: by the log of each frame's squared error."""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from kineograph.data.loader import Batch
from kineograph.models.ahead import Ahead, Coming
from kineograph.models.restorer import Shown
from kineograph.video.levels import from_levels

FLOOR = 2e-5
"""Squared error (range 2) that counts as none."""
EDGE_FLOOR = 1e-3
EDGE_SIZES, NEAR_PX = 3, 5
"""Edges are compared at the film's own size, at a half and at a quarter of it."""


def restored(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """The log of each frame's squared error where it was not known, so that all clips count."""
    shown, truth = asked(batch)
    error = (model(shown).float() - truth).square().mean(1)
    hole = batch.extra.get("hole")
    hole = torch.ones_like(error) if hole is None else hole.flatten(0, -3).float()
    loss = _log_error_in(hole, error)
    return loss, {"decibels": decibels(loss)}


def filled_in(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """The same, and the error of the edges with the hole filled: what is seen must stay sharp."""
    shown, truth = asked(batch)
    hole = batch.extra["hole"].flatten(0, -3)[:, None]
    answer = torch.where(hole, model(shown).float(), truth)
    loss = _log_error_in(hole[:, 0].float(), (answer - truth).square().mean(1))
    return loss + edge_error(answer, truth), {"decibels": decibels(loss)}


def foreseen(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """`Ahead` learns its mean by the squared error, and the moved frame by its edges, too."""
    mean, moved, truth = _answered(model, batch)
    mean_loss, moved_loss = _log_error(mean, truth), _log_error(moved, truth)
    parts = {"decibels": decibels(mean_loss), "moved_decibels": decibels(moved_loss)}
    return mean_loss + moved_loss + edge_error(moved, truth), parts


def foreseen_mean(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """The error of its mean alone, to watch it by."""
    mean, _, truth = _answered(model, batch)
    return _log_error(mean, truth), {}


def foreseen_sample(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """The error of the edges of what it moves, to watch it by."""
    _, moved, truth = _answered(model, batch)
    return edge_error(moved, truth), {}


def asked(batch: Batch) -> tuple[Shown, Float[Tensor, "n 3 h w"]]:
    """A batch as a restorer sees it, and the truth."""
    names = ("own", "trust", "made", "doubt", "told", "truth")
    given = {name: batch.extra[name] for name in names if name in batch.extra}
    if given["own"].ndim == 5:  # several frames of each clip
        given = {name: value.flatten(0, 1) for name, value in given.items()}
    own, made, truth = (planes(given[name]) for name in ("own", "made", "truth"))
    trust = given.get("trust")
    trust = torch.full_like(own[:, :1], 255) if trust is None else trust[:, None]
    return Shown(own, trust, made, given["doubt"], given["told"]), from_levels(truth)


def planes(pictures: UInt8[Tensor, "*n h w c"]) -> UInt8[Tensor, "*n c h w"]:
    """Pictures as files hold them, seen with channels first."""
    return rearrange(pictures, "... h w c -> ... c h w")


def decibels(log_error: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """PSNR, of the log of a squared error in range 2."""
    return 10 / np.log(10) * -log_error.detach() + 20 * np.log10(2)


def edge_error(answer: Float[Tensor, "n 3 h w"], truth: Float[Tensor, "n 3 h w"]) -> Tensor:
    """The mean log of how much neighbours differ otherwise than they should, at three sizes."""
    errors = []
    for _ in range(EDGE_SIZES):
        wrong = answer - truth
        for difference in (wrong.diff(dim=-1), wrong.diff(dim=-2)):
            errors.append(torch.log(difference.abs().mean((1, 2, 3)) + EDGE_FLOOR).mean())
        answer, truth = F.avg_pool2d(answer, 2), F.avg_pool2d(truth, 2)
    return torch.stack(errors).sum() / EDGE_SIZES


def texture_error(
    answer: Float[Tensor, "n 3 h w"], truth: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, ""]:
    """How much edges differ in strength from those within some px of them, at three sizes.

    What is drawn out or torn counts, and what is only a little elsewhere does not: so it tells
    samples apart as ST-LPIPS does, which `edge_error` does not.
    """
    errors = []
    for _ in range(EDGE_SIZES):
        near = [F.max_pool2d(_steepness(x), NEAR_PX, 1, NEAR_PX // 2) for x in (answer, truth)]
        errors.append((near[0] - near[1]).abs().mean())
        answer, truth = F.avg_pool2d(answer, 2), F.avg_pool2d(truth, 2)
    return torch.stack(errors).mean()


def _steepness(x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h1 w1"]:
    across, down = x.diff(dim=-1)[..., :-1, :], x.diff(dim=-2)[..., :, :-1]
    return torch.hypot(across, down)


def _answered(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    assert isinstance(model, Ahead)
    shown, truth = asked(batch)
    mean, moved = model(Coming(shown, batch.extra["path"].flatten(0, 1).float()))
    return mean.float(), moved.float(), truth


def _log_error(answer: Tensor, truth: Tensor) -> Float[Tensor, ""]:
    return torch.log((answer - truth).square().mean((1, 2, 3)) + FLOOR).mean()


def _log_error_in(hole: Float[Tensor, "n h w"], error: Float[Tensor, "n h w"]) -> Float[Tensor, ""]:
    return torch.log((error * hole).sum((1, 2)) / hole.sum((1, 2)).clamp(min=1) + FLOOR).mean()
