"""A folder of pictures, or a pattern such as shot_%04d.png, is a film too, at a steady rate."""

import json
import re
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from kineograph.video.info import (
    PICTURE_SUFFIXES,
    VideoError,
    VideoInfo,
    describe,
    is_pattern,
    opened,
    picture_stream,
)

DEFAULT_FPS = Fraction(25)  # as FFmpeg takes it for pictures
SIDECAR = "kineograph.json"
_NUMBER = re.compile(r"%0?\d*d")


def is_sequence(path: Path) -> bool:
    """Whether the path stands for a row of pictures rather than for one file."""
    return path.is_dir() or (is_pattern(path) and not path.is_file())


def files(path: Path) -> list[Path]:
    """The pictures in order: by the numbers in their names, then by name."""
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        wanted = re.compile(r".*")
    else:
        before, after = _NUMBER.split(path.name)
        wanted = re.compile(re.escape(before) + r"\d+" + re.escape(after))
    found = [
        f
        for f in folder.iterdir()
        if f.suffix.lower() in PICTURE_SUFFIXES and f.is_file() and wanted.fullmatch(f.name)
    ]
    if not found:
        raise VideoError(f"{path} holds no pictures; give a video file or a folder of pictures")
    return sorted(found, key=lambda f: ([int(n) for n in re.findall(r"\d+", f.name)], f.name))


def sidecar_of(path: Path) -> Path:
    """Where the rate, the times and the recipe of a row of pictures are kept."""
    return path / SIDECAR if not is_pattern(path) else path.parent / SIDECAR


def sidecar(path: Path) -> dict:
    """What the sidecar says, {} if there is none."""
    try:
        found = json.loads(sidecar_of(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise VideoError(f"{sidecar_of(path)} is not readable JSON; mend or remove it") from error
    return found if isinstance(found, dict) else {}


def _clock(path: Path) -> tuple[Fraction, Fraction, list[int] | None]:
    """Rate, length of a tick, and the ticks of the frames if the sidecar names them."""
    said = sidecar(path)
    try:
        rate = Fraction(said.get("fps", DEFAULT_FPS))
        tick = Fraction(said["time_base"]) if "time_base" in said else 1 / rate
        times = [int(t) for t in said["pts"]] if "pts" in said else None
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise VideoError(f"{sidecar_of(path)} has no proper fps; mend or remove it") from error
    return rate, tick, times


def frames(path: Path, last: int | None = None) -> Generator[VideoFrame, None, None]:
    """Each picture in turn; with `last`, only so many from the end. All must be of one size."""
    names = files(path)
    _, tick, times = _clock(path)
    if times is not None and len(times) != len(names):
        times = None
    first = max(len(names) - last, 0) if last else 0
    size = None
    for index, name in list(enumerate(names))[first:]:
        frame = _picture(name)
        size = size or (frame.width, frame.height)
        if size != (frame.width, frame.height):
            raise VideoError(
                f"{name} is {frame.width}x{frame.height} and the pictures before it are "
                f"{size[0]}x{size[1]}; keep pictures of one size in a sequence"
            )
        frame.pts, frame.time_base = (times[index] if times else index), tick
        yield frame


def _picture(name: Path) -> VideoFrame:
    with opened(name) as container:
        for frame in container.decode(picture_stream(container, name)):
            return frame
    raise VideoError(f"{name} holds no picture; remove it from the sequence")


def probe(path: Path) -> VideoInfo:
    """What the first picture and the sidecar say of the whole sequence."""
    names = files(path)
    rate, _, times = _clock(path)
    first = next(iter(frames(path)))
    with opened(names[0]) as container:
        info = describe(path, container, picture_stream(container, names[0]), first, rate)
    steady = len(names) / rate
    changed = {"num_frames": len(names), "duration_seconds": float(steady), "container": "pictures"}
    changed |= {"start_pts": times[0] if times else 0, "origin_seconds": Fraction(0)}
    return type(info)(**{**vars(info), **changed})
