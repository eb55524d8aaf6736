"""A clip of film is a function of (seed, index) alone, so the data position is one integer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from kineograph.data.augment import Augment, Frames, augmented

Shot = tuple[int, int]
Footage = UInt8[np.ndarray, "n film_h film_w c"]
Source = Callable[[int, int], Frames]
"""Anything that gives the clip of (seed, index)."""


@dataclass(frozen=True)
class ClipOptions:
    """The shape of a clip, and how it is taken from the film."""

    num_frames: int = 16
    size_px: int = 128
    strides: tuple[int, ...] = (1, 2)
    stride_chances: tuple[float, ...] = (0.75, 0.25)
    augment: Augment = field(default_factory=Augment)


@dataclass(frozen=True)
class ClipSource:
    """Random clips of the given shots; `source(seed, index)` is always the same clip.

    footage holds frames as uint8 RGB, `n h w c` (a memory map will do). shots are half-open
    frame ranges; those shorter than one clip are passed over.
    """

    footage: Footage
    shots: Sequence[Shot]
    options: ClipOptions = field(default_factory=ClipOptions)

    def __post_init__(self) -> None:
        if not self.usable_shots():
            raise ValueError(
                f"None of the {len(self.shots)} shots has {self.options.num_frames} frames: "
                "give longer shots or ask for shorter clips."
            )

    def usable_shots(self) -> list[Shot]:
        return [shot for shot in self.shots if shot[1] - shot[0] >= self.options.num_frames]

    def __call__(self, seed: int, index: int) -> Frames:
        return film(self, rng_for(seed, index))


def rng_for(seed: int, index: int, stream: int = 0) -> np.random.Generator:
    """The random numbers of one clip. Philox is keyed, so neighbours are independent."""
    key = np.array([seed, index], dtype=np.uint64)
    counter = np.array([0, 0, 0, stream], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def film(source: ClipSource, rng: np.random.Generator) -> Frames:
    """A random clip of the film itself, recoloured and turned by chance."""
    options = source.options
    window = random_window(source.footage, options.size_px, rng)
    frames = cropped(source.footage, random_frames(source, rng), window, options.size_px)
    return augmented(frames, rng, options.augment)


def random_shot(source: ClipSource, rng: np.random.Generator) -> Shot:
    """A shot, with chance in proportion to the root of its length: long ones must not rule."""
    shots = source.usable_shots()
    weights = np.sqrt([end - start for start, end in shots])
    return shots[int(rng.choice(len(shots), p=weights / weights.sum()))]


def random_frames(source: ClipSource, rng: np.random.Generator) -> range:
    """Frame numbers of a random clip, at a random speed that the shot is long enough for."""
    options = source.options
    start, end = random_shot(source, rng)
    stride = int(rng.choice(options.strides, p=options.stride_chances))
    fits = (options.num_frames - 1) * stride + 1 <= end - start
    stride = stride if fits else 1
    span = (options.num_frames - 1) * stride + 1
    first = int(rng.integers(start, end - span + 1))
    return range(first, first + span, stride)


def random_window(footage: Footage, size_px: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """(top, left, side) of a square at least as large as the clip, where the film allows it."""
    height, width = footage.shape[1:3]
    largest = min(height, width)
    side = int(rng.integers(min(size_px, largest), largest + 1))
    top = int(rng.integers(0, height - side + 1))
    left = int(rng.integers(0, width - side + 1))
    return top, left, side


def cropped(
    footage: Footage, numbers: Sequence[int], window: tuple[int, int, int], size_px: int
) -> Frames:
    """The numbered frames inside the window, resized to `size_px`."""
    top, left, side = window
    out = np.empty((len(numbers), size_px, size_px, footage.shape[3]), np.uint8)
    shrinks = side >= size_px
    for frame, number in zip(out, numbers, strict=True):
        cut = footage[number, top : top + side, left : left + side]
        if side == size_px:
            frame[:] = cut
        else:
            how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            for first in range(0, footage.shape[3], 3):  # OpenCV resizes no more than 4 at once
                part = np.ascontiguousarray(cut[..., first : first + 3])
                made = cv2.resize(part, (size_px, size_px), interpolation=how)
                frame[..., first : first + 3] = made.reshape(size_px, size_px, -1)
    return out


def fixed_clips(
    footage: Footage,
    shots: Sequence[Shot],
    num_frames: int = 16,
    size_px: int = 128,
    num_per_shot: int = 1,
) -> list[Frames]:
    """The same clips every time, for measuring: spread over each shot, centred, unchanged."""
    height, width = footage.shape[1:3]
    side = min(height, width)
    window = ((height - side) // 2, (width - side) // 2, side)
    starts = [
        int(first)
        for start, end in shots
        if end - start >= num_frames
        for first in spread(start, end - num_frames, num_per_shot)
    ]
    return [cropped(footage, range(s, s + num_frames), window, size_px) for s in starts]


def spread(first: int, last: int, count: int) -> Float[np.ndarray, " count"]:
    """`count` numbers from first to last; the middle where only one is wanted."""
    return (
        np.linspace(first, last, count + 2)[1:-1] if count == 1 else np.linspace(first, last, count)
    )
