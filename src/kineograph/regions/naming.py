"""A text names a region: a box, what is followed from a box, or a file."""

from collections.abc import Callable, Iterator
from pathlib import Path

from kineograph import video
from kineograph.regions.boxes import Frames, Region, box, in_box, in_film, in_picture
from kineograph.regions.following import tracked

FOLLOWED = "track:"
"""Before a box: follow what is in it."""


def named(
    text: str, frames: Frames, when_lost: Callable[[int, str], None] | None = None
) -> Iterator[Region]:
    """The region that a text names, for each frame; when_lost: as `tracked` has it.

    "10%,20%,30%,40%": a box. "track:10%,20%,30%,40%": what is in that box of the first frame.
    Else a file: a picture for all frames, or a film with one for each.
    """
    if text.startswith(FOLLOWED):
        return tracked(frames, box(text.removeprefix(FOLLOWED)), when_lost=when_lost)
    if _is_box(text):
        return in_box(frames, box(text))
    return in_film(frames, text) if is_film(text) else in_picture(frames, text)


def is_film(text: str) -> bool:
    """Whether a text names a film of masks, which has one for each frame."""
    return not text.startswith(FOLLOWED) and not _is_box(text) and video.count_frames(text) > 1


def _is_box(text: str) -> bool:
    return text.count(",") == 3 and not Path(text).exists()
