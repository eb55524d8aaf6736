"""New films are imagined out of noise from the patches of given footage.

The layer is beside `answer`: both join a question, a model and the kernel. Here the model is the
footage itself (`models.patches`), asked at one size after another.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from kineograph import sample, schedule
from kineograph.flow import velocity_from_clean
from kineograph.known import Known
from kineograph.models.patch_search import Bank, Size
from kineograph.models.patches import Matches, Search, denoised
from kineograph.models.pyramid import (
    Answer,
    Level,
    bank_at,
    finer,
    heights,
    scaled,
    sides,
)
from kineograph.sample import Progress

MAX_CELLS = 3_000_000
"""Pixels of footage, and of a window, that are held at once."""
WINDOW, OVERLAP = 48, 8
PACES = (4, 2, 1)
COARSEST_SHARE = 0.5
"""Of the picture's short side, seen at once. All of it gives the footage back; with little more
than a third of it figures lose their heads."""


@dataclass(frozen=True)
class Imagining:
    """How a film is imagined. `variety`: how far patches leave their place, in picture heights."""

    seed: int = 0
    variety: float = 0.08
    window: int = WINDOW

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}: give 0 to 2**63 - 1.")
        if not 0 < self.variety <= 10:
            raise ValueError(f"variety is {self.variety} picture heights: give above 0, to 10.")
        if self.window < 2 * OVERLAP + 4:
            raise ValueError(f"A window of {self.window} frames: give {2 * OVERLAP + 4} or more.")


def generate(
    like: Float[Tensor, "t c h w"],
    num_frames: int,
    height: int,
    width: int,
    imagining: Imagining | None = None,
    loop: bool = False,
    progress: Progress | None = None,
) -> Float[Tensor, "n c height width"]:
    """A new film with the statistics of the clip `like`, in [-1, 1]; another for each seed.

    With `loop` its last frame is followed by its first. Raises ValueError for empty or non-finite
    clips and for senseless sizes.

    >>> clip = torch.rand(8, 3, 16, 16) * 2 - 1
    >>> generate(clip, num_frames=12, height=16, width=24).shape
    torch.Size([12, 3, 16, 24])
    """
    return torch.stack(list(generating(like, num_frames, height, width, imagining, loop, progress)))


def generating(
    like: Float[Tensor, "t c h w"],
    num_frames: int,
    height: int,
    width: int,
    imagining: Imagining | None = None,
    loop: bool = False,
    progress: Progress | None = None,
) -> Iterator[Float[Tensor, "c height width"]]:
    """`generate` as a stream of frames: windows that begin with the last frames of those before."""
    check_clip(like, "clip")
    _check_size(num_frames, height, width)
    imagining = imagining or Imagining()
    generator = torch.Generator().manual_seed(imagining.seed)
    window = max(2 * OVERLAP + 4, min(imagining.window, MAX_CELLS // (height * width)))
    levels = generation_levels(height, width)
    footage = _stretch(like, height, generator)
    longest = Size(min(num_frames, window), height, width)
    banks = [bank_at(one, footage, one.size(longest.t), imagining.variety) for one in levels]
    beginning = recent = footage.new_zeros(0, footage.shape[1], height, width)
    told = 0
    for num_new, closing in windows(num_frames, window, loop):
        after = beginning if closing else recent[:0]
        num_made = num_new if closing or num_frames <= window else window - len(recent)
        blank = recent.new_zeros(num_made, *recent.shape[1:])
        known = known_at_ends(recent, blank, after)
        # A ring to begin with, so that there is a way back to the first frame of a longer loop.
        frames = imagined(known, levels, banks, loop and told == 0, generator)
        frames = calm_ends(frames) if loop and told == 0 else frames
        frames = frames[len(recent) : len(recent) + num_new]
        beginning = frames[:OVERLAP] if told == 0 else beginning
        recent = torch.cat([recent, frames])[-OVERLAP:]
        for frame in frames:
            told += 1
            if progress is not None:
                progress(told, num_frames)
            yield frame


def calm_ends(ring: Float[Tensor, "t c h w"]) -> Float[Tensor, "t c h w"]:
    """The ring, begun where least happens: there it is joined best."""
    change = (ring - ring.roll(1, 0)).abs().mean((1, 2, 3))
    reach = range(-OVERLAP // 2, OVERLAP // 2 + 1)
    around = torch.stack([change.roll(-step) for step in reach]).sum(0)
    return ring.roll(-int(around.argmin()), 0)


def windows(num_frames: int, window: int, loop: bool) -> list[tuple[int, bool]]:
    """How many new frames each window makes, and whether it leads back to the first ones.

    A window that leads back has at least 16 frames to do it in.
    """
    if num_frames <= window:
        return [(num_frames, False)]
    least = 2 * OVERLAP if loop else 0
    made, plan = 0, []
    while made < num_frames:
        left, room = num_frames - made, window - (OVERLAP if made else 0)
        closing = loop and made > 0 and left <= max(least, room - OVERLAP)
        plan.append((left if closing else min(room, left - least), closing))
        made += plan[-1][0]
    return plan


def generation_levels(height: int, width: int) -> list[Level]:
    """From half of the picture at once and few frames, to small patches of all frames.

    A denoiser that sees all of the picture can only repeat it; one that sees parts puts parts of
    several moments together (Kamb and Ganguli, arXiv 2412.20292).
    """
    shorts = heights(min(height, width))
    shorts = shorts[1:] or shorts
    part_px = max(1, round(shorts[0] * COARSEST_SHARE))
    levels = []
    for i, short in enumerate(shorts):
        h, w = sides(height, width, short)
        pace = min(PACES[min(i, 2)], 2 ** (len(shorts) - 1 - i))
        patch = Size(5, part_px, part_px) if i == 0 else Size(3, 7, 7)
        sigma, steps = [(1.0, 12), (0.15, 8), (0.1, 8)][min(i, 2)]
        search = [Search(1, 8), Search(2, 2, False), Search(2, 1, False)][min(i, 2)]
        levels.append(Level(h, w, pace, patch, sigma, steps, search))
    return levels


def imagined(
    known: Known, levels: list[Level], banks: list[Bank], ring: bool, generator: torch.Generator
) -> Float[Tensor, "t c h w"]:
    """The known film with the rest filled in, coarse to fine."""
    answer = None
    for level, bank in zip(levels, banks, strict=True):
        film = level.size(known.num_frames)
        lattice = level.lattice(film, bank, ring)
        given = scaled(known.frames[0], film)[None]
        unknown = (scaled(known.sigma[0], film) > 0)[None]
        base, matches = (given, None) if answer is None else finer(answer, bank, lattice)
        question = Known(torch.where(unknown, base, given), level.sigma * unknown.float())
        frames, matches = settled(question, level, bank, matches, ring, generator)
        answer = Answer(frames, matches, lattice, bank)
    assert answer is not None
    return answer.frames


def settled(
    question: Known,
    level: Level,
    bank: Bank,
    matches: Matches | None,
    ring: bool,
    generator: torch.Generator,
    mixed: Callable[[Tensor], Tensor] = lambda clean: clean,
) -> tuple[Float[Tensor, "t c h w"], Matches]:
    """The kernel's answer at one level, and the matches it ended with."""

    def velocity(latents: Tensor, sigma: Tensor) -> Tensor:
        nonlocal matches
        clean, matches = denoised(latents, sigma, bank, level.search, generator, matches, ring)
        return velocity_from_clean(latents, mixed(clean), sigma)

    noise = torch.randn(question.frames.shape, generator=generator)
    levels = schedule.joint(level.num_steps, question.num_frames)
    frames = sample.euler(velocity, question, noise, levels)
    assert matches is not None
    return frames[0], matches


def known_at_ends(
    before: Float[Tensor, "n c h w"],
    blank: Float[Tensor, "m c h w"],
    after: Float[Tensor, "n2 c h w"],
) -> Known:
    """A window of which the frames between `before` and `after` are not known."""
    known = Known.exactly(torch.cat([before, blank, after])[None])
    unknown = torch.zeros(known.num_frames, dtype=torch.bool)
    unknown[len(before) : len(before) + len(blank)] = True
    return known.forget(rearrange(unknown.float(), "t -> 1 t 1 1 1"))


def _stretch(
    like: Float[Tensor, "t c h w"], height: int, generator: torch.Generator
) -> Float[Tensor, "t2 c height w2"]:
    """As many frames on end as can be held, from a random one on, at that height."""
    width = max(1, round(like.shape[-1] * height / like.shape[-2]))
    count = min(len(like), max(8, MAX_CELLS // (height * width)))
    first = int(torch.randint(len(like) - count + 1, (), generator=generator))
    return scaled(like[first : first + count], Size(count, height, width))


def check_clip(clip: Float[Tensor, "t c h w"], name: str) -> None:
    """ValueError unless it is a finite RGB clip with a frame in it."""
    if clip.shape[0] < 1 or clip.shape[1] != 3 or min(clip.shape[-2:]) < 1:
        raise ValueError(f"The {name} is {tuple(clip.shape)}: give RGB as (t, 3, h, w), t >= 1.")
    if not clip.isfinite().all():
        raise ValueError(f"The {name} holds NaN or infinite values: mend them first.")


def _check_size(num_frames: int, height: int, width: int) -> None:
    if num_frames < 1 or min(height, width) < 2:
        raise ValueError(
            f"{num_frames} frames of {width}x{height} px are wanted: ask for 1 of 2x2 or more."
        )
