"""What was found in a folder, as values: each file is a film to be used, or has a reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Literal

from kineograph.data.clips import Shot

Kind = Literal[
    "film",
    "duplicate",
    "black",
    "broken",
    "empty",
    "hdr",
    "hidden",
    "link",
    "not a film",
    "not supported",
    "one frame",
    "sound only",
    "special",
    "still",
    "still picture",
    "subtitles",
    "too large",
    "too short",
    "too slow",
    "too small",
    "unreadable",
]
"""film: it is used. still: a film in which nothing moves. special: a pipe, socket or device."""
Looked = Literal["whole", "sampled", "header"]
"""How far a film was looked at: each frame, 16 windows, or one frame (time was up)."""
Crop = tuple[int, int, int, int]
"""Left, top, width and height in displayed pixels."""


@dataclass(frozen=True)
class Looking:
    """What clips are wanted of a folder, and how much time its check may take.

    A film of fewer than whole_px pixels in all frames together (or of the file size small_bytes) is
    looked at whole, a longer one in windows; so that it does not depend on the machine's speed.
    """

    num_frames: int = 16
    size_px: int = 128
    short_px: int = 180
    """Films are kept with their shorter side at most so long."""
    seconds: float = 600.0
    """After this, films are no longer looked at, only opened."""
    seconds_per_film: float = 20.0
    whole_px: int = 2_000_000_000
    small_bytes: int = 2_000_000
    num_workers: int = 2

    def __post_init__(self) -> None:
        if self.num_frames < 2:
            raise ValueError(f"num_frames is {self.num_frames}: a clip needs 2 frames or more.")
        if self.size_px < 8 or self.short_px < 8:
            least = min(self.size_px, self.short_px)
            raise ValueError(f"A side of {least} pixels is too small: give 8 or more.")


@dataclass(frozen=True)
class FilmSurvey:
    """One film: what is in it and what it costs.

    key: tells content from content. width and height are as displayed, in square pixels; crop
    leaves out black bars. shots cover all frames, as half-open ranges (one, where the film was not
    looked at whole); black and frozen are ranges that show nothing or do not move. num_frames,
    num_shots and num_clips are guesses unless looked is "whole". signature: see `alike.py`.
    """

    key: str
    num_frames: int
    fps: Fraction
    width: int
    height: int
    crop: Crop
    shots: tuple[Shot, ...]
    black: tuple[Shot, ...]
    frozen: tuple[Shot, ...]
    num_shots: int
    num_clips: int
    looked: Looked
    seconds_to_decode: float
    notes: tuple[str, ...] = ()
    signature: bytes = field(default=b"", repr=False)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.num_frames / float(self.fps)

    @property
    def stretches(self) -> tuple[Shot, ...]:
        """The parts to learn from: shots without what is black or frozen."""
        return without(self.shots, (*self.black, *self.frozen))

    def kept_size(self, short_px: int) -> tuple[int, int]:
        """Height and width at which it is kept: its crop, the shorter side at most short_px."""
        _, _, width, height = self.crop
        scale = min(1.0, short_px / min(width, height))
        return max(1, round(height * scale)), max(1, round(width * scale))

    def kept_bytes(self, short_px: int) -> int:
        """What all its frames take, as RGB bytes of that size."""
        height, width = self.kept_size(short_px)
        return self.num_frames * height * width * 3


@dataclass(frozen=True)
class Found:
    """A file (or a folder that was not entered), its name under the root, what becomes of it."""

    name: str
    path: Path
    kind: Kind
    why: str
    num_bytes: int = 0
    film: FilmSurvey | None = None


@dataclass(frozen=True)
class Survey:
    """All that was found under a root, in order of name. seconds: how long that took."""

    root: Path
    looking: Looking
    found: tuple[Found, ...]
    seconds: float

    @property
    def films(self) -> dict[str, FilmSurvey]:
        """The films that are used, by name."""
        return {f.name: f.film for f in self.found if f.kind == "film" and f.film is not None}

    @property
    def num_shots(self) -> int:
        """How many shots the films have."""
        return sum(film.num_shots for film in self.films.values())

    @property
    def num_clips(self) -> int:
        """How many clips they have that share no frame."""
        return sum(film.num_clips for film in self.films.values())

    @property
    def hours(self) -> float:
        """How long they last together."""
        return sum(film.seconds for film in self.films.values()) / 3600

    @property
    def kept_bytes(self) -> int:
        """What they take on the disk once prepared."""
        return sum(film.kept_bytes(self.looking.short_px) for film in self.films.values())

    @property
    def seconds_to_decode(self) -> float:
        """About how long it takes to prepare them."""
        return sum(film.seconds_to_decode for film in self.films.values())


def without(ranges: Sequence[Shot], taken: Sequence[Shot]) -> tuple[Shot, ...]:
    """The ranges less what is taken, in order."""
    left = []
    for start, end in ranges:
        for first, last in sorted(taken):
            if last <= start or first >= end:
                continue
            if first > start:
                left.append((start, first))
            start = min(last, end)
        if start < end:
            left.append((start, end))
    return tuple(left)


def clips_in(stretches: Sequence[Shot], num_frames: int) -> int:
    """How many clips of so many frames the stretches hold that share no frame."""
    return sum((end - start) // num_frames for start, end in stretches)


def fifth(number: int) -> int:
    """A fifth of so many, rounded up."""
    return ceil(number / 5)
