"""One pass over a film's frames tells its shots, what is black or frozen, its bars, its looks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from time import monotonic

import cv2
import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Bool, Float32, UInt8

from kineograph.data.clips import Shot
from kineograph.data.folder.alike import signature_of
from kineograph.data.folder.bars import crop_of, cropped, grey_of
from kineograph.data.folder.found import Crop
from kineograph.models.cuts import WIDTH_PX, changes, cuts_of
from kineograph.video import SlowError, VideoError, VideoInfo
from kineograph.video.small import Shrink, shrinker

Picture = UInt8[np.ndarray, "h w 3"]

MOMENT_PX = 480
"""Bars are looked for in pictures that are at most so large a side."""
BLACK_LEVELS, STILL_LEVELS = 22.0, 2.5
"""No cell of a black frame is brighter; none of a frozen stretch changes more, as codecs do."""
CELL_PX = 8
LEAST_FROZEN, LEAST_FROZEN_SECONDS = 8, 0.5
"""A stretch is frozen if it lasts for so many frames and so long: drawn films pause for less."""


class Reel:
    """A film's frames until its end, an error in it, or a deadline, whichever is first.

    `ended` says which ("end", "broken" or "late"), once the loop is over. The error is not raised:
    what came before it is good.
    """

    def __init__(self, frames: Iterable[VideoFrame], deadline: float) -> None:
        self._frames, self._deadline = frames, deadline
        self.ended = ""
        self.times: list[float] = []
        """When each frame was asked for, but the first, and the end."""

    def __iter__(self) -> Iterator[VideoFrame]:
        try:
            for frame in self._frames:
                yield frame
                self.times.append(monotonic())
                if self.times[-1] > self._deadline:
                    self.ended = "late"
                    return
            self.ended = "end"
        except SlowError:
            self.ended = "late"
        except VideoError:
            self.ended = "broken"


@dataclass
class Sight:
    """What was seen of the frames so far, one item a frame; pictures only at the moments."""

    info: VideoInfo
    is_cut: list[bool] = field(default_factory=list)
    is_black: list[bool] = field(default_factory=list)
    is_still: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    pictures: dict[int, UInt8[np.ndarray, "h w"]] = field(default_factory=dict)
    is_interlaced: bool = False
    anchor: Float32[np.ndarray, "h w 3"] | None = None

    def crop(self) -> Crop:
        """The picture without black bars, in displayed pixels."""
        return crop_of(list(self.pictures.values()), *displayed(self.info))

    def signature(self, crop: Crop) -> bytes:
        """What the film looks like at its moments."""
        size = displayed(self.info)
        return signature_of({n: cropped(p, crop, *size) for n, p in self.pictures.items()})


def displayed(info: VideoInfo) -> tuple[int, int]:
    """Width and height in square pixels: the shorter way is kept as it is stored."""
    aspect = info.pixel_aspect
    wide = aspect if info.orientation.transposed is False else 1 / aspect
    if wide >= 1:
        return max(1, round(info.width * wide)), info.height
    return info.width, max(1, round(info.height / wide))


def looked_at(
    frames: Iterable[VideoFrame], sight: Sight, moments: list[Fraction], first: int = 0
) -> Sight:
    """Adds what these frames show; at each of the moments (the first one's number is `first`) a
    picture is kept. Moments are in seconds after the film's start, in order."""
    pictures = _pictures(frames, sight, dict(enumerate(moments, first)))
    sight.is_cut += cuts_of(changes(pictures))
    return sight


def _pictures(
    frames: Iterable[VideoFrame], sight: Sight, moments: dict[int, Fraction]
) -> Iterator[Picture]:
    """Each frame small, as the cut detector wants it; the rest is noted on the way."""
    size = displayed(sight.info)
    shrink = shrinker(sight.info, *fitting(*size, WIDTH_PX))
    large = shrinker(sight.info, *fitting(*size, MOMENT_PX))
    sight.anchor = None
    for frame in frames:
        at = ((frame.pts or 0) - sight.info.start_pts) * sight.info.time_base
        sight.seconds.append(float(at))
        sight.is_interlaced |= bool(frame.interlaced_frame)
        _kept(frame, large, at, sight, moments)
        picture = shrink(frame)
        _noted(picture, sight)
        yield picture


def _kept(
    frame: VideoFrame, large: Shrink, at: Fraction, sight: Sight, moments: dict[int, Fraction]
) -> None:
    """Keeps a picture for each moment that has come."""
    slack = Fraction(1, 2) / sight.info.fps
    due = [number for number, moment in moments.items() if at + slack >= moment]
    if due:
        grey = grey_of(large(frame))
        for number in due:
            sight.pictures[number] = grey
            del moments[number]


def _noted(picture: Picture, sight: Sight) -> None:
    """Whether the frame is black, and whether it still shows what the anchor shows."""
    height, width = picture.shape[:2]
    size = (max(1, width // CELL_PX), max(1, height // CELL_PX))
    cells = cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    cells = cells.reshape(size[1], size[0], 3)
    sight.is_black.append(bool(cells.max() < BLACK_LEVELS))
    still = sight.anchor is not None and float(np.abs(cells - sight.anchor).max()) < STILL_LEVELS
    sight.is_still.append(still)
    if not still:
        sight.anchor = cells


def fitting(width: int, height: int, most_px: int) -> tuple[int, int]:
    """The size of the same shape whose longer side is at most most_px."""
    scale = min(1.0, most_px / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def runs(flags: Bool[np.ndarray, " n"], least: int = 1) -> tuple[Shot, ...]:
    """The stretches of True of at least so many frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    pairs = edges.reshape(-1, 2).tolist()
    return tuple((start, end) for start, end in pairs if end - start >= least)


def shots_of(sight: Sight) -> tuple[Shot, ...]:
    """The shots, as half-open ranges that cover all frames."""
    starts = [k for k, is_cut in enumerate(sight.is_cut) if is_cut]
    ends = [*starts[1:], len(sight.is_cut)]
    return tuple(zip(starts, ends, strict=True))


def black_of(sight: Sight) -> tuple[Shot, ...]:
    """The stretches that show nothing."""
    return runs(np.array(sight.is_black, bool))


def frozen_of(sight: Sight) -> tuple[Shot, ...]:
    """The stretches that do not move, and are not black; the frame that they repeat is not in."""
    still = np.array(sight.is_still, bool) & ~np.array(sight.is_black, bool)
    least = max(LEAST_FROZEN, round(LEAST_FROZEN_SECONDS * float(sight.info.fps)))
    return runs(still, least)
