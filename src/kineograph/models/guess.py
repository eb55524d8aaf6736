"""The classical answer: pictures moved along the flow, weighed by what would have told the past.

Eleven candidates are made of the three newest frames (`candidates`). How much each counts is
fitted by least squares, place by place: they are asked to foretell the last three known frames from
the frames before those, 1 to 3 steps ahead, and the weights that would have done it best are used
for the future. Nothing here is trained; what is (`weigh.py`, `net.py`) starts here.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

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
FIRST_FLOW = 1
"""Flows are measured at the known frames from this one on."""
TARGETS = {7: 1.0, 6: 0.9, 5: 0.8}
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
RIDGE, SHRINK, DOUBT = 3e-4, (0.1, 0.3, 0.3), 1e-3
"""Against weights that little speaks for: absolute, relative (per step ahead), and of the fit."""
LARGEST, UNSEEN = 1.5, 1e-4
"""How far the power of a change may pass the usual; what is below the second cannot be seen."""


@dataclass(frozen=True)
class Dis:
    """Dense inverse search flow (Kroeger 2016), the options of cv2.DISOpticalFlow."""

    finest_scale: int = 0
    patch_px: int = 8
    stride_px: int = 3
    num_descents: int = 25
    num_refinements: int = 5
    smoothness: float = 20.0
    smallest_px: int = 12


class Candidate(NamedTuple):
    """One of the newest known frames, moved along a share of a path.

    age: 0 is the last known frame, 1 the one before it. path: a number in `BENDS`; the older the
    frame, the more steps it has to go.
    """

    age: int
    along: float
    mode: str = "bilinear"
    path: int = 0


BENDS = (0.0, 1.0, -0.5)
"""Paths: the last motion goes on, or its last change does too, or it is averaged over two steps."""
NUM_SOURCES = 3
CANDIDATES = (
    Candidate(0, 1.0),
    Candidate(0, 0.0),
    Candidate(0, 1.0, "bicubic"),
    Candidate(0, 0.5),
    Candidate(0, 1.35),
    Candidate(1, 0.0),
    Candidate(1, 1.0),
    Candidate(0, 1.0, path=1),
    Candidate(2, 1.0),
    Candidate(0, 1.0, "bicubic", path=2),
    Candidate(1, 1.0, path=1),
)
NUM_FREE = len(CANDIDATES) - 1
SHARP = 2
"""The candidate that is as sharp as what it is made of."""
UNFITTED = (0.5, 0.0, 0.5) + (0.0,) * (len(CANDIDATES) - 3)
"""The shares of the candidates without a reason for others."""
NUM_CHANGES = 4
NUM_CLUES = 4 * len(TARGETS) + 2 * NUM_FREE + 3 + NUM_CHANGES


@dataclass(frozen=True, eq=False)
class Fit:
    """What foretold the known frames best, so many steps ahead; all per cell of 8 px.

    weights: of each candidate but the first, beside `UNFITTED`.
    belief: how much of that would have helped, 0 to 1, by leaving each target out in turn.
    usual: mean square of what was changed then.
    clues: what the decision is made of, for those who would make it better (`weigh.py`).
    """

    weights: Float[Tensor, "b free h8 w8"]
    belief: Float[Tensor, "b 1 h8 w8"]
    usual: Float[Tensor, "b 1 h8 w8"]
    clues: Float[Tensor, "b clues h8 w8"]


@dataclass(frozen=True, eq=False)
class Guess:
    """What the known frames say about the next ones, classically.

    motions: backward motion at the last known frame, in pixels a step, where it may be trusted,
        with each of `BENDS` of its last change.
    fits: for 1, 2 and 3 or more steps ahead.
    tried: log squared error, 1 to 3 steps ahead onto the last known frame, of copying, of
        moving, and of the blend that was fitted without that frame.
    missed: the last known frame less the one before it moved; and less that blend, one step ahead.
    """

    motions: Float[Tensor, "b 3 2 h w"]
    fits: tuple[Fit, ...]
    tried: Float[Tensor, "b tried 3 h w"]
    missed: Float[Tensor, "b 6 h w"]


def flow(
    now: UInt8[np.ndarray, "h w 3"], before: UInt8[np.ndarray, "h w 3"]
) -> Float[np.ndarray, "2 h w"]:
    """Backward motion between colour pictures, as two planes."""
    grey, grey_before = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (now, before))
    motion = dense_inverse_search(np.asarray(grey), np.asarray(grey_before))
    return np.ascontiguousarray(motion.transpose(2, 0, 1))


def dense_inverse_search(
    now: UInt8[np.ndarray, "h w"], before: UInt8[np.ndarray, "h w"], how: Dis | None = None
) -> Float[np.ndarray, "h w 2"]:
    """Backward motion: now(x) = before(x + motion(x)) (Kroeger et al., arXiv 1603.03590)."""
    how = how or Dis()
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(how.finest_scale)
    search.setPatchSize(how.patch_px)
    search.setPatchStride(how.stride_px)
    search.setGradientDescentIterations(how.num_descents)
    search.setVariationalRefinementIterations(how.num_refinements)
    search.setVariationalRefinementAlpha(how.smoothness)
    return search.calc(now, before, None)  # pyright: ignore[reportCallIssue, reportArgumentType]


def flows(known: UInt8[np.ndarray, "t h w 3"]) -> Float[np.ndarray, "n 2 h w"]:
    """The motion at each known frame from `FIRST_FLOW` on."""
    return np.stack([flow(known[t], known[t - 1]) for t in range(FIRST_FLOW, NUM_KNOWN)])


def flows_between(known: UInt8[Tensor, "b 8 3 h w"]) -> Float[Tensor, "b n 2 h w"]:
    """`flows` of each clip, on the device of the clips."""
    pictures = rearrange(known, "b t c h w -> b t h w c").cpu().numpy()
    found = [flows(np.ascontiguousarray(clip)) for clip in pictures]
    return torch.from_numpy(np.stack(found)).to(known.device)


def guess_of(known: Float[Tensor, "b 8 3 h w"]) -> Guess:
    """The guess for frames in [-1, 1]; flow is measured on the CPU, on 8-bit pictures."""
    return fitted(known, flows_between(levels(known).to(torch.uint8)))


@torch.no_grad()
def fitted(known: Float[Tensor, "b 8 3 h w"], found: Float[Tensor, "b n 2 h w"]) -> Guess:
    """The guess from frames and the flows between them, in full precision."""
    with torch.autocast(known.device.type, enabled=False):
        motions = _motions(known, found)
        last = NUM_KNOWN - 1
        changes = _changes(known)
        fewer: dict[int, Tensor] | None = None
        fits, tried, missed = [], [], []
        for ahead in range(1, NUM_TRIED + 1):
            made = {t: _foretold(known, motions, t, ahead) for t in TARGETS}
            each = {t: normal_equations(made[t], known[:, t]) for t in TARGETS}
            normal = {t: weight * each[t] for t, weight in TARGETS.items()}
            pooled = (
                normal if fewer is None else {t: normal[t] + SHARED * fewer[t] for t in TARGETS}
            )
            fewer = normal
            apart = {
                t: _solved([pooled[other] for other in TARGETS if other != t], SHRINK[ahead - 1])
                for t in TARGETS
            }
            belief, usual = _belief(each, apart)
            weights = _solved(list(pooled.values()), SHRINK[ahead - 1])
            clues = torch.cat([*_clues(each, apart), belief, weights, changes], 1)
            fits.append(Fit(weights, belief, usual, clues))
            blend = blended(made[last], belief * apart[last])
            told = torch.stack([made[last][:, 1], made[last][:, 0], blend], 1)
            tried.append(_log_error(told - known[:, last, None]))
            if ahead == 1:
                missed = [known[:, last] - made[last][:, 0], known[:, last] - blend]
        return Guess(motions[last], tuple(fits), torch.stack(tried, 1), torch.cat(missed, 1))


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
    newest: Float[Tensor, "b 3 3 h w"], paths: Float[Tensor, "b 3 2 h w"], steps: float
) -> Float[Tensor, "b k 3 h w"]:
    """Pictures that may be the one at the end of the paths, `steps` of the motion ahead."""
    return torch.stack([candidate(c, newest, paths, steps) for c in CANDIDATES], 1)


def candidate(
    which: Candidate, newest: Float[Tensor, "b 3 3 h w"], paths: Tensor, steps: float
) -> Float[Tensor, "b 3 h w"]:
    """One of them; `newest` are the last known frames, oldest first."""
    source = newest[:, NUM_SOURCES - 1 - which.age]
    if which.along == 0:
        return source
    along = which.along * (steps + which.age) / steps
    return warped(source, paths[:, which.path] * along, which.mode)


def blended(
    made: Float[Tensor, "b k 3 h w"], weights: Float[Tensor, "b free h8 w8"]
) -> Float[Tensor, "b 3 h w"]:
    """The weighted sum of candidates."""
    return (shares(weights, made.shape[-2:])[:, :, None] * made).sum(1)


def shares(
    weights: Float[Tensor, "b free h8 w8"], size: tuple[int, ...]
) -> Float[Tensor, "b k h w"]:
    """Each candidate's share at every pixel; they sum to 1, and some may be negative."""
    free = F.interpolate(weights, size, mode="bilinear", align_corners=False)
    free = torch.cat([-free.sum(1, keepdim=True), free], 1)
    return free + free.new_tensor(UNFITTED).view(-1, 1, 1)


def _motions(known: Tensor, found: Tensor) -> dict[int, Float[Tensor, "b 3 2 h w"]]:
    """At each known frame but the first two, the motion with each of `BENDS` of its last change."""
    straight = [
        trusted(found[:, t - FIRST_FLOW], known[:, t], known[:, t - 1])
        for t in range(FIRST_FLOW, NUM_KNOWN)
    ]
    made = {}
    for t, (before, now) in enumerate(pairwise(straight), FIRST_FLOW + 1):
        change = now - warped(before, now)
        made[t] = torch.stack([now + bend * change for bend in BENDS], 1)
    return made


def _foretold(known: Tensor, motions: dict[int, Tensor], target: int, ahead: int) -> Tensor:
    source, steps = target - ahead, reach(ahead)
    paths = paths_of(motions[source], steps)
    return candidates(known[:, source + 1 - NUM_SOURCES : source + 1], paths, steps)


def paths_of(motions: Float[Tensor, "b 3 2 h w"], steps: float) -> Float[Tensor, "b 3 2 h w"]:
    """Where the motions lead, `steps` ahead."""
    return carried(motions.flatten(0, 1), steps).unflatten(0, motions.shape[:2])


def normal_equations(
    made: Float[Tensor, "b k 3 h w"], truth: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, "b k k h8 w8"]:
    """Means over each cell of the products of candidates and truth, channels summed.

    Candidates are told as what they change in the first one, the truth as what the unfitted
    answer lacks; the truth comes last.
    """
    return _products(torch.cat([made[:, 1:] - made[:, :1], (truth - _unfitted(made))[:, None]], 1))


def products(made: Float[Tensor, "b k 3 h w"]) -> Float[Tensor, "b free free h8 w8"]:
    """The same of the candidates alone."""
    return _products(made[:, 1:] - made[:, :1])


def _products(pictures: Float[Tensor, "b k 3 h w"]) -> Float[Tensor, "b k k h8 w8"]:
    cells = rearrange(pictures, "b k c (h p) (w q) -> b h w k (c p q)", p=CELL_PX, q=CELL_PX)
    return rearrange(cells @ cells.mT / CELL_PX**2, "b h w k l -> b k l h w")


def power_of(
    weights: Float[Tensor, "b free h8 w8"], of: Float[Tensor, "b free free h8 w8"]
) -> Float[Tensor, "b 1 h8 w8"]:
    """Mean square, channels summed, of what the weights change."""
    return torch.einsum("bkhw,bklhw,blhw->bhw", weights, of, weights)[:, None].clamp(min=0)


def split(
    normal: Float[Tensor, "b k k h8 w8"],
) -> tuple[
    Float[Tensor, "b free free h8 w8"],
    Float[Tensor, "b free h8 w8"],
    Float[Tensor, "b 1 h8 w8"],
]:
    """Normal equations as products of candidates, of candidates and truth, and of the truth."""
    return normal[:, :-1, :-1], normal[:, :-1, -1], normal[:, -1, -1:]


def _unfitted(made: Float[Tensor, "b k 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    return sum((w * made[:, k] for k, w in enumerate(UNFITTED) if w), torch.zeros(()))


def _belief(
    each: dict[int, Tensor], apart: dict[int, Tensor]
) -> tuple[Float[Tensor, "b 1 h8 w8"], Float[Tensor, "b 1 h8 w8"]]:
    """How much of the fit to believe, 0 to 1, and the mean square of what that changes.

    Each target is foretold by the fit to the others, and compared with the unfitted answer.
    """
    agreed = power = torch.zeros(())
    for t, share in TARGETS.items():
        made, told, _ = split(each[t])
        agreed = agreed + share * (apart[t] * told).sum(1, keepdim=True)
        power = power + share * power_of(apart[t], made)
    agreed, power = _around(agreed), _around(power)
    belief = (agreed / (power + DOUBT)).clamp(0, 1)
    return belief, belief.square() * power / sum(TARGETS.values())


def _clues(each: dict[int, Tensor], apart: dict[int, Tensor]) -> list[Tensor]:
    """Log errors without and with the fit, here and over all; how much the candidates differ."""
    plain, gained, differ = [], [], torch.zeros(())
    for t in TARGETS:
        made, told, wrong = split(each[t])
        left = wrong - 2 * (apart[t] * told).sum(1, keepdim=True) + power_of(apart[t], made)
        plain.append(log_near(wrong))
        gained.append(log_near(left) - plain[-1])
        differ = differ + torch.diagonal(made, dim1=1, dim2=2).permute(0, 3, 1, 2)
    newest = split(each[NUM_KNOWN - 1])[2]
    here = [torch.log(differ + FLOOR), torch.log(newest + FLOOR), log_near(newest, 17)]
    over_all = [x.mean((-1, -2), keepdim=True).expand_as(x) for x in (*plain, *gained)]
    return [*plain, *gained, *over_all, *here]


def _changes(known: Float[Tensor, "b 8 3 h w"]) -> Float[Tensor, "b changes h8 w8"]:
    """How much the newest frames differ from those before them, over the whole picture."""
    power = known[:, -NUM_CHANGES - 1 :].diff(dim=1).square().mean((2, 3, 4)).flip(1)
    h, w = known.shape[-2] // CELL_PX, known.shape[-1] // CELL_PX
    return torch.log(power + FLOOR)[:, :, None, None].expand(-1, -1, h, w)


def log_near(power: Float[Tensor, "b n h8 w8"], width: int = 5) -> Float[Tensor, "b n h8 w8"]:
    """The logarithm of a mean square around each cell."""
    return torch.log(smoothed(smoothed(power.clamp(min=0), width), width) + FLOOR)


def held_back(
    fit: Fit, of: Float[Tensor, "b free free h8 w8"], horizon: int
) -> Float[Tensor, "b 1 h8 w8"]:
    """A factor below 1 where the fit would change more than it did where it was tried."""
    power = _around(power_of(fit.belief * fit.weights, of))
    allowed = LARGEST * max(1.0, horizon / NUM_TRIED) * fit.usual
    return ((allowed + UNSEEN) / (power + UNSEEN)).clamp(max=1).sqrt()


def _solved(normal: list[Tensor], shrink: float) -> Float[Tensor, "b free h8 w8"]:
    """Ridge regression in each cell, from what is near and a share of the whole picture."""
    total = torch.stack(normal).sum(0)
    k = total.shape[1] - 1
    both = _around(total.flatten(1, 2)).unflatten(1, (k + 1, k + 1)).permute(0, 3, 4, 1, 2)
    left, right = both[..., :k, :k], both[..., :k, k:]
    power = torch.diagonal(left, dim1=-2, dim2=-1)
    solved = torch.linalg.solve(left + torch.diag_embed(RIDGE + shrink * power), right)
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
