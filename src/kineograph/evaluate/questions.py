"""A question of `kineo bench all` is cut from one shot: what is given, what is asked, the truth."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import cos, sin, tau
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kineograph.data.clips import Shot, spread
from kineograph.video.levels import frames_of, to_8_bits

Size = tuple[int, int]
"""Width and height in pixels, as a name such as 256x144 says them."""
Film = UInt8[np.ndarray, "n film_h film_w 3"]

SIZES: tuple[Size, ...] = ((128, 128), (256, 144))
FPS = 24.0
NOISE_LEVELS = 25
UPSCALE = 4
GREY = 0.0
HOLE_SIDE, STILL_SIDE = 0.5, 0.3
"""A moving hole, and one that stays, is so much of the height and of the width."""
SLOWEST, FASTEST = 0.015, 0.03
"""The hole moves by so much of the width at each frame."""


@dataclass(frozen=True)
class Question:
    """What a method sees, and what its answer is held against.

    name, shot, row: the clip, the shot that it is cut from, and the row of the bench.
    given: RGB in [-1, 1]; for x4 the small film, for interpolate only the known frames (every
        second of the film), for inpaint and still the film with its hole painted grey.
    hole: True where `given` must be filled; None where nothing is cut out.
    truth: only the frames that are scored; for interpolate those between the known ones.
    scored: True where squared error is measured; None means everywhere.
    about: facts such as fps, the rate of the whole film.
    """

    name: str
    shot: str
    row: str
    given: Float[Tensor, "t 3 h w"]
    hole: Bool[Tensor, "t 1 h w"] | None
    truth: Float[Tensor, "n 3 H W"]
    scored: Bool[Tensor, "n 1 H W"] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


Answer = Callable[[Question], Float[Tensor, "n 3 H W"]]
Cut = Callable[[Float[Tensor, "t 3 h w"], str, str, int], Question]


@dataclass(frozen=True)
class Row:
    """cut: makes the question of (frames, name, shot, seed); `most` frames at most, `least` at
    least are taken from a shot."""

    title: str
    cut: Cut
    most: int
    least: int


def blind(question: Question) -> Question:
    """The same question with NaN for the truth: its shape says what is asked, and no more."""
    return replace(question, truth=torch.full_like(question.truth, torch.nan))


def interpolate(frames: Float[Tensor, "t 3 h w"], name: str, shot: str, seed: int = 0) -> Question:
    """Every second frame is known, from the first to the last; those between are asked."""
    odd = len(frames) - 1 + len(frames) % 2  # so that a known frame ends the clip
    known, between = frames[:odd:2], frames[1:odd:2]
    about = {"fps": FPS, "given_fps": FPS / 2}
    return Question(name, shot, "interpolate", known, None, between, about=about)


def denoise(frames: Float[Tensor, "t 3 h w"], name: str, shot: str, seed: int) -> Question:
    """Gaussian noise of 25 levels in each channel, then clipped and rounded to 8 bits."""
    grain = torch.randn(frames.shape, generator=torch.Generator().manual_seed(seed))
    noisy = to_8_bits(frames + grain * (NOISE_LEVELS / 127.5))
    about = {"fps": FPS, "noise_levels": NOISE_LEVELS}
    return Question(name, shot, "denoise", noisy, None, frames, about=about)


def upscale(frames: Float[Tensor, "t 3 h w"], name: str, shot: str, seed: int = 0) -> Question:
    """Each 4x4 block becomes its mean, rounded to 8 bits."""
    small = to_8_bits(torch.nn.functional.avg_pool2d(frames, UPSCALE))
    about = {"fps": FPS, "scale": UPSCALE}
    return Question(name, shot, "upscale", small, None, frames, about=about)


def inpaint(frames: Float[Tensor, "t 3 h w"], name: str, shot: str, seed: int) -> Question:
    """A moving box of a quarter of the picture is grey; the error is measured in it alone."""
    hole = moving_hole(len(frames), frames.shape[-2], frames.shape[-1], seed)
    return _holed("inpaint", frames, hole, name, shot)


def still(frames: Float[Tensor, "t 3 h w"], name: str, shot: str, seed: int) -> Question:
    """The same of a smaller box that stays where it is, as a mark or a sign does."""
    hole = still_hole(len(frames), frames.shape[-2], frames.shape[-1], seed)
    return _holed("still", frames, hole, name, shot)


def _holed(
    row: str, frames: Float[Tensor, "t 3 h w"], hole: Bool[Tensor, "t 1 h w"], name: str, shot: str
) -> Question:
    given = torch.where(hole, GREY, frames)
    return Question(name, shot, row, given, hole, frames, hole, {"fps": FPS})


def still_hole(num_frames: int, height: int, width: int, seed: int) -> Bool[Tensor, "t 1 h w"]:
    """True in a box somewhere, by seed."""
    down, across = torch.rand(2, generator=torch.Generator().manual_seed(seed)).tolist()
    box_h, box_w = round(height * STILL_SIDE), round(width * STILL_SIDE)
    top, left = round(down * (height - box_h)), round(across * (width - box_w))
    hole = torch.zeros(num_frames, 1, height, width, dtype=torch.bool)
    hole[:, :, top : top + box_h, left : left + box_w] = True
    return hole


def moving_hole(num_frames: int, height: int, width: int, seed: int) -> Bool[Tensor, "t 1 h w"]:
    """True in a box that flies straight and bounces off the border; start and course by seed."""
    start_x, start_y, course, pace = torch.rand(
        4, generator=torch.Generator().manual_seed(seed)
    ).tolist()
    box_h, box_w = round(height * HOLE_SIDE), round(width * HOLE_SIDE)
    room_y, room_x = float(height - box_h), float(width - box_w)
    step = width * (SLOWEST + (FASTEST - SLOWEST) * pace)
    hole = torch.zeros(num_frames, 1, height, width, dtype=torch.bool)
    for t in range(num_frames):
        left = round(_bounced(start_x * room_x + t * step * cos(tau * course), room_x))
        top = round(_bounced(start_y * room_y + t * step * sin(tau * course), room_y))
        hole[t, :, top : top + box_h, left : left + box_w] = True
    return hole


def _bounced(at: float, room: float) -> float:
    """A place on a line, folded into 0..room as a ball between two walls is."""
    return room - abs(at % (2 * room) - room)


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "interpolate": Row("interpolate x2", interpolate, 33, 9),
        "denoise": Row(f"denoise, sigma {NOISE_LEVELS}", denoise, 16, 8),
        "upscale": Row(f"upscale x{UPSCALE}", upscale, 16, 8),
        "inpaint": Row("inpaint, moving box of 25 %", inpaint, 24, 8),
        "still": Row("inpaint, still box of 9 %", still, 24, 8),
    }
)


def questions(
    row: str, film: Film, shots: Sequence[Shot], size: Size, most: int = 24, film_name: str = "bbb"
) -> Iterator[Question]:
    """One question a shot, from its middle; of more than `most` shots, evenly chosen ones.

    Raises ValueError for an unknown row and where no shot is long enough.
    """
    if row not in ROWS:
        raise ValueError(f"There is no row {row!r} in the bench: choose from {', '.join(ROWS)}.")
    how = ROWS[row]
    long = [shot for shot in shots if shot[1] - shot[0] >= how.least]
    if not long:
        raise ValueError(f"None of {len(shots)} shots has the {how.least} frames that {row} needs.")
    for index in np.unique(np.linspace(0, len(long) - 1, min(most, len(long))).round().astype(int)):
        start, end = long[index]
        num = min(how.most, end - start)
        first = int(spread(start, end - num, 1)[0])
        frames = frames_of(resized(film[first : first + num], size))
        yield how.cut(frames, f"{film_name}-{first}", f"{film_name}-{start}", first)


def resized(frames: Film, size: Size) -> UInt8[np.ndarray, "n h w 3"]:
    """The largest centred window of the wanted shape, resized by area."""
    width, height = size
    film_h, film_w = frames.shape[1:3]
    scale = min(film_w / width, film_h / height)
    across, down = round(width * scale), round(height * scale)
    left, top = (film_w - across) // 2, (film_h - down) // 2
    cut = frames[:, top : top + down, left : left + across]
    small = [cv2.resize(np.ascontiguousarray(f), size, interpolation=cv2.INTER_AREA) for f in cut]
    return np.stack(small).astype(np.uint8)


def pasted(question: Question, answer: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 3 H W"]:
    """The answer with the known pixels put back where a hole was to be filled."""
    return answer if question.hole is None else torch.where(question.hole, answer, question.given)


def whole_film(question: Question, answer: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "m 3 H W"]:
    """The answer as a person would see it: known frames and known pixels in their places."""
    if question.row != "interpolate":
        return pasted(question, answer)
    pairs = torch.stack([question.given[:-1], answer], dim=1)
    return torch.cat([rearrange(pairs, "n two c h w -> (n two) c h w"), question.given[-1:]])


def as_given(question: Question) -> Float[Tensor, "m 3 H W"]:
    """What was given, at the size and rate of the whole film: pixels or frames stand longer."""
    if question.row == "interpolate":
        return question.given.repeat_interleave(2, dim=0)[:-1]
    if question.row == "upscale":
        return question.given.repeat_interleave(UPSCALE, -1).repeat_interleave(UPSCALE, -2)
    return question.given


def size_name(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
