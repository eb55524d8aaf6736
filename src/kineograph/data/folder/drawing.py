"""Clips are drawn from many films of any size; each is a function of (seed, index) alone."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from kineograph.data.augment import Frames
from kineograph.data.clips import ClipOptions, ClipSource, Footage, Shot, fixed_clips, rng_for
from kineograph.data.folder.packing import Packed
from kineograph.data.folder.splitting import Split

FILM_STREAM = 2
"""Apart from the random numbers of the clip (0) and of what is made of it (1)."""
MOST_OPEN = 64
AnyFilm = UInt8[np.ndarray, "_ _ _ 3"]


@dataclass(frozen=True)
class FilmsSource:
    """Random clips of several films; `source(seed, index)` is always the same clip.

    arrays: each film's frames as .npy, uint8 RGB, `n h w 3`. shots: each film's half-open ranges of
    frames; those shorter than one clip are passed over. ValueError if all are.
    """

    arrays: tuple[Path, ...]
    shots: tuple[tuple[Shot, ...], ...]
    options: ClipOptions = field(default_factory=ClipOptions)

    def __post_init__(self) -> None:
        if not self.weights.any():
            raise ValueError(
                f"None of the {len(self.arrays)} films has a shot of {self.options.num_frames} "
                "frames: give longer shots or ask for shorter clips."
            )

    @cached_property
    def weights(self) -> Float64[np.ndarray, " n"]:
        """The sum of the roots of each film's shots: so each shot counts by its root, as in one
        film."""
        least = self.options.num_frames
        lengths = [[end - start for start, end in shots] for shots in self.shots]
        return np.array([sum(n**0.5 for n in one if n >= least) for one in lengths], np.float64)

    def film_of(self, seed: int, index: int) -> ClipSource:
        """The film that the clip is drawn from."""
        rng = rng_for(seed, index, FILM_STREAM)
        number = int(rng.choice(len(self.arrays), p=self.weights / self.weights.sum()))
        return ClipSource(footage(self.arrays[number]), self.shots[number], self.options)

    def __call__(self, seed: int, index: int) -> Frames:
        return self.film_of(seed, index)(seed, index)


@lru_cache(MOST_OPEN)
def footage(array: Path) -> Footage:
    """The frames of a film as a read-only memory map; the last MOST_OPEN stay open."""
    return np.load(array, mmap_mode="r")


def training_source(
    packed: Packed, split: Split, options: ClipOptions | None = None
) -> FilmsSource:
    """Clips of what is not held out. ValueError if no stretch is long enough.

    >>> packed = prepared("films")  # doctest: +SKIP
    >>> source = training_source(packed, split(packed.survey, Path("out/split.json")))
    ... # doctest: +SKIP
    >>> source(0, 0).shape  # doctest: +SKIP
    (16, 128, 128, 3)
    """
    arrays = tuple(packed.arrays[film.key] for film in split.films)
    shots = tuple(film.training for film in split.films)
    return FilmsSource(arrays, shots, options or ClipOptions())


def training_stretches(packed: Packed, split: Split) -> list[tuple[AnyFilm, tuple[Shot, ...]]]:
    """Each film that is not held out whole, and its stretches."""
    films = [film for film in split.films if film.training]
    return [(footage(packed.arrays[film.key]), film.training) for film in films]


def held_out_clips(
    packed: Packed, split: Split, num_frames: int = 16, size_px: int = 128, num_per_shot: int = 1
) -> list[Frames]:
    """The same clips every time, for measuring: from the middle of what is held out, unchanged."""
    return [
        clip
        for film in split.films
        for clip in fixed_clips(
            footage(packed.arrays[film.key]), film.held_out, num_frames, size_px, num_per_shot
        )
    ]
