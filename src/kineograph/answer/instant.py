"""A live film: each frame is answered when it comes, from itself and the frames before it alone.

One frame in, one frame out, at a cost that stays. Where a film on disk shows its restorer what lies
ahead (`restoring`), here a cleaned answer, moved to the next frame, stands for it (`carried.Past`).
"""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from kineograph import runtime
from kineograph.answer.restoring import (
    Frame,
    frame_of,
    levels_of,
    many,
    nothing_known,
    picture_of,
    restored,
    restorer,
    shown_to,
)
from kineograph.answer.tiles import Restore
from kineograph.models import carried
from kineograph.models.restorer import Restorer, Shown
from kineograph.models.steady import Held, held_along
from kineograph.models.window import Predictor


def cleaned_at_once(
    model: Predictor,
    frames: Iterable[Frame],
    strength: float = 1.0,
    backend: runtime.Backend = "auto",
) -> Iterator[Frame]:
    """`restoring.cleaned` without looking ahead. backend: what the restorer runs by."""
    net = quick(restorer(model, "clean"), backend)
    for frame, answer in _at_once(net, frames, 0.0, leans=True):
        yield answer if strength == 1 else torch.lerp(frame, answer, strength)


def enlarged_at_once(
    model: Predictor, frames: Iterable[Frame], scale: int, backend: runtime.Backend = "auto"
) -> Iterator[Frame]:
    """`restoring.enlarged` without looking ahead. backend: what the restorer runs by."""
    net = quick(restorer(model, "enlarge"), backend)
    large = (many(frame, scale) for frame in frames)
    yield from (answer for _, answer in _at_once(net, large, scale / 4, leans=False))


def _at_once(
    net: Restore, frames: Iterable[Frame], told: float, leans: bool
) -> Iterator[tuple[Frame, Frame]]:
    """Each frame and its answer; leans: on the one before, which is shown and held still."""
    past: carried.Past | None = None
    held: Held | None = None
    unknown = None
    for frame in frames:
        now = carried.Seen.of(picture_of(frame))
        behind, ahead, motion = past.brought(now) if past else carried.alone(now)
        made, doubt = carried.shown(behind, ahead)
        unknown = unknown or nothing_known(frame)
        asked = shown_to(now.picture, made, doubt, [now.noise / 25, told])
        answer = restored(net, asked, unknown)
        if leans:
            held = held_along(held, levels_of(answer), motion, now.noise)
            answer = frame_of(held.frame)
        mean = carried.held_with(now, behind)
        past = carried.Past(mean, picture_of(answer) if leans else None)
        yield frame, answer


class Parted(nn.Module):
    """A restorer as a backend takes it: shown tensors, not a record of them."""

    def __init__(self, net: Restorer) -> None:
        super().__init__()
        self.net = net

    def forward(
        self,
        own: UInt8[Tensor, "n 3 h w"],
        trust: UInt8[Tensor, "n 1 h w"],
        made: UInt8[Tensor, "n k 3 h w"],
        doubt: UInt8[Tensor, "n k h w"],
        told: Float[Tensor, "n a"],
    ) -> tuple[Float[Tensor, "n 3 h w"]]:
        """The frames as they are taken to be."""
        return (self.net(Shown(own, trust, made, doubt, told)),)


def quick(net: Restorer, backend: runtime.Backend) -> Restore:
    """The restorer by a backend, made ready for the size of what it is shown; eager is itself."""
    backend = runtime.chosen(backend)
    if backend == "eager":
        return net
    parted = Parted(net)
    ready: tuple[torch.Size, runtime.Runs] | None = None

    def restore(shown: Shown) -> Float[Tensor, "n 3 h w"]:
        nonlocal ready
        asked = shown.own, shown.trust, shown.made, shown.doubt, shown.told
        if ready is None or ready[0] != shown.own.shape:
            ready = shown.own.shape, runtime.prepared(parted, asked, backend)
        (answer,) = ready[1](*(tensor.numpy() for tensor in asked))
        return torch.from_numpy(answer)

    return restore
