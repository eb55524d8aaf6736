"""A file is opened and judged by its content: its name may say what it likes."""

from pathlib import Path

from av.container import InputContainer
from av.stream import Disposition

from kineograph import video
from kineograph.data.folder.found import Kind
from kineograph.video.info import MIN_SIDE_PX, opened

_STILL_FORMATS = ("image2", "ico")
_TEXT_FORMATS = ("tty", "hls", "dash", "concat", "sdp", "lrc", "srt", "webvtt", "ass")
_FILM_MAGIC = (
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (0, b"\x1aE\xdf\xa3"),
    (8, b"AVI "),
    (0, b"OggS"),
    (0, b"FLV\x01"),
    (0, b"GIF8"),
    (0, b"\x00\x00\x01\xba"),
    (0, b"0&\xb2u"),
    (0, b"YUV4MPEG2"),
)
_PQ, _HLG = 16, 18


class Refused(ValueError):
    """A file is not used; the message says why, the kind in a word."""

    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(why)
        self.kind: Kind = kind


def check_content(path: Path, size_px: int, timeout_seconds: float) -> None:
    """Raise Refused unless the file holds moving pictures of a size that can be worked on."""
    magic = head_of(path)
    try:
        with opened(path, timeout_seconds) as container:
            _check_streams(container, size_px)
    except video.SlowError as error:
        raise Refused("too slow", f"not opened within {timeout_seconds:g} s") from error
    except video.VideoError as error:
        if any(magic[at : at + len(what)] == what for at, what in _FILM_MAGIC):
            why = "starts like a film, but is damaged or cut short: it cannot be opened"
            raise Refused("broken", why) from error
        raise Refused("not a film", "not a film: nothing that FFmpeg knows") from error


def head_of(path: Path) -> bytes:
    """The file's first bytes; Refused if it may not be read."""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise Refused("unreadable", f"cannot be read: {error.strerror or error}") from error


def _check_streams(container: InputContainer, size_px: int) -> None:
    name = container.format.name
    if name.endswith("_pipe") or name in _STILL_FORMATS:
        raise Refused("still picture", "a still picture")
    if name in _TEXT_FORMATS:
        raise Refused("not a film", "text, or a list of other files")
    streams = container.streams.video
    films = [s for s in streams if not s.disposition & Disposition.attached_pic]
    if not films and container.streams.audio:
        raise Refused("sound only", "sound only: no picture that moves")
    if not films:
        raise Refused("not a film", "not a film: it holds no pictures")
    codec = films[0].codec_context
    check_side(codec.width, codec.height, size_px)


def check_side(width: int, height: int, size_px: int) -> None:
    """Raise Refused for a picture that is too small to learn from, or too large to read."""
    if not width or not height:
        return  # not known before a frame is decoded
    least = max(MIN_SIDE_PX, size_px // 4)
    if min(width, height) < least:
        why = f"{width}x{height} pixels: a clip of {size_px} px needs sides of {least} or more"
        raise Refused("too small", why)
    if max(width, height) > video.MAX_SIDE_PX or width * height > video.MAX_FRAME_PX:
        raise Refused("too large", f"{width}x{height} pixels: too large to be read")


def check_light(info: video.VideoInfo) -> None:
    """Raise Refused for high dynamic range: its light is not brought into range here."""
    transfer = {_PQ: "PQ", _HLG: "HLG"}.get(info.colour_tags[3])
    if transfer:
        why = f"HDR ({transfer}): convert it to SDR first (ffmpeg's zscale and tonemap)"
        raise Refused("hdr", why)
