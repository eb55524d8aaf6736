"""Texts are drawn into a film by FFmpeg's drawtext; where none is shown, no sample changes."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

import av
import imageio_ffmpeg
from av.error import FFmpegError
from av.video.frame import VideoFrame

from kineograph import video
from kineograph.batch.texts import Text, filter_of
from kineograph.video import colour

CHECK_SECONDS = 60
FONT = "font"


def check_ffmpeg() -> None:
    """ValueError where this machine's ffmpeg draws no text."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-filters"]
    found = subprocess.run(command, capture_output=True, timeout=CHECK_SECONDS, check=False)
    if b" drawtext " not in found.stdout:
        raise ValueError(
            f"{command[0]} has no drawtext, so no text can be drawn: "
            "set IMAGEIO_FFMPEG_EXE to an ffmpeg that was built with freetype."
        )


def finish(
    made: Path,
    out: Path,
    texts: Sequence[Text],
    font: Path,
    quality: str,
    sound: bool,
    passed: Callable[[], None],
) -> None:
    """Writes the film again with texts, at that quality, with its sound or without.

    passed: called after each frame; what it raises ends it, and nothing is written.
    """
    info = video.probe(made)
    upright = replace(info, display_matrix=None) if texts else info
    heard = made if sound and info.audio_codecs and out.suffix.lower() in video.SOUND_OF else None
    said = {"texts": [asdict(text) for text in texts], "sound": sound}
    recipe = {**video.read_recipe(made), **said}
    frames = _drawn(made, info, texts, font) if texts else video.source_frames(made)
    with video.Writer(
        out, like=upright, quality=quality, audio_from=heard, recipe=recipe
    ) as writer:
        for frame in frames:
            writer.write_given(frame)
            passed()


def _drawn(
    made: Path, info: video.VideoInfo, texts: Sequence[Text], font: Path
) -> Iterator[VideoFrame]:
    """The film's frames with the texts, upright, at their own times and in their own layout."""
    folder = made.parent
    shutil.copyfile(font, folder / FONT)
    drawing = []
    for index, text in enumerate(texts):
        (folder / f"{index}.txt").write_text(text.text, "utf-8", newline="\n")
        drawing.append(filter_of(text, f"{index}.txt", FONT, info.width, info.height))
    with _ffmpeg(made, ",".join(drawing)) as pipe, _opened(pipe) as container:
        found = container.decode(container.streams.video[0])
        for given, frame in zip(video.source_frames(made), found, strict=True):
            same = _laid_as(frame, given.format.name)
            same.pts, same.time_base = given.pts, given.time_base
            yield same


def _laid_as(frame: VideoFrame, pix_fmt: str) -> VideoFrame:
    """The frame in that layout; the same samples where only its name differs."""
    if frame.format.name.replace("yuvj", "yuv") == pix_fmt.replace("yuvj", "yuv"):
        return colour.relabelled(frame, pix_fmt)
    return colour.repacked(frame, pix_fmt)


@contextmanager
def _ffmpeg(film: Path, drawing: str) -> Iterator[IO[bytes]]:
    """What ffmpeg makes of the film, as a stream; it runs where the film is, apart from Ctrl-C."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", film.name,
               "-map", "0:v:0", "-vf", drawing, "-fps_mode", "passthrough",
               "-c:v", "rawvideo", "-f", "nut", "pipe:1"]  # fmt: skip
    log = film.with_name("ffmpeg.log")
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=film.parent, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    assert process.stdout is not None
    try:
        yield process.stdout
        if process.wait(CHECK_SECONDS):
            raise ValueError(f"The film ends too early: ffmpeg answers {process.returncode}.")
    except ValueError as error:
        raise ValueError(f"The texts cannot be drawn: {_last_words(log) or error}") from error
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def _opened(pipe: IO[bytes]) -> Iterator[Any]:
    try:
        with av.open(pipe, format="nut") as container:
            yield container
    except FFmpegError as error:
        raise ValueError(f"{error.strerror}.") from error


def _last_words(log: Path) -> str:
    words = log.read_text("utf-8", errors="replace").strip().splitlines()
    return words[-1] if words else ""
