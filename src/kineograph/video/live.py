"""Frames come as they are made: from a camera, an address that the user gave, a pipe, or a file."""

import gc
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import ExitError, FFmpegError
from av.video.frame import VideoFrame

from kineograph.video.info import VideoError, VideoInfo, describe, is_standard, picture_stream
from kineograph.video.reading import open_stream

TIMEOUT_SECONDS = 10.0
RETRY_SECONDS = 0.5
_COMES_BACK = ("rtsp", "srt")
"""Kinds that break off rather than end, where they tell no duration."""
# What each kind of address may open on its way; never files of this machine.
_PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "http": "http,tcp",
    "https": "https,http,tls,tcp",
    "udp": "udp",
    "srt": "srt,udp",
}
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_CAMERA = re.compile(r"camera:(\d{1,3})|(/dev/video\d{1,3})")
_SECRET = re.compile(r"(?<=://)[^/@]*@")


def is_file(source: str) -> bool:
    """Whether it has an end and can be begun again: no pipe, no camera, no address."""
    return not (is_standard(source) or _CAMERA.fullmatch(source) or "://" in source)


def open_live(
    source: str,
    loop: int = 1,
    timeout_seconds: float = TIMEOUT_SECONDS,
    again_seconds: float = 0.0,
) -> tuple[VideoInfo, Generator[VideoFrame, None, None]]:
    """What a source holds, and its frames as stored, which are to be closed; a file `loop` times.

    source: a file, "-", camera:0 or /dev/video0, or an rtsp, http, https, udp or srt address.
    again_seconds: how long a live rtsp or srt source that breaks off is tried to be opened again.
    VideoError if there is none, or nothing comes for so long, here or as frames are asked for.
    """
    if loop < 1 or (loop > 1 and not is_file(source)):
        raise ValueError(
            f"{without_secrets(source)} {loop} times: give 1, or a file and 1 or more."
        )
    if not 0 <= again_seconds <= 1e6:
        raise ValueError(f"again is {again_seconds}: give 0 to a million seconds.")
    film = _live(source, loop, timeout_seconds, again_seconds)
    return next(film), film


def _live(
    source: str, loop: int, timeout_seconds: float, again_seconds: float
) -> Generator[Any, None, None]:
    if camera := _CAMERA.fullmatch(source.lower()):
        device = camera[2] or f"/dev/video{camera[1]}"
        if not Path(device).exists():
            raise VideoError(f"There is no camera {device} on this machine; plug one in.")
        yield from _container_film(device, device, {"format": "v4l2"}, timeout_seconds)
    elif source.lower().startswith("camera:"):
        raise VideoError(f"{source} is no camera; write camera:0, or /dev/video0")
    elif address := _ADDRESS.match(source):
        told, how = without_secrets(source), _allowed(address[1])

        def opened() -> Generator[Any, None, None]:
            return _container_film(source, told, how, timeout_seconds)

        comes_back = address[1].lower() in _COMES_BACK
        yield from _opened_again(opened, told, again_seconds) if comes_back else opened()
    else:
        yield from _passes(source, loop)


def without_secrets(source: str) -> str:
    """The source without the name and password that an address may hold."""
    return _SECRET.sub("", source)


def _allowed(kind: str) -> dict[str, Any]:
    kind = kind.lower()
    if kind not in _PROTOCOLS:
        known = ", ".join(_PROTOCOLS)
        raise VideoError(f"{kind}:// is no address that can be streamed from; use {known}")
    transport = {"rtsp_transport": "tcp"} if kind == "rtsp" else {}
    return {"options": {"protocol_whitelist": _PROTOCOLS[kind]} | transport}


def _passes(source: str, loop: int) -> Generator[Any, None, None]:
    """The description of a film, and its frames, so many times over."""
    for number in range(loop):
        with open_stream(source) as film:
            if number == 0:
                yield film.info
            yield from film.frames()
        gc.collect()  # the first frame is in a cycle of PyAV's, and keeps its decoder's pictures


def _opened_again(
    opened: Callable[[], Generator[Any, None, None]], told: str, again_seconds: float
) -> Generator[Any, None, None]:
    """The description and the frames of a film that is opened anew where it breaks off.

    What has a duration ends where it ends. VideoError if it stays away for so long, or comes back
    in another size; if it was never there, at once.
    """
    info: VideoInfo | None = None
    last = time.monotonic()
    while True:
        try:
            with closing(opened()) as film:
                found: VideoInfo = next(film)
                if info is None:
                    yield found
                info = _alike(info or found, found, told)
                for frame in film:
                    yield frame
                    last = time.monotonic()
            if info.duration_seconds is not None or again_seconds == 0:
                return
        except VideoError as error:
            if info is None or again_seconds == 0 or isinstance(error, AnotherSize):
                raise
        if time.monotonic() - last > again_seconds:
            raise VideoError(
                f"{told} broke off and has not come back for {again_seconds:g} seconds; see "
                "whether it is on"
            )
        gc.collect()  # as in `_passes`
        time.sleep(RETRY_SECONDS)


class AnotherSize(VideoError):
    """Frames are no longer as large as they were told to be."""


def _alike(info: VideoInfo, found: VideoInfo, told: str) -> VideoInfo:
    if (info.width, info.height) != (found.width, found.height):
        raise _another_size(told, (info.width, info.height), (found.width, found.height))
    return info


def _another_size(told: str, was: tuple[int, int], now: tuple[int, int]) -> AnotherSize:
    return AnotherSize(
        f"{told} changes its size from {was[0]}x{was[1]} to {now[0]}x{now[1]}; begin again"
    )


def _container_film(
    name: str, told: str, how: dict[str, Any], timeout_seconds: float
) -> Generator[Any, None, None]:
    with _opened(name, told, how, timeout_seconds) as container:
        video = picture_stream(container, Path(told))
        # Threads that each take a whole frame hold back as many frames as there are threads.
        video.thread_type = "SLICE"  # pyright: ignore[reportAttributeAccessIssue]
        first: VideoFrame | None = None
        for frame in container.decode(video):
            if first is None:
                first = frame
                yield describe(Path(told), container, video, frame)
            elif (frame.width, frame.height) != (first.width, first.height):
                raise _another_size(told, (first.width, first.height), (frame.width, frame.height))
            yield frame
        if first is None:
            raise VideoError(f"{told} sent no frames; see whether it is on")


@contextmanager
def _opened(
    name: str, told: str, how: dict[str, Any], timeout_seconds: float
) -> Iterator[InputContainer]:
    """An open container; what FFmpeg dislikes, here or in the block, becomes a VideoError."""
    container: Any = None
    try:
        container = av.open(name, mode="r", timeout=timeout_seconds, **how)
        yield container
    except ExitError as error:
        raise VideoError(
            f"{told} sent nothing for {timeout_seconds:g} seconds; see whether it is on"
        ) from error
    except (FFmpegError, OSError) as error:
        raise VideoError(
            f"{told} cannot be streamed from ({error.strerror or error}); check the address, and "
            "whether it is on"
        ) from error
    except ValueError as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(f"{told} cannot be streamed from ({error}); see --help") from error
    finally:
        with suppress(FFmpegError, OSError):
            if container is not None:
                container.close()
