"""A film can be looked at small: shrunk as stored, then coloured, which costs a tenth of the whole.

Averaging and the colour matrix are both linear, so that their order does not matter but where
colours are clipped.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from einops import rearrange
from jaxtyping import UInt8

from kineograph.video import colour
from kineograph.video.info import VideoInfo, local_file, opened, picture_stream, sentences
from kineograph.video.levels import in_bytes
from kineograph.video.reading import turned

Picture = UInt8[np.ndarray, "h w 3"]
Shrink = Callable[[VideoFrame], Picture]


def shrinker(info: VideoInfo, width: int, height: int) -> Shrink:
    """What makes of each stored frame of the film an RGB picture of this size, as displayed.

    Each pixel is a mean. One shrinker goes with one film and one thread.
    """
    scaler, how = VideoReformatter(), info.orientation
    size = (height, width) if how.transposed else (width, height)

    def shrink(frame: VideoFrame) -> Picture:
        small = _shrunk(frame, *size, scaler)
        rgb = turned(colour.to_rgb(small, info.matrix, info.full_range), how)
        return rearrange(in_bytes(rgb).numpy(), "c h w -> h w c")

    return shrink


def _shrunk(frame: VideoFrame, width: int, height: int, scaler: VideoReformatter) -> VideoFrame:
    """The frame in fewer pixels; range and matrix stay as they are."""
    name = frame.format.name
    if name.startswith("yuvj"):  # else the scaler would squeeze the range
        frame = colour.relabelled(frame, name.replace("yuvj", "yuv"))
    span = 2 if colour.is_rgb(name) else 1
    return scaler.reformat(
        frame,
        width,
        height,
        format=_layout(frame),
        src_color_range=span,
        dst_color_range=span,
        src_colorspace=1,
        dst_colorspace=1,
        interpolation=Interpolation.AREA,
        threads=1,
    )


def _layout(frame: VideoFrame) -> str:
    """The plainest layout that keeps what the frame's own one can hold."""
    name, deep = frame.format.name, frame.format.components[0].bits > 8
    if colour.is_rgb(name):
        return "rgb24"
    if colour.is_grey(name):
        return "gray16le" if deep else "gray"
    return "yuv444p16le" if deep else "yuv444p"


def windows(
    path: str | Path,
    moments: Sequence[Fraction],
    num_frames: int,
    timeout_seconds: float | None = None,
) -> Iterator[Iterator[VideoFrame]]:
    """At each moment (seconds after the film's start) the next `num_frames` frames, as stored.

    Seeks, so that a long film costs no more than a short one. Read each window before the next;
    a window beyond the end is empty. VideoError if the file cannot be read there.
    """
    path = local_file(path)
    with opened(path, timeout_seconds) as container:
        stream = picture_stream(container, path)
        for moment in moments:
            yield islice(_from(container, stream, moment, path), num_frames)


def _from(
    container: InputContainer, stream: VideoStream, moment: Fraction, path: Path
) -> Iterator[VideoFrame]:
    tick = stream.time_base or Fraction(1, 1000)
    target = (stream.start_time or 0) + int(moment / tick)
    with sentences(path):
        container.seek(target, stream=stream)
        for frame in container.decode(stream):
            if frame.pts is None or frame.pts >= target:
                yield frame
