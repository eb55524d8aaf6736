"""Every task side by side: what is known, and nothing else.

Frames are RGB in [-1, 1]. All tasks but `predict` take frames as they come, a tensor `t 3 h w` or
any stream of `3 h w`, and give a stream, in memory that does not grow with its length; together
they are `torch.stack(list(...))`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import repeat, tee

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kineograph import damage, flicker, imagine
from kineograph import edit as edits
from kineograph.answer import (
    Frame,
    Measured,
    Progress,
    Sampling,
    cleaned,
    cleaned_at_once,
    coloured,
    continued,
    deblurred,
    enlarged,
    enlarged_at_once,
    filled,
    filled_at_once,
    in_between,
    translated,
)
from kineograph.damage import Damage, Finding
from kineograph.imagine import Imagining
from kineograph.models import eulerian, weights
from kineograph.models.cuts import around
from kineograph.models.restorer import Restorer
from kineograph.models.window import Predictor

MAX_FRAMES = 10_000_000
MAX_LOOP = 2000
MOST_GONE = 48
"""A longer run of lost frames is left as it is: nobody knows what happened in two seconds."""
Timed = tuple[Fraction, Frame]
"""When a frame is shown, in seconds, and the frame."""


def predict(
    frames: Float[Tensor, "t c h w"],
    num_frames: int,
    model: Predictor | None = None,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> Float[Tensor, "n c h w"]:
    """The `num_frames` frames after `frames`, RGB in [-1, 1], at the same size.

    Raises ValueError for an empty or non-finite film, one that is not RGB, or no frames wanted.

    >>> past = torch.zeros(8, 3, 32, 32)
    >>> predict(past, 4).shape
    torch.Size([4, 3, 32, 32])
    """
    return torch.stack(list(predicting(frames, num_frames, model, sampling, progress)))


def predicting(
    frames: Float[Tensor, "t c h w"],
    num_frames: int,
    model: Predictor | None = None,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> Iterator[Float[Tensor, "c h w"]]:
    """`predict` as a stream: frames come as they are made, in memory that does not grow."""
    if frames.ndim != 4 or frames.shape[0] < 1 or frames.shape[1] != 3:
        raise ValueError(f"The frames are {tuple(frames.shape)}: give RGB as (t, 3, h, w), t >= 1.")
    if min(frames.shape[-2:]) < 2:
        h, w = frames.shape[-2:]
        raise ValueError(f"The frames are {w}x{h} px, too small to see motion: give 2x2 or more.")
    if not frames.isfinite().all():
        raise ValueError("The frames hold NaN or infinite values: mend them first.")
    if not 1 <= num_frames <= MAX_FRAMES:
        raise ValueError(f"{num_frames} frames are wanted: ask for 1 to {MAX_FRAMES:,}.")
    return continued(model or weights.load(), frames, num_frames, sampling, progress)


def precede(
    frames: Float[Tensor, "t 3 h w"],
    num_frames: int,
    model: Predictor | None = None,
    sampling: Sampling | None = None,
) -> Float[Tensor, "n 3 h w"]:
    """The `num_frames` frames before `frames`: the film foretold backwards. Errors as `predict`."""
    return predict(frames.flip(0), num_frames, model, sampling).flip(0)


def interpolate(
    film: Iterable[Timed], fps: Fraction, model: Predictor | None = None
) -> Iterator[Timed]:
    """A film at another rate: a frame at each k / fps, from its first moment to its last.

    Where a frame of the film is shown at that very moment, it is that frame, bit for bit. Nothing
    is blended across a cut: there the frame before it stands until the cut. Frame times rise.
    """
    if not 0 < fps <= 1000:
        raise ValueError(f"{fps} frames a second: give more than 0, and at most 1000.")
    timed, shown = tee(film)
    begins = damage.cuts(frame for _, frame in shown)
    return _at_rate(model or weights.load(), zip(timed, begins, strict=True), fps)


def _at_rate(
    model: Predictor, film: Iterable[tuple[Timed, bool]], fps: Fraction
) -> Iterator[Timed]:
    number, start, measured = 0, None, Measured()
    for window, at in around(film, 1, 2):
        (now, frame), _ = window[at]
        start = now if start is None else start
        if start + number / fps == now:
            yield now, frame
            number += 1
        if at + 1 == len(window):
            return
        (then, _), is_cut = window[at + 1]
        moments = []
        while start + number / fps < then:
            moments.append(start + number / fps)
            number += 1
        shares = [float((moment - now) / (then - now)) for moment in moments]
        four = _four(window, at)
        made = in_between(model, four, shares, measured)
        answers = repeat(frame, len(moments)) if is_cut else made
        yield from zip(moments, answers, strict=True)


def _four(window: list[tuple[Timed, bool]], at: int) -> list[Frame | None]:
    """The frame before, the two around, and the one after, of the same shot."""
    (_, frame), starts = window[at]
    (_, following), _ = window[at + 1]
    before = None if starts or at == 0 else window[at - 1][0][1]
    after = None if at + 2 >= len(window) or window[at + 2][1] else window[at + 2][0][1]
    return [before, frame, following, after]


def animate(
    still: Frame, field: Float[Tensor, "2 h w"], num_frames: int, loop: bool = True
) -> Iterator[Frame]:
    """A film that begins with the still, bit for bit, and moves along a field (`eulerian`).

    With `loop` its end meets its beginning. ValueError for no frames, or a field of another size.
    """
    if not 1 <= num_frames <= MAX_LOOP or field.shape[-2:] != still.shape[-2:]:
        raise ValueError(
            f"{num_frames} frames of {tuple(still.shape)} with a field of {tuple(field.shape)}: "
            f"give 1 to {MAX_LOOP} frames, and a field of the picture's size."
        )
    return eulerian.animated(still, field, num_frames, loop)


def inpaint(
    frames: Iterable[Frame],
    holes: Iterable[Bool[Tensor, "1 h w"]],
    model: Predictor | None = None,
) -> Iterator[Frame]:
    """Frames whose holes (True) are filled; everything else comes back bit for bit."""
    return filled(model or weights.load(), frames, holes)


def inpaint_live(
    frames: Iterable[Frame],
    holes: Iterable[Bool[Tensor, "1 h w"]],
    model: Predictor | None = None,
    hides_new: bool = False,
) -> Iterator[Frame]:
    """`inpaint` of frames that are answered when they come.

    hides_new: a hole that comes amid the film hides what was in sight there, so that is not shown.
    """
    return filled_at_once(model or weights.load(), frames, holes, hides_new)


def outpaint(
    frames: Iterable[Frame],
    height: int,
    width: int,
    model: Predictor | None = None,
) -> Iterator[Frame]:
    """The frames in the middle of a larger picture, whose rest is made; ValueError if smaller."""
    laid, shapes = tee(_laid(frame, height, width) for frame in frames)
    return inpaint((f for f, _ in laid), (hole for _, hole in shapes), model)


def _laid(
    frame: Frame, height: int, width: int
) -> tuple[Float[Tensor, "3 h2 w2"], Bool[Tensor, "1 h2 w2"]]:
    h, w = frame.shape[-2:]
    if height < h or width < w:
        raise ValueError(f"The frames are {w}x{h} px and {width}x{height} is wanted: give more.")
    top, left = (height - h) // 2, (width - w) // 2
    large = frame.new_zeros(3, height, width)
    large[:, top : top + h, left : left + w] = frame
    hole = torch.ones(1, height, width, dtype=torch.bool)
    hole[:, top : top + h, left : left + w] = False
    return large, hole


def repair(
    frames: Iterable[Frame],
    what: Damage | None = None,
    listed: frozenset[int] = frozenset(),
    model: Predictor | None = None,
    lines: frozenset[int] = frozenset(),
) -> Iterator[tuple[Frame, Finding]]:
    """Frames with their damage made good, and what was wrong with each.

    Dropped frames are put back (so the film may become longer), frozen and listed ones are made
    anew from those around them, and scratches, dust and glitches are filled. What is whole comes
    back bit for bit. `lines` are columns, in pixels at half the height, in which a scratch runs
    that could not be proved.
    """
    model = model or weights.load()
    plain, seen = tee(frames)
    findings = damage.found(seen, what or Damage(), lines)
    found = damage.marked(findings, listed) if listed else findings
    return _whole(model, damage.spread(plain, found))


def _whole(
    model: Predictor, pairs: Iterable[tuple[Frame, Finding]]
) -> Iterator[tuple[Frame, Finding]]:
    """First what is gone altogether, from the two frames around it; then holes."""
    first, second = tee(_remade(model, pairs))
    third, findings = tee(second)
    answers = filled(model, (frame for frame, _ in first), (_part(f) for _, f in third))
    return zip(answers, (finding for _, finding in findings), strict=True)


def _part(finding: Finding) -> Bool[Tensor, "1 h w"]:
    return torch.zeros_like(finding.hole) if finding.hole.all() else finding.hole


def _remade(
    model: Predictor, pairs: Iterable[tuple[Frame, Finding]]
) -> Iterator[tuple[Frame, Finding]]:
    """Frames that are all hole, made of the last and the next that are not; runs are kept."""
    last: Frame | None = None
    gone: list[Finding] = []
    for frame, finding in pairs:
        if finding.hole.all() and len(gone) < MOST_GONE:
            gone.append(finding)
            continue
        ends = (last, None if finding.starts_shot and last is not None else frame)
        yield from zip(_run(model, *ends, len(gone)), gone, strict=True)
        yield frame, finding
        last, gone = frame, []
    if gone and last is None:
        raise ValueError("No frame of the film is whole: there is nothing to repair it from.")
    yield from zip(_run(model, last, None, len(gone)), gone, strict=True)


def _run(model: Predictor, before: Frame | None, after: Frame | None, count: int) -> list[Frame]:
    if before is not None and after is not None:
        shares = [(n + 1) / (count + 1) for n in range(count)]
        return list(in_between(model, [None, before, after, None], shares))
    stands = before if before is not None else after
    return [] if stands is None else [stands] * count


def generate(
    like: Float[Tensor, "t 3 h w"],
    num_frames: int,
    height: int,
    width: int,
    loop: bool = False,
    imagining: Imagining | None = None,
) -> Iterator[Float[Tensor, "3 height width"]]:
    """A new film with the statistics of a clip; nothing of it is known. See `imagine`."""
    return imagine.generating(like, num_frames, height, width, imagining, loop)


def edit(
    frames: Float[Tensor, "t 3 h w"],
    strength: float,
    region: Bool[Tensor, "#t 1 h w"] | None = None,
    reference: Float[Tensor, "t2 3 h2 w2"] | None = None,
    seed: int = 0,
) -> Iterator[Frame]:
    """The film known as far as `strength` leaves it, with the look of a reference. See `edit`."""
    return edits.editing(frames, strength, region, reference, seed)


def edit_live(
    frames: Iterable[Frame],
    reference: Float[Tensor, "t2 3 h2 w2"],
    strength: float,
    regions: Iterable[Bool[Tensor, "1 h w"]] | None = None,
    seed: int = 0,
) -> Iterator[Frame]:
    """`edit` of frames that are answered when they come."""
    return edits.editing_live(frames, reference, strength, regions, seed)


@dataclass(frozen=True)
class Enhancement:
    """What is to be made better; each by itself or together."""

    denoise: float = 0.0
    """Share of the noise and compression that is taken away, 0 to 1."""
    deblur: bool = False
    scale: int = 1
    """1, 2 or 4 times as many pixels a side."""
    deflicker: float = 0.0
    """Share of the flicker that is taken away, 0 to 1."""
    colourise: float = 0.0
    """How strong the colours are that a grey film gets, 0 to 1."""

    def __post_init__(self) -> None:
        for name in ("denoise", "deflicker", "colourise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 to 1.")
        if self.scale not in (1, 2, 4):
            raise ValueError(f"The scale is {self.scale}: give 1, 2 or 4.")


def enhance(
    frames: Iterable[Frame],
    what: Enhancement,
    model: Predictor | None = None,
    live: bool = False,
) -> Iterator[Frame]:
    """Frames with less flicker, noise and blur, more pixels, and colours, as asked, in that order.

    Looks a few frames ahead (15 for flicker, 12 to 16 for the rest); `live` does so for flicker
    alone, so each frame is answered when it comes, less well. ValueError for live deblurring.
    """
    if live and what.deblur:
        raise ValueError("Blur is measured over the frames around: live, it cannot be undone.")
    model, stream = model or weights.load(), iter(frames)
    clean, enlarge = (cleaned_at_once, enlarged_at_once) if live else (cleaned, enlarged)
    if what.deflicker:
        stream = flicker.deflickered(stream, what.deflicker)
    if what.deblur:
        stream = deblurred(model, stream, what.denoise)
    elif what.denoise:
        stream = clean(model, stream, what.denoise)
    if what.colourise:
        stream = coloured(model, stream, what.colourise)
    if what.scale > 1:
        stream = enlarge(model, stream, what.scale)
    return stream


def transfer(frames: Iterable[Frame], net: Restorer) -> Iterator[Frame]:
    """Frames of one domain shown in the other, by a map that was learned from pairs."""
    return translated(net, frames)


def frames_in(seconds: float, fps: Fraction) -> int:
    """How many frames last so long, at least 1. ValueError if that is no sensible duration."""
    if not 0 < seconds <= 1e6:
        raise ValueError(f"{seconds} seconds: give more than 0, and at most a million.")
    return max(1, round(seconds * fps))
