"""A yuv4mpeg film goes through a pipe in one pass: frames leave as they come, none is held back.

The format is a line of text and bare planes, as mjpegtools' yuv4mpeg(5) and FFmpeg have it. It is
read and written here because PyAV tells nothing of where chroma stands (the C tag), and takes a
stream that breaks off for one that ends.
"""

import errno
import os
import re
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from kineograph.video import colour, disk
from kineograph.video.formats import Plan
from kineograph.video.info import (
    VideoError,
    VideoInfo,
    broken_off,
    check_size,
    checked_fps,
    is_standard,
    is_y4m,
    local_file,
)

__all__ = ["PipeSink", "count", "film", "is_y4m"]

_MAGIC, _FRAME = b"YUV4MPEG2", b"FRAME"
_MAX_LINE_BYTES = 1024
_DEFAULT_FPS = Fraction(25)
_SPANS = {"LIMITED": 1, "FULL": 2}
_LAYOUTS = {
    "420": "yuv420p",
    "420jpeg": "yuv420p",
    "420mpeg2": "yuv420p",
    "420paldv": "yuv420p",
    "422": "yuv422p",
    "444": "yuv444p",
    "411": "yuv411p",
    "444alpha": "yuva444p",
    "mono": "gray",
    **{f"mono{bits}": f"gray{bits}le" for bits in (9, 10, 12, 14, 16)},
    **{f"{c}p{bits}": f"yuv{c}p{bits}le" for c in (420, 422, 444) for bits in (9, 10, 12, 14, 16)},
}
# Codecs whose 4:2:0 has chroma beside the left pixel unless the file says otherwise, as FFmpeg has.
_LEFT_CODECS = {"h264", "hevc", "mpeg2video", "mpeg4"}


@dataclass(frozen=True)
class Header:
    """The first line of a stream; `interlacing` and `chroma` are its I and C tags as they stand."""

    width: int
    height: int
    fps: Fraction
    pixel_aspect: Fraction
    interlacing: str
    chroma: str
    span: int

    @property
    def pix_fmt(self) -> str:
        """FFmpeg's name for the layout of the planes."""
        return _LAYOUTS[self.chroma]

    @property
    def line(self) -> bytes:
        """The header as text, short enough for FFmpeg, which reads 96 bytes of it."""
        rate, aspect = self.fps, self.pixel_aspect
        tags = [f"W{self.width}", f"H{self.height}", f"F{rate.numerator}:{rate.denominator}"]
        tags += [f"I{self.interlacing}", f"A{aspect.numerator}:{aspect.denominator}"]
        tags += [
            f"C{self.chroma}",
            *(f"XCOLORRANGE={n}" for n, v in _SPANS.items() if v == self.span),
        ]
        return b" ".join([_MAGIC, *(tag.encode("ascii") for tag in tags)]) + b"\n"


def film(path: Path) -> Generator[Any, None, None]:
    """First the stream's VideoInfo, then each of its frames; "-" is standard input.

    Raises VideoError for what is no such stream, is too large, or breaks off.
    """
    with _source(path) as file:
        header = _header(file, path)
        yield _described(header, path, _num_frames(file, header))
        for index, frame in enumerate(_frames(file, header, path)):
            frame.pts, frame.time_base = index, 1 / header.fps
            yield frame


def count(path: Path) -> int:
    """How many frames a stream has, by going through it."""
    with _source(path) as file:
        header = _header(file, path)
        return sum(1 for _ in _frames(file, header, path))


@contextmanager
def _source(path: Path) -> Iterator[BinaryIO]:
    try:
        # A copy of the descriptor, so that closing it here does not take it from the program.
        opened = os.dup(0) if is_standard(path) else local_file(path)
        with open(opened, "rb") as file:
            if file.isatty():
                raise VideoError(
                    "standard input is a terminal, not a film; pipe one into it with "
                    "ffmpeg -i FILE -f yuv4mpegpipe -"
                )
            yield file
    except OSError as error:
        raise VideoError(
            f"{path} cannot be read ({error.strerror or error}); check what it is connected to"
        ) from error


def _header(file: BinaryIO, path: Path) -> Header:
    line = file.readline(_MAX_LINE_BYTES)
    if not line.startswith(_MAGIC + b" ") or not line.endswith(b"\n"):
        what = "is empty" if not line else "does not begin with a yuv4mpeg header"
        raise VideoError(f"{path} {what}; make such a stream with ffmpeg -i FILE -f yuv4mpegpipe -")
    words = line.decode("ascii", "replace").split()[1:]
    tags = {word[0]: word[1:] for word in words if word[0] != "X"}
    extra = {w[1:].split("=")[0]: w.partition("=")[2] for w in words if w[0] == "X"}
    chroma = tags.get("C") or extra.get("YSCSS", "420jpeg").lower()
    if chroma not in _LAYOUTS:
        known = " ".join(_LAYOUTS)
        raise VideoError(
            f"{path} has layout C{chroma[:40]}, which is not known; use one of {known}"
        )
    width, height = (_whole(tags.get(side, ""), side, path) for side in "WH")
    check_size(width, height, str(path))
    fps = checked_fps(_ratio(tags.get("F", ""), path) or _DEFAULT_FPS, str(path))
    aspect = _ratio(tags.get("A", ""), path) or Fraction(1)
    span = _SPANS.get(extra.get("COLORRANGE", ""), 0)
    interlacing = tags.get("I", "")[:1] or "p"
    return Header(width, height, fps, aspect, interlacing, chroma, span)


def _whole(text: str, tag: str, path: Path) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise VideoError(f"{path} has {tag}{text[:40]!r} in its header; give a whole number there")
    return int(text)


def _ratio(text: str, path: Path) -> Fraction | None:
    """The ratio of a tag such as 24000:1001; None where it is absent or unknown (0:0)."""
    if not text:
        return None
    parts = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", text)
    if parts is None:
        raise VideoError(f"{path} has the ratio {text[:40]!r} in its header; give one such as 25:1")
    top, bottom = int(parts[1]), int(parts[2])
    return Fraction(top, bottom) if top and bottom else None


def _described(header: Header, path: Path, num_frames: int | None) -> VideoInfo:
    blank = VideoFrame(header.width, header.height, header.pix_fmt)
    blank.color_range = header.span
    return VideoInfo(
        path=path,
        container="yuv4mpegpipe",
        codec="rawvideo",
        pix_fmt=header.pix_fmt,
        bits=blank.format.components[0].bits,
        width=header.width,
        height=header.height,
        fps=header.fps,
        time_base=1 / header.fps,
        start_pts=0,
        origin_seconds=Fraction(0),
        num_frames=num_frames,
        duration_seconds=None if num_frames is None else float(num_frames / header.fps),
        display_matrix=None,
        pixel_aspect=header.pixel_aspect,
        matrix=colour.matrix_of(blank, path),
        full_range=colour.is_full_range(blank, "rawvideo"),
        colour_tags=(blank.colorspace, header.span, blank.color_primaries, blank.color_trc),
        audio_codecs=(),
        y4m_tags=(header.interlacing, header.chroma),
    )


def _plane_shapes(header: Header) -> list[tuple[int, int]]:
    layout = VideoFormat(header.pix_fmt, header.width, header.height)
    return [(part.height, part.width) for part in layout.components]


def _frame_bytes(header: Header) -> int:
    wide = 2 if VideoFormat(header.pix_fmt).components[0].bits > 8 else 1
    return wide * sum(height * width for height, width in _plane_shapes(header))


def _num_frames(file: BinaryIO, header: Header) -> int | None:
    """From the size of a regular file whose frame lines are all bare, else None."""
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        return None
    number, rest = divmod(found.st_size - file.tell(), len(_FRAME) + 1 + _frame_bytes(header))
    return number if number and not rest else None


def _frames(file: BinaryIO, header: Header, path: Path) -> Iterator[VideoFrame]:
    size, shapes, index = _frame_bytes(header), _plane_shapes(header), 0
    kind = np.dtype("<u2" if VideoFormat(header.pix_fmt).components[0].bits > 8 else "u1")
    while line := file.readline(_MAX_LINE_BYTES):
        data = file.read(size) if re.fullmatch(rb"FRAME( [^\n]*)?\n", line) else b""
        if len(data) < size:
            raise broken_off(path, index)
        yield _framed(np.frombuffer(data, kind), shapes, header)
        index += 1
    if index == 0:
        raise VideoError(f"{path} holds no frames; give a stream with at least one")


def _framed(codes: np.ndarray, shapes: list[tuple[int, int]], header: Header) -> VideoFrame:
    ends = np.cumsum([height * width for height, width in shapes])[:-1]
    planes = [c.reshape(s) for c, s in zip(np.split(codes, ends), shapes, strict=True)]
    frame = colour.frame_of_planes(planes, header.pix_fmt)
    frame.color_range = header.span
    return frame


class PipeSink:
    """A yuv4mpeg stream into standard output ("-"), or into a file that is renamed when closed.

    Each frame is handed on before `put` returns. While standard output is a film, whatever else
    the program prints there goes to standard error. There is no place for sound or a recipe.
    """

    container = None

    def __init__(
        self,
        path: Path,
        plan: Plan,
        size: tuple[int, int],
        clock: tuple[Fraction, Fraction],
        like: VideoInfo | None,
    ) -> None:
        if path.is_dir():
            raise VideoError(f"{path} is a folder; give the film a name in it, such as out.y4m")
        self._path, self._clock, self._num_frames = path, clock, 0
        self._header, self._first = _header_for(plan, size, clock[1], like), Fraction(0)
        self._standard = is_standard(path)
        self._partial = disk.aside(path)
        # Without a buffer, nothing is left to be written when the reader has gone.
        self._file: Any = (
            _taken_standard_output() if self._standard else open(self._partial, "wb", buffering=0)  # noqa: SIM115
        )

    def put(self, frame: VideoFrame) -> None:
        """Write one frame; VideoError if its time is not the next of a steady rate."""
        tick, fps = self._clock
        at = (frame.pts or 0) * tick
        self._first = self._first if self._num_frames else at
        if abs(at - self._first - self._num_frames / fps) >= 1 / fps:
            raise VideoError(
                f"frame {self._num_frames} is shown at {float(at):.3f} s, and yuv4mpeg holds only "
                f"a steady {float(fps):g} frames a second; write .mkv, or make the source steady "
                "with ffmpeg -fps_mode cfr"
            )
        start = b"" if self._num_frames else self._header.line
        planes = [plane.tobytes() for plane in colour.plane_arrays(frame)]
        self._write(b"".join([start, _FRAME, b"\n", *planes]))
        self._num_frames += 1

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Finish, and give a file its name."""
        self._let_go()
        if not self._standard:
            os.replace(self._partial, self._path)

    def abort(self) -> None:
        """Leave nothing behind, but for what a pipe has already carried away."""
        with suppress(OSError):
            self._let_go()
        if not self._standard:
            disk.remove(self._partial)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            if not self._standard or error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
            raise VideoError(
                f"whatever read standard output went away after frame {self._num_frames}; "
                "see what it says"
            ) from error

    def _let_go(self) -> None:
        if self._standard and not self._file.closed:
            _flush_text()
            os.dup2(self._file.fileno(), 1)
        self._file.close()


def _taken_standard_output() -> BinaryIO:
    if os.isatty(1):
        raise VideoError("standard output is a terminal, not a pipe; add > FILE.y4m or | ffplay -")
    _flush_text()
    taken = os.dup(1)
    os.set_blocking(taken, True)
    os.dup2(2, 1)
    return os.fdopen(taken, "wb", buffering=0)  # pyright: ignore[reportReturnType]


def _flush_text() -> None:
    with suppress(OSError, ValueError, AttributeError):  # closed, or not there at all
        sys.stdout.flush()


def _header_for(plan: Plan, size: tuple[int, int], fps: Fraction, like: VideoInfo | None) -> Header:
    aspect = like.pixel_aspect if like else Fraction(1)
    turned = like is not None and like.orientation.transposed
    interlacing, chroma = like.y4m_tags if like and like.y4m_tags else ("p", "")
    if _LAYOUTS.get(chroma) != plan.pix_fmt:
        left = like is not None and like.codec in _LEFT_CODECS
        eight = "420mpeg2" if left else "420jpeg"
        chroma = next(c for c, layout in _LAYOUTS.items() if layout == plan.pix_fmt and c != "420")
        chroma = eight if plan.pix_fmt == "yuv420p" else chroma
    return Header(
        *size, fps, 1 / aspect if turned else aspect, interlacing, chroma, _span(plan, like)
    )


def _span(plan: Plan, like: VideoInfo | None) -> int:
    """The range to state: none where the source states none and readers assume the right one."""
    assumed_full = colour.is_grey(plan.pix_fmt)
    unstated = like is not None and like.matrix != "rgb" and like.colour_tags[1] == 0
    if unstated and plan.full_range == assumed_full:
        return 0
    return _SPANS["FULL"] if plan.full_range else _SPANS["LIMITED"]
