"""What can be asked of a film, whoever asks; the words in which it is refused are the asker's."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

from kineograph import regions, tasks
from kineograph.damage import listed
from kineograph.verbs import predicting


@runtime_checkable
class Sized(Protocol):
    """Anything with a picture's size, in pixels."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


@dataclass(frozen=True)
class Continued:
    """A continued film: the known frames, and how many are made after and before them."""

    known: predicting.Span
    after: int
    before: int

    @property
    def is_parted(self) -> bool:
        """Whether frames would be made before a film whose first frames are left out."""
        return self.before > 0 and self.known.start > 0


def continued(
    known: str | None, num_frames: int, fps: Fraction, seconds: float, before: float
) -> Continued:
    """What becomes of a film of so many frames. ValueError for times and frames that are none."""
    after = tasks.frames_in(seconds, fps)
    span = predicting.span_of(known, num_frames)
    return Continued(span, after, tasks.frames_in(before, fps) if before else 0)


def is_paced(fps: str | None, slower: int) -> bool:
    """Whether the pace is said once: as another rate, or as slow motion."""
    return (fps is None) != (slower == 1)


def check_box(region: str, film: Sized) -> None:
    """ValueError where a box, or one that is followed, is none or lies outside the picture."""
    regions.box(region.removeprefix(regions.FOLLOWED)).corners((film.height, film.width))


def misfit(mask: Sized, film: Sized) -> str | None:
    """What is wrong with a mask that has not the film's size."""
    if (mask.width, mask.height) == (film.width, film.height):
        return None
    sizes = f"{mask.width}x{mask.height}, and the film {film.width}x{film.height}"
    return f"{sizes}: give one of the film's size"


def check_lists(frames: str | None, lines: str | None) -> None:
    """ValueError where the frames and columns to make anew are not lists of numbers."""
    if frames:
        listed(frames)
    if lines:
        listed(lines, "column")


def is_even(side_px: int) -> bool:
    """Whether a film can be imagined that wide or high."""
    return side_px >= 2 and side_px % 2 == 0
