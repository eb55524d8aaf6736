"""What is known of a video file before its frames are read, and every limit on what may be read."""

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import ExitError, FFmpegError
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kineograph.video import colour

MIN_SIDE_PX = 2
MAX_SIDE_PX = 16384
MAX_FRAME_PX = 2**25  # one 8K frame; as float32 RGB it takes 400 MB
MAX_FPS = 1000
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")

_NUMBER = re.compile(r"%0?\d*d")
_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")

# FFmpeg takes these for video: text as a screen of letters, playlists as doors to other files.
_REFUSED_FORMATS = {"tty", "hls", "dash", "concat", "concatf", "imf", "sdp", "lavfi"}
_SNIFF_OPTIONS = {"protocol_whitelist": "file"}


class VideoError(ValueError):
    """A video cannot be read or written; the message is one sentence that says what to do."""


class SlowError(VideoError):
    """A video takes longer to be read than it may."""


@dataclass(frozen=True)
class Orientation:
    """How stored frames are turned for display: first transposed, then mirrored."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @staticmethod
    def from_matrix(matrix: tuple[int, ...]) -> "Orientation":
        """Of a display matrix (a b u c d v x y w): x' = a x + c y, y' = b x + d y, y downwards."""
        a, b, _, c, d = matrix[:5]
        transposed = abs(b) + abs(c) > abs(a) + abs(d)
        return Orientation(transposed, (c if transposed else a) < 0, (b if transposed else d) < 0)


@dataclass(frozen=True)
class VideoInfo:
    """One video stream: sizes are as displayed (after turning), times are in `time_base` ticks."""

    path: Path
    container: str
    codec: str
    pix_fmt: str
    bits: int
    width: int
    height: int
    fps: Fraction
    time_base: Fraction
    start_pts: int
    origin_seconds: Fraction
    num_frames: int | None
    duration_seconds: float | None
    display_matrix: tuple[int, ...] | None
    pixel_aspect: Fraction
    matrix: str
    full_range: bool
    colour_tags: tuple[int, int, int, int]
    audio_codecs: tuple[str, ...]
    y4m_tags: tuple[str, str] | None = None
    """The I (interlacing) and C (layout, and where chroma stands) of a yuv4mpeg header."""

    @property
    def orientation(self) -> Orientation:
        """How a stored frame is turned into a displayed one."""
        return (
            Orientation.from_matrix(self.display_matrix) if self.display_matrix else Orientation()
        )

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height before turning."""
        turned = self.orientation.transposed
        return (self.height, self.width) if turned else (self.width, self.height)


def check_size(width: int, height: int, what: str) -> None:
    """Raise VideoError unless a frame of this size can be worked on."""
    if min(width, height) < MIN_SIDE_PX:
        raise VideoError(
            f"{what} is {width}x{height} pixels, and a side needs at least {MIN_SIDE_PX}; "
            "give a larger video"
        )
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_FRAME_PX:
        raise VideoError(
            f"{what} is {width}x{height} pixels, and the limit is {MAX_SIDE_PX} a side and "
            f"{MAX_FRAME_PX} in all; make it smaller first"
        )


def checked_fps(fps: Fraction | float | int, what: str) -> Fraction:
    """The rate as a fraction; raise VideoError unless it is above 0 and at most MAX_FPS."""
    if not 0 < fps <= MAX_FPS:  # NaN fails this too
        raise VideoError(
            f"{what} has {fps} frames a second; give a rate above 0 and at most {MAX_FPS}"
        )
    return Fraction(fps).limit_denominator(100_000)


def is_pattern(path: Path) -> bool:
    """Whether the name has a place for the frame's number, as shot_%04d.png has."""
    return len(_NUMBER.findall(path.name)) == 1 and path.suffix.lower() in PICTURE_SUFFIXES


def is_standard(path: str | Path) -> bool:
    """Whether the path is "-": standard input, or standard output."""
    return str(path) == "-"


def is_y4m(path: str | Path) -> bool:
    """Whether the path is a yuv4mpeg stream: "-", or a file that ends in .y4m."""
    return is_standard(path) or Path(path).suffix.lower() == ".y4m"


def broken_off(path: Path, num_good: int) -> VideoError:
    """The error for a film whose end is missing."""
    return VideoError(
        f"{path} is cut short or damaged: only its first {num_good} frames can be read; "
        "give the whole file"
    )


def local_file(path: str | Path) -> Path:
    """The path of a readable, non-empty file or folder of this machine, else VideoError."""
    if "://" in str(path):
        raise VideoError(f"{path} is an address, not a file; download it and give the file's path")
    path = Path(path)
    if is_standard(path):
        raise VideoError(
            "standard input can be read only once, from its start to its end, and this needs more; "
            "write it to a file first, and give that"
        )
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        if is_pattern(path) and path.parent.is_dir():
            return path
        raise VideoError(f"{path} does not exist or cannot be reached; check the path") from error
    if stat.S_ISDIR(found.st_mode):
        return path
    if not stat.S_ISREG(found.st_mode):
        raise VideoError(f"{path} is not a regular file; give a video file")
    if found.st_size == 0:
        raise VideoError(f"{path} is empty (0 bytes); give a video file")
    return path


@contextmanager
def sentences(path: Path) -> Iterator[None]:
    """Whatever FFmpeg dislikes of the file becomes a VideoError."""
    try:
        yield
    except PermissionError as error:
        raise VideoError(f"{path} may not be read; change its permissions") from error
    except ExitError as error:
        raise SlowError(
            f"{path} takes too long to be read; copy it to a faster disk, or mend it"
        ) from error
    except (FFmpegError, OSError) as error:
        raise VideoError(
            f"{path} is not a video that can be read, or it is damaged or cut short "
            f"({error.strerror or error}); give a whole video file"
        ) from error


@contextmanager
def opened(path: Path, timeout_seconds: float | None = None) -> Iterator[InputContainer]:
    """An open container; whatever FFmpeg dislikes, here or in the block, becomes a VideoError.

    If opening it, or reading one packet, takes longer than timeout_seconds, it is a SlowError.
    """
    # "file:" keeps FFmpeg from reading a name such as concat:a|b as a protocol.
    name = f"file:{path.absolute()}"
    with (
        sentences(path),
        av.open(
            name, mode="r", container_options=_SNIFF_OPTIONS, timeout=timeout_seconds
        ) as container,
    ):
        yield container


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The video stream of a container, checked for kind and size before anything is decoded."""
    if container.format.name in _REFUSED_FORMATS:
        raise VideoError(f"{path} is text or a list of files, not a video; give a video file")
    covers = Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & covers]
    if not streams:
        has = "has sound but no picture" if container.streams.audio else "holds no video"
        raise VideoError(f"{path} {has}; give a file with a video in it")
    stream = streams[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width and height:
        check_size(width, height, str(path))
    stream.thread_type = "AUTO"  # pyright: ignore[reportAttributeAccessIssue]
    return stream


def display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """The nine numbers of the frame's display matrix, None if it is shown as it is stored."""
    found: Any
    for found in frame.side_data:
        if getattr(found, "type", None) == SideDataType.DISPLAYMATRIX:
            matrix = tuple(int(n) for n in np.frombuffer(bytes(found), np.int32)[:9])
            return None if Orientation.from_matrix(matrix) == Orientation() else matrix
    return None


def stream_seconds(container: Any, stream: Any) -> Fraction | None:
    """How long the container says that this stream is; None if it does not say."""
    if stream.duration:
        return stream.duration * stream.time_base
    if tag := _CLOCK.fullmatch(stream.metadata.get("DURATION", "")):  # as Matroska has it
        hours, minutes, seconds = tag.groups()
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    return Fraction(container.duration, av.time_base) if container.duration else None


def describe(
    path: Path, container: Any, stream: Any, frame: VideoFrame, fps: Fraction | None = None
) -> VideoInfo:
    """Everything about a stream, of which `frame` is the first."""
    check_size(frame.width, frame.height, str(path))
    matrix = display_matrix(frame)
    turned = Orientation.from_matrix(matrix).transposed if matrix else False
    width, height = (frame.height, frame.width) if turned else (frame.width, frame.height)
    rate = fps or stream.average_rate or stream.guessed_rate or Fraction(25)
    time_base = frame.time_base or stream.time_base or 1 / rate
    duration = stream_seconds(container, stream)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        pix_fmt=frame.format.name,
        bits=frame.format.components[0].bits,
        width=width,
        height=height,
        fps=checked_fps(rate, str(path)),
        time_base=time_base,
        start_pts=frame.pts or 0,
        origin_seconds=Fraction(max(container.start_time or 0, 0), av.time_base),
        num_frames=stream.frames or None,
        duration_seconds=float(duration) if duration else None,
        display_matrix=matrix,
        pixel_aspect=Fraction(stream.sample_aspect_ratio or 1) or Fraction(1),
        matrix=colour.matrix_of(frame, path),
        full_range=colour.is_full_range(frame, stream.codec_context.name),
        colour_tags=(
            frame.colorspace,
            frame.color_range,
            frame.color_primaries,
            frame.color_trc,
        ),
        audio_codecs=tuple(s.codec_context.name for s in container.streams.audio),
    )
