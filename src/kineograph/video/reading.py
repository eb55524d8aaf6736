"""Frames come out one after another, as stored or as RGB clips, in memory that does not grow."""

import heapq
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float, Float64
from torch import Tensor

from kineograph.video import colour, pictures, pipe
from kineograph.video.info import (
    Orientation,
    VideoError,
    VideoInfo,
    broken_off,
    check_size,
    checked_fps,
    describe,
    is_standard,
    is_y4m,
    local_file,
    opened,
    picture_stream,
    stream_seconds,
)

MAX_CLIP_BYTES = 4 * 2**30
# Containers whose index makes a seek land on a true key frame.
_INDEXED_FORMATS = ("mov", "matroska")


@dataclass(frozen=True)
class Clip:
    """RGB frames in [-1, 1], and when each is shown, in seconds after the film's first frame."""

    frames: Float[Tensor, "t c h w"]
    pts_seconds: Float64[Tensor, " t"]
    fps: Fraction
    info: VideoInfo | None = None

    @property
    def num_frames(self) -> int:
        """How many frames the clip holds."""
        return self.frames.shape[0]


def probe(path: str | Path) -> VideoInfo:
    """What the file holds; decodes one frame. VideoError if it is no video that can be read."""
    with closing(_film(local_file(path))) as film:
        return next(film)


class Film:
    """A film read in one pass: `info` is there at once, then each frame once, in order.

    Use it in a `with` block. A second loop goes on where the first one stopped.
    """

    def __init__(self, path: str | Path, timeout_seconds: float | None = None) -> None:
        path = Path(path) if is_standard(path) else local_file(path)
        self._film = _film(path, timeout_seconds)
        self.info: VideoInfo = next(self._film)

    def __enter__(self) -> "Film":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._film.close()

    def frames(self) -> Iterator[VideoFrame]:
        """The frames as stored, each with its `pts` and `time_base`; for `Writer.write_given`."""
        return self._film

    def rgb(self) -> Iterator[tuple[Float[Tensor, "3 h w"], Fraction]]:
        """The frames as displayed, RGB in [-1, 1], and when, in seconds after the first."""
        for frame in self.frames():
            seconds = ((frame.pts or 0) - self.info.start_pts) * self.info.time_base
            yield rgb_frame(frame, self.info), seconds

    def clips(self, num_frames_per_clip: int) -> Iterator[Clip]:
        """The film as consecutive clips of this many frames (the last may be shorter)."""
        _check_chunk(num_frames_per_clip)
        _check_memory(num_frames_per_clip, self.info)
        while chunk := list(islice(self.frames(), num_frames_per_clip)):
            yield _clip(chunk, self.info)


def open_stream(path: str | Path, timeout_seconds: float | None = None) -> Film:
    """A film whose description and frames come in a single pass; "-" is standard input (yuv4mpeg).

    VideoError if it is no video that can be read, here or where it breaks off; a SlowError where
    one packet of a container takes longer than timeout_seconds to come.

    >>> with open_stream("in.y4m") as film, Writer("-", like=film.info) as writer:  # doctest: +SKIP
    ...     for frame in film.frames():
    ...         writer.write_given(frame)
    """
    return Film(path, timeout_seconds)


def source_frames(
    path: str | Path, start_frame: int = 0, num_frames: int | None = None
) -> Generator[VideoFrame, None, None]:
    """The frames just as stored: own format, own timestamps, not turned; for `Writer.write_given`.

    Raises VideoError when the file breaks off, or where the frame size changes.
    """
    _check_span(start_frame, num_frames)
    stop = None if num_frames is None else start_frame + num_frames
    with open_stream(path) as film:
        yield from islice(film.frames(), start_frame, stop)


def stream(path: str | Path, num_frames_per_chunk: int, start_frame: int = 0) -> Iterator[Clip]:
    """The film as consecutive clips of this many frames (the last may be shorter)."""
    _check_chunk(num_frames_per_chunk)
    _check_span(start_frame, None)
    with open_stream(path) as film:
        deque(islice(film.frames(), start_frame), maxlen=0)
        yield from film.clips(num_frames_per_chunk)


def read(
    path: str | Path,
    start_frame: int = 0,
    num_frames: int | None = None,
    last: int | None = None,
) -> Clip:
    """Some frames of a film: `num_frames` from `start_frame` on (None: all), or the `last` n.

    Raises VideoError if the file is no video, breaks off, has fewer frames than asked for, or if
    the clip would take more than 4 GiB.
    """
    if last is not None and (start_frame or num_frames is not None):
        raise ValueError(f"last={last} goes with neither start_frame nor num_frames; give one")
    if last is not None and last < 1:
        raise ValueError(f"last is {last}; give 1 or more frames")
    _check_span(start_frame, num_frames)
    stop = None if num_frames is None else start_frame + num_frames
    with open_stream(path) as film:
        if last is None:
            return _whole(islice(film.frames(), start_frame, stop), film.info, num_frames)
        _check_memory(last, film.info)
        return _whole(_last_frames(film, last), film.info, last)


def count_frames(path: str | Path) -> int:
    """How many frames are shown, by going through the packets without decoding them."""
    path = local_file(path)
    if pictures.is_sequence(path):
        return len(pictures.files(path))
    if is_y4m(path):
        return pipe.count(path)
    with opened(path) as container:
        packets = container.demux(picture_stream(container, path))
        return sum(1 for packet in packets if packet.size and not packet.is_discard)


def clip_from_array(frames: np.ndarray | Tensor, fps: Fraction | float | int) -> Clip:
    """A clip of frames made elsewhere: `t c h w`, three channels, float in [-1, 1] or uint8.

    Raises VideoError for another shape or type, NaN, infinity, or values out of range.
    """
    rate = checked_fps(fps, "the array")
    values = torch.as_tensor(frames)
    if values.ndim != 4 or values.shape[1] != 3 or values.shape[0] == 0:
        raise VideoError(
            f"the array has shape {tuple(values.shape)}; give (frames, 3, height, width), "
            "with at least one frame"
        )
    check_size(values.shape[3], values.shape[2], "the array")
    if values.dtype == torch.uint8:
        values = values.float() / 127.5 - 1
    if not values.is_floating_point():
        raise VideoError(f"the array holds {values.dtype}; give floats in [-1, 1] or uint8")
    values = values.float()
    if not values.isfinite().all():
        bad = int((~values.isfinite()).sum())
        raise VideoError(f"the array has {bad} values that are NaN or infinite; replace them")
    low, high = values.min().item(), values.max().item()
    if low < -1 or high > 1:
        raise VideoError(f"the array spans {low:g} to {high:g}; scale it into [-1, 1]")
    return Clip(values, torch.arange(len(values), dtype=torch.float64) / float(rate), rate)


def rgb_frame(frame: VideoFrame, info: VideoInfo) -> Float[Tensor, "3 h w"]:
    """A stored frame of the film as displayed: RGB in [-1, 1], turned the right way up."""
    return turned(colour.to_rgb(frame, info.matrix, info.full_range), info.orientation)


def turned(rgb: Float[Tensor, "c h w"], how: Orientation) -> Float[Tensor, "c h2 w2"]:
    """A stored picture as displayed."""
    rgb = rgb.transpose(-1, -2) if how.transposed else rgb
    mirrored = [-1] * how.mirrored_x + [-2] * how.mirrored_y
    return rgb.flip(mirrored).contiguous()


def unturned(rgb: Float[Tensor, "c h w"], how: Orientation) -> Float[Tensor, "c h2 w2"]:
    """A displayed picture as stored; the inverse of `turned`."""
    rgb = rgb.flip([-1] * how.mirrored_x + [-2] * how.mirrored_y)
    return (rgb.transpose(-1, -2) if how.transposed else rgb).contiguous()


def _check_span(start_frame: int, num_frames: int | None) -> None:
    if start_frame < 0 or (num_frames is not None and num_frames < 1):
        raise ValueError(
            f"start_frame is {start_frame} and num_frames {num_frames}; "
            "give a start of 0 or more and at least 1 frame"
        )


def _check_chunk(num_frames: int) -> None:
    if num_frames < 1:
        raise ValueError(f"num_frames_per_chunk is {num_frames}; give 1 or more")


def _check_memory(num_frames: int, info: VideoInfo) -> None:
    needed = num_frames * info.width * info.height * 12
    if needed > MAX_CLIP_BYTES:
        raise VideoError(
            f"{num_frames} frames of {info.width}x{info.height} from {info.path} need "
            f"{needed / 2**30:.1f} GiB, and the limit is {MAX_CLIP_BYTES / 2**30:g}; "
            "read fewer frames at a time"
        )


def _whole(frames: Iterable[VideoFrame], info: VideoInfo, wanted: int | None) -> Clip:
    kept: list[VideoFrame] = []
    for frame in frames:
        kept.append(frame)
        _check_memory(len(kept), info)
    if not kept or (wanted is not None and len(kept) < wanted):
        raise VideoError(
            f"{info.path} has {len(kept)} of the {wanted or 'at least 1'} frames asked for; "
            "ask for fewer, or start earlier"
        )
    return _clip(kept, info)


def _clip(frames: list[VideoFrame], info: VideoInfo) -> Clip:
    ticks = [(frame.pts or 0) - info.start_pts for frame in frames]
    seconds = torch.tensor([float(t * info.time_base) for t in ticks], dtype=torch.float64)
    rgb = torch.empty(len(frames), 3, info.height, info.width)
    for out, frame in zip(rgb, frames, strict=True):
        out.copy_(rgb_frame(frame, info))
    return Clip(rgb, seconds, info.fps, info)


def _film(path: Path, timeout_seconds: float | None = None) -> Generator[Any, None, None]:
    """First the VideoInfo, then every frame."""
    if is_standard(path) or (is_y4m(path) and not path.is_dir()):
        yield from pipe.film(path)
    elif pictures.is_sequence(path):
        yield pictures.probe(path)
        yield from pictures.frames(path)
    else:
        yield from _container_film(path, timeout_seconds)


def _container_film(path: Path, timeout_seconds: float | None) -> Generator[Any, None, None]:
    with opened(path, timeout_seconds) as container:
        video = picture_stream(container, path)
        with closing(_decoded(container, video, path)) as frames:
            first = next(frames, None)
            if first is None:
                raise VideoError(f"{path} holds no frames; give a video with at least one")
            yield describe(path, container, video, first)
            yield first
            yield from frames


def _decoded(
    container: InputContainer, video: VideoStream, path: Path
) -> Generator[VideoFrame, None, None]:
    """Frames in the order of display, each with a timestamp, all of one size."""
    size, index, num_packets, end = None, 0, 0, Fraction(0)
    for packet in container.demux(video):
        num_packets += packet.size > 0
        if packet.is_corrupt and container.format.name.startswith(_INDEXED_FORMATS):
            raise broken_off(path, index)
        for frame in packet.decode():
            size = size or (frame.width, frame.height)
            if size != (frame.width, frame.height):
                raise VideoError(
                    f"{path} changes size at frame {index}, from {size[0]}x{size[1]} to "
                    f"{frame.width}x{frame.height}; cut it there into two files"
                )
            if frame.pts is None:  # raw streams and old AVI files carry no times
                rate = video.average_rate or video.guessed_rate or Fraction(25)
                frame.pts = round(index / rate / (frame.time_base or Fraction(1, 1000)))
            yield frame
            index += 1
            end = (frame.pts + (frame.duration or 0)) * (frame.time_base or Fraction(1))
    if _lacks_tail(container, video, num_packets, end):
        raise broken_off(path, index)


def _lacks_tail(
    container: InputContainer, video: VideoStream, num_packets: int, end_seconds: Fraction
) -> bool:
    """Whether the header promised more than came, for containers whose headers are exact."""
    if container.format.name.startswith(("mov", "avi")):
        return num_packets < video.frames
    if container.format.name.startswith("matroska") and "DURATION" in video.metadata:
        promised = stream_seconds(container, video) or Fraction(0)
        return end_seconds + Fraction(5, 2) / (video.average_rate or 25) < promised
    return False


def _last_frames(film: Film, num_frames: int) -> Iterable[VideoFrame]:
    info = film.info
    if info.container == "pictures":
        return islice(pictures.frames(info.path, last=num_frames), num_frames)
    if info.container.startswith(_INDEXED_FORMATS) and info.duration_seconds:
        margin = Fraction(2 * num_frames) / info.fps + 2
        while margin < info.duration_seconds:
            found = _last_after_seek(info, num_frames, margin)
            if found is not None:
                return found
            margin *= 4
    return _all_frames(film, num_frames)


def _all_frames(film: Film, kept: int) -> Iterable[VideoFrame]:
    """Every frame is decoded; the last are kept."""
    return deque(film.frames(), maxlen=kept)


def _last_after_seek(info: VideoInfo, num_frames: int, margin: Fraction) -> list[VideoFrame] | None:
    """The last frames, decoded from a key frame `margin` seconds before the end, if that is sure.

    Every packet before a key frame, in file order, is shown before it; so the packets from there
    on tell all the last times, and what is decoded must show exactly those.
    """
    duration = Fraction(info.duration_seconds or 0)
    target = info.start_pts + int((duration - margin) / info.time_base)
    with opened(info.path) as container:
        video = picture_stream(container, info.path)
        container.seek(target, stream=video)
        expected = _last_times(container, video, num_frames)
        slack = Fraction(3, 2) / info.fps
        if expected is None or (expected[-1] - info.start_pts) * info.time_base < duration - slack:
            return None  # uncertain, or the tail is missing: the full decoding will tell
        container.seek(target, stream=video)
        shown = {frame.pts: frame for frame in _tail(container, video, expected)}
    return [shown[t] for t in expected] if set(shown) == set(expected) else None


def _tail(
    container: InputContainer, video: VideoStream, expected: list[int]
) -> Generator[VideoFrame, None, None]:
    for packet in container.demux(video):
        if packet.is_corrupt:
            return
        for frame in packet.decode():
            if frame.pts is None or frame.pts >= expected[0]:
                yield frame


def _last_times(container: InputContainer, video: VideoStream, num_frames: int) -> list[int] | None:
    """The last times in the packets from here on, None unless they are certain."""
    key_time, latest = None, []
    for packet in container.demux(video):
        if not packet.size:
            continue
        if packet.pts is None or (key_time is None and not packet.is_keyframe):
            return None
        key_time = packet.pts if key_time is None else key_time
        if packet.pts >= key_time and not packet.is_discard:
            heapq.heappush(latest, packet.pts)
            if len(latest) > num_frames:
                heapq.heappop(latest)
    return sorted(latest) if len(latest) == num_frames else None
