"""A live film's holes are filled when its frames come: from those before, and around the hole.

Where a film on disk shows what lies ahead, and what is in sight never is imagined once
(`restoring.filled`), here that is guessed with each frame anew: a guess that is carried on goes
astray with the motion inside the hole, which nobody sees.
"""

from collections.abc import Iterable, Iterator
from itertools import tee

import numpy as np
import torch
from jaxtyping import Bool
from torch.nn import functional as F

from kineograph.answer.restoring import (
    Frame,
    Hole,
    picture_of,
    restored,
    restorer,
    seen_around,
    shown_to,
)
from kineograph.answer.tiles import Restore, part_of
from kineograph.known import Known
from kineograph.models import cuts
from kineograph.models.remembered import Memory
from kineograph.models.restorer import STRIDE_PX
from kineograph.models.window import Predictor

ROOM_PX = 24
"""A restorer is shown so much of the picture around a hole."""


def filled_at_once(
    model: Predictor,
    frames: Iterable[Frame],
    holes: Iterable[Hole],
    hides_new: bool = False,
) -> Iterator[Frame]:
    """`restoring.filled` without looking ahead.

    hides_new: a hole that comes amid the film hides what was in sight there, so that is not shown.
    """
    net = restorer(model, "fill")
    pairs, to_see = tee(zip(frames, holes, strict=True))
    begins = cuts.cuts_at_once(cuts.changes(seen_around(to_see)))
    shot = Memory(hides_new)
    for (frame, hole), is_cut in zip(pairs, begins, strict=True):
        shot = Memory(hides_new) if is_cut else shot
        if hole.any():
            answer = _answered(net, shot, frame, hole[0].numpy())
            shot.keep(picture_of(answer), hole[0].numpy())
            yield answer
        else:
            shot.skip(picture_of(frame))
            yield frame


def _answered(net: Restore, shot: Memory, frame: Frame, hole: Bool[np.ndarray, "h w"]) -> Frame:
    """The restorer's answer in the hole; all else bit for bit."""
    made, doubt, never = shot.recalled(picture_of(torch.nan_to_num(frame)), hole)
    rows, columns = _stretch(np.any(hole, 1)), _stretch(np.any(hole, 0))
    shown = shown_to(made[-1], made, doubt, [float(hole.mean())], hole)
    unknown = torch.from_numpy(hole[rows, columns]).to(frame.dtype)[None, None, None]
    known = Known(frame[None, None, :, rows, columns], unknown)
    answer = frame.clone()
    answer[:, rows, columns] = restored(net, part_of(shown, rows, columns), known)
    return torch.where(torch.from_numpy(never), softened(answer), answer)


def softened(frame: Frame) -> Frame:
    """Without what a restorer's cells of 2x2 px leave where it knows nothing: a faint grid."""
    weights = frame.new_tensor([1.0, 2.0, 1.0]) / 4
    kernel = (weights[:, None] * weights).expand(3, 1, 3, 3)
    return F.conv2d(F.pad(frame[None], (1, 1, 1, 1), mode="replicate"), kernel, groups=3)[0]


def _stretch(inside: Bool[np.ndarray, " n"]) -> slice:
    """From the first to the last, with room, as the restorer's cells lie in the picture."""
    at = np.flatnonzero(inside)
    first, last = max(0, int(at[0]) - ROOM_PX), min(len(inside), int(at[-1]) + 1 + ROOM_PX)
    return slice(first // STRIDE_PX * STRIDE_PX, last)
