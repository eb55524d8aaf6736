"""What a person points at while frames come is the region from then on, until it is taken back."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor

from kineograph.regions.boxes import Box, Frames, Region, in_box
from kineograph.regions.following import tracked

POINTED = "point"
"""The word for a region that is pointed at on the page, as in `--inpaint point`."""
MOST_POINTED = 4
"""Each one that is followed is looked for in each frame, and that takes time."""
LEFT = "it has left the picture"


@dataclass(frozen=True)
class Pointing:
    """A thing that is pointed at, as it is now."""

    box: tuple[float, float, float, float]
    """Left, top, width and height, as shares of the picture: where it is, or was when lost."""
    followed: bool
    lost: str = ""
    """Why it is in no region any more; "" while it is."""


class Pointed:
    """What is pointed at. Any thread may point; one worker asks for the regions."""

    def __init__(self) -> None:
        self._things: tuple[_Thing, ...] = ()
        self._lock = Lock()

    def add(self, box: Box, follow: bool) -> None:
        """From the next frame on, this box of it; or what is in that, wherever it goes.

        One that was lost makes room. ValueError where `MOST_POINTED` are there and none is lost.
        """
        thing = _Thing(box, follow)
        with self._lock:
            things = self._things
            if len(things) >= MOST_POINTED:
                lost = next((thing for thing in things if thing.now.lost), None)
                if lost is None:
                    raise ValueError(
                        f"{len(things)} things are pointed at, and no more can be; take one back"
                    )
                things = tuple(thing for thing in things if thing is not lost)
            self._things = (*things, thing)

    def undo(self) -> None:
        """Takes back the last one, if there is one."""
        with self._lock:
            self._things = self._things[:-1]

    def clear(self) -> None:
        """Takes back all."""
        with self._lock:
            self._things = ()

    def told(self) -> list[Pointing]:
        """Each one as of the newest frame, the last one last."""
        return [thing.now for thing in self._things]

    def regions(self, frames: Frames) -> Iterator[Region]:
        """For each frame all that is pointed at when it comes; it does not look ahead."""
        for frame in frames:
            region = torch.zeros(1, *frame.shape[1:], dtype=torch.bool)
            for thing in self._things:
                region |= thing.region(frame)
            yield region


class _Thing:
    """One that is pointed at: the worker alone asks for its region, any thread may see `now`."""

    def __init__(self, box: Box, is_followed: bool) -> None:
        self.now = Pointing(box.values, is_followed)
        self._frame: Float[Tensor, "3 h w"] | None = None
        frames = self._frames()
        self._regions = (
            tracked(frames, box, when_lost=lambda _, why: self._lose(why))
            if is_followed
            else in_box(frames, box)
        )

    def region(self, frame: Float[Tensor, "3 h w"]) -> Region:
        """Where it is in the next frame: nowhere once it is lost."""
        nowhere = torch.zeros(1, *frame.shape[1:], dtype=torch.bool)
        if self.now.lost:
            return nowhere
        self._frame = frame
        try:
            region = next(self._regions)
        except ValueError as error:  # a box that does not fit must not end the stream
            self._lose(str(error))
            return nowhere
        if not self.now.lost:
            box = _box_about(region)
            self.now = replace(self.now, lost=LEFT) if box is None else replace(self.now, box=box)
        return region

    def _frames(self) -> Iterator[Float[Tensor, "3 h w"]]:
        """The frame that is asked about, one for each time that one is taken."""
        while self._frame is not None:
            frame, self._frame = self._frame, None
            yield frame
            del frame

    def _lose(self, why: str) -> None:
        self.now = replace(self.now, lost=why)


def _box_about(region: Region) -> tuple[float, float, float, float] | None:
    """Left, top, width and height as shares; None about nothing."""
    rows, columns = region[0].any(1).nonzero(), region[0].any(0).nonzero()
    if not len(rows):
        return None
    height, width = region.shape[1:]
    left, right = int(columns[0]), int(columns[-1]) + 1
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    return left / width, top / height, (right - left) / width, (bottom - top) / height
