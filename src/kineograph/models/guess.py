"""The classical answer: pictures moved along the flow, weighed by what would have told the past.

Seven candidates are made of the two newest frames (`candidates`). How much each counts is fitted
by least squares, place by place: they are asked to foretell the last three known frames from the
frames before those, 1 to 3 steps ahead, and the weights that would have done it best are used
for the future. Nothing is trained; the model starts here and can only move on.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from kineograph.models.layers import smoothed, warped
from kineograph.video.levels import levels

NUM_KNOWN = 8
FIRST_FLOW = 2
"""Flows are measured at the known frames from this one on."""
OF_THE_LAST = (
    (1.0, "bilinear"), (0.0, "bilinear"), (1.0, "bicubic"), (0.5, "bilinear"), (1.35, "bilinear"),
)  # fmt: skip
"""How far along its path the last known frame is moved for a candidate, and how it is sampled."""
NUM_CANDIDATES = len(OF_THE_LAST) + 2
TARGETS = {7: 1.0, 6: 0.7, 5: 0.49}
"""The known frames that are foretold, and how much each counts."""
NUM_TRIED = 3
"""Steps ahead that are tried; what lies beyond uses the weights of the farthest tried."""
DAMPING = 0.84
"""Motion fades: at horizon h it has gone d + d^2 + ... + d^h steps. Tuned on training shots."""
TRUST, FLOOR = 0.3, 1e-5
SHARED = 0.5
"""How much the normal equations of one step fewer count beside a step's own."""
OVERALL = 1.0
"""How much the mean over the whole picture counts beside what is near."""
CELL_PX = 8
RIDGE, SHRINK = 3e-3, 0.3


@dataclass(frozen=True, eq=False)
class Guess:
    """What the known frames say about the next ones, classically.

    motion: backward motion at the last known frame, in pixels a step, where it may be trusted.
    weights: of each candidate but the first, per cell of 8 px, for 1, 2 and 3 or more steps.
    tried: log squared error, 1 to 3 steps ahead onto the last known frame, of copying, of
        moving, and of the fitted blend.
    missed: the last known frame less the one before it moved; and less the blend one step ahead.
    """

    motion: Float[Tensor, "b 2 h w"]
    weights: Float[Tensor, "b tried k h8 w8"]
    tried: Float[Tensor, "b tried 3 h w"]
    missed: Float[Tensor, "b 6 h w"]


def flow(
    now: UInt8[np.ndarray, "h w 3"], before: UInt8[np.ndarray, "h w 3"]
) -> Float[np.ndarray, "2 h w"]:
    """Backward motion by dense inverse search (Kroeger et al., arXiv 1603.03590)."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    pictures = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (now, before)]
    motion = search.calc(*pictures, None)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return np.ascontiguousarray(motion.transpose(2, 0, 1))


def flows(known: UInt8[np.ndarray, "t h w 3"]) -> Float[np.ndarray, "n 2 h w"]:
    """The motion at each known frame from `FIRST_FLOW` on."""
    return np.stack([flow(known[t], known[t - 1]) for t in range(FIRST_FLOW, NUM_KNOWN)])


def guess_of(known: Float[Tensor, "b 8 3 h w"]) -> Guess:
    """The guess for frames in [-1, 1]; flow is measured on the CPU, on 8-bit pictures."""
    pictures = levels(known).to(torch.uint8).permute(0, 1, 3, 4, 2).cpu().numpy()
    found = np.stack([flows(np.ascontiguousarray(clip)) for clip in pictures])
    return fitted(known, torch.from_numpy(found).to(known))


@torch.no_grad()
def fitted(known: Float[Tensor, "b 8 3 h w"], found: Float[Tensor, "b n 2 h w"]) -> Guess:
    """The guess from frames and the flows between them, in full precision."""
    with torch.autocast(known.device.type, enabled=False):
        motions = {
            t: trusted(found[:, t - FIRST_FLOW], known[:, t], known[:, t - 1])
            for t in range(FIRST_FLOW, NUM_KNOWN)
        }
        last = NUM_KNOWN - 1
        normal: list[tuple[Tensor, Tensor]] = []
        weights, tried, missed = [], [], []
        for ahead in range(1, NUM_TRIED + 1):
            made = {t: _foretold(known, motions, t, ahead) for t in TARGETS}
            normal.append(_normal_equations(made, known))
            weights.append(_solved(normal))
            blend = blended(made[last], weights[-1])
            told = torch.stack([made[last][:, 1], made[last][:, 0], blend], 1)
            tried.append(_log_error(told - known[:, last, None]))
            if ahead == 1:
                missed = [known[:, last] - made[last][:, 0], known[:, last] - blend]
        return Guess(
            motions[last], torch.stack(weights, 1), torch.stack(tried, 1), torch.cat(missed, 1)
        )


def reach(horizon: int) -> float:
    """How many steps the motion has gone at a horizon (1 is the next frame)."""
    return DAMPING * (1 - DAMPING**horizon) / (1 - DAMPING)


def trusted(motion: Tensor, now: Tensor, before: Tensor) -> Float[Tensor, "b 2 h w"]:
    """The motion, less where moving explains the frame no better than standing still does."""
    still = _nearby((now - before).square().mean(1, keepdim=True))
    moved = _nearby((now - warped(before, motion)).square().mean(1, keepdim=True))
    return motion * still / (still + TRUST * moved + FLOOR)


def carried(motion: Float[Tensor, "b 2 h w"], steps: float) -> Float[Tensor, "b 2 h w"]:
    """Motion `steps` ahead, read where what arrives here has come from."""
    found = motion
    for _ in range(2):
        found = warped(motion, found * steps)
    return found * steps


def candidates(
    last: Float[Tensor, "b 3 h w"],
    before: Float[Tensor, "b 3 h w"],
    path: Float[Tensor, "b 2 h w"],
    steps: float,
) -> Float[Tensor, "b 7 3 h w"]:
    """Pictures that may be the one at the end of the path, `steps` of the motion ahead."""
    made = [
        warped(source, path * factor, mode) if factor else source
        for source, factor, mode in recipe(last, before, steps)
    ]
    return torch.stack(made, 1)


def recipe(last: Tensor, before: Tensor, steps: float) -> list[tuple[Tensor, float, str]]:
    """Each candidate's source, how far along the path it is moved, and how it is sampled."""
    return [
        *((last, along, mode) for along, mode in OF_THE_LAST),
        (before, 0.0, "bilinear"),
        (before, (steps + 1) / steps, "bilinear"),
    ]


def blended(
    made: Float[Tensor, "b 7 3 h w"], weights: Float[Tensor, "b k h8 w8"]
) -> Float[Tensor, "b 3 h w"]:
    """The weighted sum of candidates."""
    return (shares(weights, made.shape[-2:])[:, :, None] * made).sum(1)


def shares(weights: Float[Tensor, "b k h8 w8"], size: tuple[int, ...]) -> Float[Tensor, "b 7 h w"]:
    """Each candidate's share at every pixel; they sum to 1, and some may be negative.

    Without a reason to do else, half of the linear and half of the cubic sampling is taken.
    """
    free = F.interpolate(weights, size, mode="bilinear", align_corners=False)
    free = torch.cat([1 - free.sum(1, keepdim=True), free], 1)
    return free + free.new_tensor([-0.5, 0, 0.5, 0, 0, 0, 0]).view(-1, 1, 1)


def _foretold(known: Tensor, motions: dict[int, Tensor], target: int, ahead: int) -> Tensor:
    source, steps = target - ahead, reach(ahead)
    path = carried(motions[source], steps)
    return candidates(known[:, source], known[:, source - 1], path, steps)


def _normal_equations(made: dict[int, Tensor], known: Tensor) -> tuple[Tensor, Tensor]:
    """Means of products over each cell, channels summed, all targets together."""
    k = NUM_CANDIDATES - 1
    left = right = torch.zeros(())
    for target, pictures in made.items():
        free = pictures[:, 1:] - pictures[:, :1]
        rest = known[:, target] - 0.5 * (pictures[:, 0] + pictures[:, 2])
        both = torch.cat([free, rest[:, None]], 1)
        cells = rearrange(both, "b k c (h p) (w q) -> b h w k (c p q)", p=CELL_PX, q=CELL_PX)
        products = cells[..., :k, :] @ cells.mT * (TARGETS[target] / CELL_PX**2)
        products = rearrange(products, "b h w k l -> b k l h w")
        left, right = left + products[:, :, :k].flatten(1, 2), right + products[:, :, k]
    return left, right


def _solved(normal: list[tuple[Tensor, Tensor]]) -> Float[Tensor, "b k h8 w8"]:
    """Ridge regression in each cell, from what is near and a share of the whole picture."""
    k = NUM_CANDIDATES - 1
    left, right = normal[-1]
    if len(normal) > 1:
        left, right = left + SHARED * normal[-2][0], right + SHARED * normal[-2][1]
    left = _around(left).unflatten(1, (k, k)).permute(0, 3, 4, 1, 2)
    right = _around(right).permute(0, 2, 3, 1)[..., None]
    power = torch.diagonal(left, dim1=-2, dim2=-1)
    solved = torch.linalg.solve(left + torch.diag_embed(RIDGE + SHRINK * power), right)
    return solved[..., 0].permute(0, 3, 1, 2)


def _around(cells: Float[Tensor, "b n h8 w8"]) -> Float[Tensor, "b n h8 w8"]:
    return _nearby(cells) + OVERALL * cells.mean((-1, -2), keepdim=True)


def _nearby(x: Float[Tensor, "b n h w"]) -> Float[Tensor, "b n h w"]:
    """Close to a Gaussian of 2 cells."""
    return smoothed(smoothed(x, 5), 5)


def _log_error(wrong: Float[Tensor, "b n 3 h w"]) -> Float[Tensor, "b n h w"]:
    """Local, with a share of the whole picture's."""
    error = wrong.square().mean(2)
    local = smoothed(error, 17) + 0.3 * error.mean((-1, -2), keepdim=True)
    return torch.log(local + FLOOR)
