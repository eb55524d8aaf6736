"""The classical answer: pictures moved along the flow, weighed by what would have told the past.

Eleven candidates are made of the three newest frames (`candidates`). How much each counts is
fitted by least squares, place by place: they are asked to foretell the last three known frames from
the frames before those, 1 to 3 steps ahead, and the weights that would have done it best are used
for the future. Nothing here is trained; what is (`weigh.py`, `net.py`) starts here.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kineograph.models.candidates import (
    CELL_PX,
    NUM_FREE,
    NUM_SOURCES,
    blended,
    candidates,
    effect_of,
    normal_equations,
    power_of,
    split,
)
from kineograph.models.kept import Kept
from kineograph.models.layers import nearby, smoothed
from kineograph.models.motion import (
    FLOOR,
    NUM_KNOWN,
    flows_between,
    motions_of,
    paths_of,
    reach,
)
from kineograph.video.levels import in_bytes

TARGETS = {7: 1.0, 6: 0.9, 5: 0.8}
"""The known frames that are foretold, and how much each counts."""
NUM_TRIED = 3
"""Steps ahead that are tried; what lies beyond uses the weights of the farthest tried."""
SHARED = 0.5
"""How much the normal equations of one step fewer count beside a step's own."""
OVERALL = 1.0
"""How much the mean over the whole picture counts beside what is near."""
RIDGE, SHRINK, DOUBT = 3e-4, (0.1, 0.3, 0.3), 1e-3
"""Against weights that little speaks for: absolute, relative (per step ahead), and of the fit."""
LARGEST, UNSEEN = 1.5, 1e-4
"""How far the power of a change may pass the usual; what is below the second cannot be seen."""
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

    def fit_at(self, horizon: int | float) -> Fit:
        """The fit for a horizon; 1 is the next frame."""
        return self.fits[min(int(horizon), NUM_TRIED) - 1]


def guess_of(known: Float[Tensor, "b 8 3 h w"], kept: Kept | None = None) -> Guess:
    """The guess for frames in [-1, 1]; flow is measured on the CPU, on 8-bit pictures.

    kept: what was made of these frames before, for clips that go on.
    """
    return fitted(known, flows_between(in_bytes(known), kept), kept)


@torch.no_grad()
def fitted(
    known: Float[Tensor, "b 8 3 h w"], found: Float[Tensor, "b n 2 h w"], kept: Kept | None = None
) -> Guess:
    """The guess from frames and the flows between them, in full precision."""
    kept = kept or Kept(range(NUM_KNOWN))
    with torch.autocast(known.device.type, enabled=False):
        motions = motions_of(known, found, kept)
        last = NUM_KNOWN - 1
        changes = _changes(known)
        fewer: dict[int, Tensor] | None = None
        fits, tried, missed = [], [], []
        for ahead in range(1, NUM_TRIED + 1):
            made = foretold(_newest(known, last - ahead), motions[last - ahead], ahead)
            each = {t: _told_by(t, ahead, made, known, motions, kept) for t in TARGETS}
            normal = {t: weight * each[t] for t, weight in TARGETS.items()}
            pooled = (
                normal if fewer is None else {t: normal[t] + SHARED * fewer[t] for t in TARGETS}
            )
            fewer = normal
            apart = {
                t: _solved([pooled[other] for other in TARGETS if other != t], SHRINK[ahead - 1])
                for t in TARGETS
            }
            effects = {t: effect_of(apart[t], each[t]) for t in TARGETS}
            belief, usual = _belief(effects)
            weights = _solved(list(pooled.values()), SHRINK[ahead - 1])
            clues = torch.cat([*_clues(each, effects), belief, weights, changes], 1)
            fits.append(Fit(weights, belief, usual, clues))
            blend = blended(made, belief * apart[last])
            told = torch.stack([made[:, 1], made[:, 0], blend], 1)
            tried.append(_log_error(told - known[:, last, None]))
            if ahead == 1:
                missed = [known[:, last] - made[:, 0], known[:, last] - blend]
        return Guess(motions[last], tuple(fits), torch.stack(tried, 1), torch.cat(missed, 1))


def _told_by(
    target: int, ahead: int, made: Tensor, known: Tensor, motions: dict[int, Tensor], kept: Kept
) -> Float[Tensor, "b k k h8 w8"]:
    """What the candidates for a known frame say of it; `made` are those for the last one."""
    source = target - ahead

    def told() -> Float[Tensor, "b k k h8 w8"]:
        is_last = target == NUM_KNOWN - 1
        tried = made if is_last else foretold(_newest(known, source), motions[source], ahead)
        return normal_equations(tried, known[:, target])

    seen = range(source + 1 - NUM_SOURCES, source + 1)
    return kept.once(f"{ahead} ahead", (*seen, target), told)


def foretold(
    newest: Float[Tensor, "b 3 3 h w"], motions: Float[Tensor, "b 3 2 h w"], ahead: int
) -> Float[Tensor, "b k 3 h w"]:
    """The candidates for a frame so many ahead of these."""
    return candidates(newest, paths_of(motions, reach(ahead)), reach(ahead))


def _newest(known: Tensor, at: int) -> Float[Tensor, "b 3 3 h w"]:
    return known[:, at + 1 - NUM_SOURCES : at + 1]


def _belief(
    effects: dict[int, tuple[Tensor, Tensor, Tensor]],
) -> tuple[Float[Tensor, "b 1 h8 w8"], Float[Tensor, "b 1 h8 w8"]]:
    """How much of the fit to believe, 0 to 1, and the mean square of what that changes.

    Each target is foretold by the fit to the others, and compared with the unfitted answer.
    """
    agreed = power = torch.zeros(())
    for t, share in TARGETS.items():
        agreed = agreed + share * effects[t][0]
        power = power + share * effects[t][1]
    agreed, power = _around(agreed), _around(power)
    belief = (agreed / (power + DOUBT)).clamp(0, 1)
    return belief, belief.square() * power / sum(TARGETS.values())


def _clues(
    each: dict[int, Tensor], effects: dict[int, tuple[Tensor, Tensor, Tensor]]
) -> list[Tensor]:
    """Log errors without and with the fit, here and over all; how much the candidates differ."""
    plain, gained, differ = [], [], torch.zeros(())
    for t in TARGETS:
        made, _, wrong = split(each[t])
        plain.append(log_near(wrong))
        gained.append(log_near(effects[t][2]) - plain[-1])
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
    return torch.log(nearby(power.clamp(min=0), width) + FLOOR)


def held_back(
    fit: Fit, of: Float[Tensor, "b free free h8 w8"], horizon: int | float
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
    return nearby(cells) + OVERALL * cells.mean((-1, -2), keepdim=True)


def _log_error(wrong: Float[Tensor, "b n 3 h w"]) -> Float[Tensor, "b n h w"]:
    """Local, with a share of the whole picture's."""
    error = wrong.square().mean(2)
    local = smoothed(error, 17) + 0.3 * error.mean((-1, -2), keepdim=True)
    return torch.log(local + FLOOR)
