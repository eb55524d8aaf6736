"""What an upload is: header first, then packets, then pictures; each within limits."""

import json
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from kineograph import video
from kineograph.serve.api.apart import apart
from kineograph.serve.api.limits import Limits
from kineograph.video.info import opened, picture_stream


@dataclass(frozen=True)
class Seen:
    """What an upload is. fps is a fraction, as text."""

    kind: Literal["video", "picture"]
    width: int
    height: int
    num_frames: int
    seconds: float
    fps: str
    has_sound: bool


def look(path: Path, limits: Limits) -> Seen:
    """What is in the file, seen by a process apart. ValueError where it is no film, or too much."""
    return TypeAdapter(Seen).validate_json(apart(_as_json, path, limits))


def _as_json(path: Path, limits: Limits) -> bytes:
    return json.dumps(asdict(seen(path, limits))).encode()


def seen(path: Path, limits: Limits) -> Seen:
    """Header first, then packets, then pictures, for as long as there is time to decode."""
    with opened(path) as container:
        stream = picture_stream(container, path)
        size = stream.codec_context.width, stream.codec_context.height
        _check_size(*size, limits)
        is_picture = container.format.name.endswith("_pipe") or stream.codec_context.name == "webp"
        num = 0
        for packet in container.demux(stream):
            num += bool(packet.size and not packet.is_discard)
            if num > limits.frames:
                raise ValueError(f"The film has more than {limits.frames} frames: give a part.")
    info = video.probe(path)
    _check_size(info.width, info.height, limits)
    decoded = _decoded(path, limits.decode_seconds)
    num = num if decoded is None else decoded
    seconds = float(num / info.fps)
    if max(seconds, info.duration_seconds or 0) > limits.seconds:
        raise ValueError(f"The film lasts more than {limits.seconds:g} s: give a part of it.")
    kind = "picture" if is_picture and num == 1 else "video"
    sound = bool(info.audio_codecs)
    return Seen(kind, info.width, info.height, num, seconds, str(Fraction(info.fps)), sound)


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.frame_px:
        raise ValueError(
            f"The film is {width}x{height} pixels, and {limits.frame_px:,} in all are allowed."
        )


def _decoded(path: Path, most_seconds: float) -> int | None:
    """How many frames there are, all of them decoded; None where time ended first."""
    began, num = time.monotonic(), 0
    for _ in video.source_frames(path):
        num += 1
        if time.monotonic() - began > most_seconds:
            return None
    return num
