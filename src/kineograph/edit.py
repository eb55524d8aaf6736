"""A film is edited as far as noise would hide the change, frame by frame, and moves as it did.

SDEdit (Meng et al., arXiv 2108.01073) with the patches of a reference as the model. The layer is
just above `imagine`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kineograph.imagine import check_clip, settled
from kineograph.known import Known
from kineograph.models import laid
from kineograph.models.laid import Laid, Mixing, Plane
from kineograph.models.layers import nearby, warped
from kineograph.models.motion import flow
from kineograph.models.patch_search import Bank, Size
from kineograph.models.patches import Lattice, Matches, Search
from kineograph.models.pull import SMALLEST_PX, Pull, Seen, mixed
from kineograph.models.pyramid import Answer, Level, bank_at, finer, heights, scaled, sides, touched
from kineograph.models.recolour import Colours, colours_of, moved, moved_picture
from kineograph.sample import Progress
from kineograph.video.levels import levels as in_levels

NUM_LOOKS = 8
"""Frames of the reference that patches are taken from."""
LAYOUT_PX, PATCH_PX = 30, 5
"""The short side at which a reference begins to replace the film, and the patches' side: larger
patches are more of the reference and less of the film's layout."""
MOST_LAYOUT, MOST_SIGMA = 0.15, 0.1
"""No more noise than this at the first level, nor at the later ones, for the same reason."""
MOST_FREE, MOST_FREE_SIGMA = 0.8, 0.2
"""The same without a reference: a film's own patches would otherwise just give it back."""
KEEN = 2.0
"""From half strength on nothing of the film itself is mixed into what a finer level begins with."""
STEER = 0.8
"""How much of a frame begins as the one before it, pulled along the motion, where that fits."""
MISFIT = 0.06
"""Errors of that size halve the belief in the motion, about."""
SURE = 8.0
"""How suddenly the reference gives way to the film where it differs by more than the noise."""
NEW = 0.35
"""A frame that the motion fits less than that, on average, begins a shot."""
FAINT = 1e-4
"""At less strength than that, which no file of 8 bits would show, the film comes back."""
NUM_COLOURS, EVERY_PX = 48, 8
"""Live, the colours of a shot are those of its last frames, about so many, every so many pixels."""


def edit(
    frames: Float[Tensor, "t c h w"],
    strength: float,
    region: Bool[Tensor, "n 1 h3 w3"] | None = None,
    reference: Float[Tensor, "t2 c h2 w2"] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Float[Tensor, "t c h w"]:
    """The film in `region` remade with the look of `reference`.

    The region is given for one frame or for each, and is everywhere if None; outside of it every
    bit stays. What differs by less than the noise of `strength` is exchanged (SDEdit, arXiv
    2108.01073): near 0 the film comes back as it is, near 1 all of it is made of pieces of the
    reference (of the film itself, if None) on the film's layout. RGB in [-1, 1].

    >>> film = torch.rand(3, 3, 16, 16) * 2 - 1
    >>> torch.equal(edit(film, strength=0.0), film)
    True
    """
    return torch.stack(list(editing(frames, strength, region, reference, seed, progress)))


def editing(
    frames: Float[Tensor, "t c h w"],
    strength: float,
    region: Bool[Tensor, "n 1 h3 w3"] | None = None,
    reference: Float[Tensor, "t2 c h2 w2"] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Iterator[Float[Tensor, "c h w"]]:
    """`edit` as a stream: frame by frame, each steered by the one before it."""
    t, _, h, w = frames.shape
    check_clip(frames, "film")
    _check_strength(strength)
    inside = torch.ones(1, 1, h, w, dtype=torch.bool) if region is None else region
    if tuple(inside.shape[1:]) != (1, h, w) or inside.shape[0] not in (1, t):
        raise ValueError(
            f"The region is {tuple(inside.shape)}, but this film needs {(t, 1, h, w)}."
        )
    if reference is not None:
        check_clip(reference, "reference")
    maker = _maker(frames, strength, reference, seed)
    before = None
    for i in range(t):
        here = inside[i % len(inside)]
        if strength >= FAINT and here.any():
            before = _remade(maker, frames[i : i + 1], here[None], before)
            yield before.answers[-1].frames[0]
        else:
            before = None
            yield frames[i]
        if progress is not None:
            progress(i + 1, t)


def editing_live(
    frames: Iterable[Float[Tensor, "3 h w"]],
    reference: Float[Tensor, "t2 3 h2 w2"],
    strength: float,
    regions: Iterable[Bool[Tensor, "1 h w"]] | None = None,
    seed: int = 0,
) -> Iterator[Float[Tensor, "3 h w"]]:
    """`editing` of a film that comes frame by frame and may never end: each is answered at once.

    The first frame is answered as `editing` would; after it the patches stay on what they were laid
    on (`models.laid`), at a cost and in a memory that do not grow. `regions`: one for each frame,
    pulled with it; a frame whose region is empty comes back itself. RGB in [-1, 1].

    >>> film = torch.rand(3, 3, 16, 16) * 2 - 1
    >>> len(list(editing_live(film, reference=film, strength=0.5)))
    3
    """
    _check_strength(strength)
    check_clip(reference, "reference")
    insides = None if regions is None else iter(regions)
    live = past = None
    for turn, frame in enumerate(frames):
        inside = _inside(frame, insides, turn)
        if live is not None and live.planes[-1].size != tuple(frame.shape[-2:]):
            h, w = live.planes[-1].size
            raise ValueError(
                f"Frame {turn} is {tuple(frame.shape)}, but the film is (3, {h}, {w})."
            )
        if strength < FAINT or not inside.any():
            yield frame
            continue
        live = live or _Live.of(frame, strength, reference, seed)
        past = live.first(frame) if past is None else live.next(frame, inside, past, turn)
        answer = rearrange(torch.from_numpy(past.laid[-1].frame), "h w c -> c h w")
        yield torch.where(inside, answer.to(frame), frame)


def _inside(
    frame: Float[Tensor, "3 h w"], regions: Iterator[Bool[Tensor, "1 h w"]] | None, turn: int
) -> Bool[Tensor, "1 h w"]:
    check_clip(frame[None], f"frame {turn}")
    if regions is None:
        return torch.ones_like(frame[:1], dtype=torch.bool)
    inside = next(regions, None)
    if inside is None:
        raise ValueError(f"The film goes on, but there are only {turn} regions: give one a frame.")
    needed = (1, *frame.shape[-2:])
    if tuple(inside.shape) != needed:
        raise ValueError(f"The region is {tuple(inside.shape)}, but frame {turn} needs {needed}.")
    return inside


def _check_strength(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}: give 0 (the film as it is) to 1.")


@dataclass(frozen=True, eq=False)
class _Maker:
    """What stays the same from frame to frame."""

    strength: float
    levels: list[Level]
    banks: list[Bank]
    given: Colours
    look: Colours | None
    seed: int


@dataclass(frozen=True, eq=False)
class _Remade:
    """A frame as it was given and as it was answered, at every level."""

    given: Float[Tensor, "1 3 h w"]
    answers: list[Answer]


def _maker(
    frames: Float[Tensor, "t 3 h w"],
    strength: float,
    reference: Float[Tensor, "t2 3 h2 w2"] | None,
    seed: int,
) -> _Maker:
    h, w = frames.shape[-2:]
    given, look = _spread(frames), _spread(frames if reference is None else reference)
    width = max(1, round(look.shape[-1] * h / look.shape[-2]))
    large = scaled(look, Size(len(look), h, width))
    levels = edit_levels(h, w, strength, free=reference is None)
    banks = [bank_at(one, large, Size(1, one.height, one.width)) for one in levels]
    colours = None if reference is None else colours_of(look)
    return _Maker(strength, levels, banks, colours_of(given), colours, seed)


def edit_levels(height: int, width: int, strength: float, free: bool = False) -> list[Level]:
    """The same noise is the less at each coarser level, where more pixels are averaged.

    With `free` (no reference) the whole picture is thought out anew, not only its surfaces.
    """
    shorts = heights(min(height, width))
    if not free:
        shorts = [short for short in shorts if short >= LAYOUT_PX] or shorts[-1:]
    first, later = (MOST_FREE, MOST_FREE_SIGMA) if free else (MOST_LAYOUT, MOST_SIGMA)
    levels = []
    for i, short in enumerate(shorts):
        ratio = _ratio(strength) * short / shorts[-1]
        sigma = min(ratio / (1 + ratio), later if i else first)
        search = Search(1, 4, True) if short <= 2 * LAYOUT_PX else Search(2, 1, False, 4)
        patch = Size(1, PATCH_PX, PATCH_PX)
        levels.append(Level(*sides(height, width, short), 1, patch, sigma, 8, search))
    return levels


def _ratio(strength: float) -> float:
    """Noise over signal."""
    return strength / max(1e-6, 1 - strength)


def _remade(
    maker: _Maker, now: Tensor, inside: Bool[Tensor, "1 1 h w"], before: _Remade | None
) -> _Remade:
    """One frame, coarse to fine."""
    # The same noise for every frame: what does not move does not flicker.
    generator = torch.Generator().manual_seed(maker.seed)
    start = now
    if maker.look is not None:
        start = torch.lerp(now, moved(now, maker.given, maker.look), maker.strength)
    pull = None if before is None else _pull(now, before.given)
    answers: list[Answer] = []
    for i, (level, bank) in enumerate(zip(maker.levels, maker.banks, strict=True)):
        film = level.size(1)
        lattice = level.lattice(film, bank, ring=False)
        base, matches = scaled(start, film), None
        if answers:
            said, matches = finer(answers[-1], bank, lattice)
            base = torch.lerp(base, said[0], min(1.0, KEEN * maker.strength))
        if before is not None and pull is not None:
            base, matches = _steered(base, matches, before.answers[i], pull, lattice)
        region = touched(inside, film)
        frames = torch.where(region, base, scaled(now, film))[None]
        question = Known(frames, level.sigma * region[None].float())
        mixed = _Mix(scaled(start, film)[None], maker.strength)
        frames, matches = settled(question, level, bank, matches, False, generator, mixed)
        answers.append(Answer(frames, matches, lattice, bank))
    return _Remade(now, answers)


@dataclass(frozen=True, eq=False)
class _Mix:
    """The film's own patch is believed instead where the reference's differs by more than noise."""

    own: Float[Tensor, "1 1 3 h w"]
    strength: float

    def __call__(self, clean: Float[Tensor, "1 1 3 h w"]) -> Float[Tensor, "1 1 3 h w"]:
        away = nearby((clean - self.own)[0].square().mean(1, keepdim=True))
        away = away / _ratio(self.strength) ** 2
        return torch.lerp(self.own, clean, torch.sigmoid(SURE * (1 - away))[None])


@dataclass(frozen=True, eq=False)
class _Pull:
    """Backward motion from a frame to the one before it, and where that explains the frame."""

    motion: Float[Tensor, "1 2 h w"]
    fit: Float[Tensor, "1 1 h w"]


def _pull(now: Float[Tensor, "1 3 h w"], before: Float[Tensor, "1 3 h w"]) -> _Pull:
    motion = torch.zeros_like(now[:, :2])
    if min(now.shape[-2:]) >= SMALLEST_PX:
        found = flow(_picture(now), _picture(before))
        motion = torch.from_numpy(found)[None].to(now.dtype)
    wrong = nearby((now - warped(before, motion)).square().mean(1, keepdim=True))
    return _Pull(motion, torch.exp(-wrong / (2 * MISFIT**2)))


def _steered(
    base: Float[Tensor, "1 3 h w"],
    matches: Matches | None,
    before: Answer,
    pull: _Pull,
    lattice: Lattice,
) -> tuple[Float[Tensor, "1 3 h w"], Matches | None]:
    """Begun, where the motion fits, as the frame before pulled along it, and so its matches."""
    h, w = base.shape[-2:]
    scale = torch.tensor([w / pull.motion.shape[-1], h / pull.motion.shape[-2]])
    motion = scaled(pull.motion, Size(1, h, w)) * rearrange(scale, "c -> c 1 1")
    fit = scaled(pull.fit, Size(1, h, w))
    steered = torch.lerp(base, warped(before.frames, motion), STEER * fit)
    if matches is None:
        return steered, None
    pulled, at = _pulled(before.matches, motion, lattice)
    trusted = fit[0, 0][at] > 0.5
    return steered, torch.where(rearrange(trusted, "h w -> 1 h w 1"), pulled, matches)


def _pulled(
    matches: Matches, motion: Float[Tensor, "1 2 h w"], lattice: Lattice
) -> tuple[Matches, tuple[Tensor, Tensor]]:
    """The matches of where each patch came from, and the pixels in the middles of the patches."""
    (_, gy, gx), stride = lattice.grid, lattice.stride_px
    y, x = torch.meshgrid(torch.arange(gy), torch.arange(gx), indexing="ij")
    middle_y = (y * stride + lattice.patch.h // 2).clamp(max=motion.shape[-2] - 1)
    middle_x = (x * stride + lattice.patch.w // 2).clamp(max=motion.shape[-1] - 1)
    dx, dy = motion[0][:, middle_y, middle_x]
    from_y = ((y * stride + dy) / stride).round().long().clamp(0, gy - 1)
    from_x = ((x * stride + dx) / stride).round().long().clamp(0, gx - 1)
    shift_y = (y * stride + dy - from_y * stride).round().long()
    shift_x = (x * stride + dx - from_x * stride).round().long()
    shift = torch.stack([torch.zeros_like(y), shift_y, shift_x], -1)
    return matches[:, from_y, from_x] + shift, (middle_y, middle_x)


def _picture(frame: Float[Tensor, "1 3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(rearrange(in_levels(frame).byte(), "1 c h w -> h w c").numpy())


def _spread(clip: Float[Tensor, "t c h w"]) -> Float[Tensor, "n c h w"]:
    """Some frames of the clip, evenly spaced."""
    picked = torch.linspace(0, len(clip) - 1, min(len(clip), NUM_LOOKS)).round().long()
    return clip[picked]


@dataclass(frozen=True, eq=False)
class _Past:
    """The last frame of a live film that was remade, and the colours of its shot so far."""

    seen: Seen
    laid: list[Laid]
    colours: Colours
    num_frames: int


@dataclass(frozen=True, eq=False)
class _Live:
    """What stays the same from frame to frame of a live film."""

    maker: _Maker
    planes: list[Plane]
    mixing: Mixing

    @staticmethod
    def of(
        frame: Float[Tensor, "3 h w"],
        strength: float,
        reference: Float[Tensor, "t 3 h2 w2"],
        seed: int,
    ) -> "_Live":
        maker = _maker(frame[None], strength, reference, seed)
        generator = torch.Generator().manual_seed(seed)
        pairs = zip(maker.levels, maker.banks, strict=True)
        planes = [Plane.of(level, bank, generator) for level, bank in pairs]
        mixing = Mixing(min(1.0, KEEN * strength), STEER, _ratio(strength) ** 2, SURE)
        return _Live(maker, planes, mixing)

    def first(self, frame: Float[Tensor, "3 h w"]) -> _Past:
        """All of it, so that patches lie ready wherever the region goes."""
        everywhere = torch.ones_like(frame[None, :1], dtype=torch.bool)
        answers = _remade(self.maker, frame[None], everywhere, None).answers
        relaid = [Laid.of(answer) for answer in answers]
        return _Past(Seen.of(laid.rows_of(frame)), relaid, self.maker.given, 1)

    def next(
        self, frame: Float[Tensor, "3 h w"], inside: Bool[Tensor, "1 h w"], past: _Past, turn: int
    ) -> _Past:
        """All of it again, the patches brought along."""
        assert self.maker.look is not None
        now = laid.rows_of(frame)
        seen = Seen.of(now)
        pull = Pull.between(seen, past.seen, MISFIT)
        colours = colours_of(frame[None, :, ::EVERY_PX, ::EVERY_PX])
        num_frames = (
            1 if pull.fitting(inside[0].numpy()) < NEW else min(NUM_COLOURS, past.num_frames + 1)
        )
        if num_frames > 1:
            colours = past.colours.with_more(colours, 1 / num_frames)
        start = mixed(now, moved_picture(now, colours, self.maker.look), self.maker.strength)
        relaid = laid.relaid(self.planes, start, past.laid, pull, self.mixing, turn)
        return _Past(seen, relaid, colours, num_frames)
