"""Small films made with PyAV alone, so that the reader and the writer are tested apart."""

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
from av.video.frame import VideoFrame

VFR_TICKS = [0, 25, 40, 75, 100, 133, 150, 175, 300, 325, 350, 375]
SHARES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
TAGS = {"bt601": 6, "bt709": 1, "bt2020": 9}


def textured(num_frames: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    """Noise that differs from frame to frame, as `t h w 3` bytes."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8)


def stored(picture: np.ndarray, pix_fmt: str) -> VideoFrame:
    return VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pix_fmt)


def planes_frame(planes: list[np.ndarray], pix_fmt: str) -> VideoFrame:
    """A frame of exactly these planes."""
    frame = VideoFrame(planes[0].shape[1], planes[0].shape[0], pix_fmt)
    for plane, samples in zip(frame.planes, planes, strict=True):
        lines = np.zeros((plane.height, plane.line_size // samples.itemsize), samples.dtype)
        lines[:, : samples.shape[1]] = samples
        plane.update(lines.tobytes())
    return frame


def film(
    path: Path,
    frames: list[VideoFrame],
    *,
    codec: str = "libx264",
    ticks: list[int] | None = None,
    tick: Fraction = Fraction(1, 600),
    options: dict[str, str] | None = None,
    matrix: int | None = None,
    span: int | None = None,
    rotation: int | None = None,
    sound_seconds: float = 0,
    sound_codec: str = "aac",
    muxer: dict[str, str] | None = None,
) -> Path:
    """Encode the frames as they are; the times default to 24 frames a second."""
    lossless = {"libx264": {"qp": "0"}, "libvpx-vp9": {"lossless": "1"}}
    with av.open(str(path), "w", options=muxer or {}) as out:
        video: Any = out.add_stream(
            codec, rate=Fraction(24), options=options or lossless.get(codec, {})
        )
        video.width, video.height = frames[0].width, frames[0].height
        video.pix_fmt = frames[0].format.name
        video.time_base = video.codec_context.time_base = tick
        if matrix is not None:
            video.codec_context.colorspace = matrix
        if span is not None:
            video.codec_context.color_range = span
        if rotation is not None:
            video.set_display_rotation(rotation)
        sound: Any = out.add_stream(sound_codec, rate=48000) if sound_seconds else None
        if sound:
            sound.layout = "mono"
        for index, frame in enumerate(frames):
            frame.pts = ticks[index] if ticks else round(Fraction(index, 24) / tick)
            frame.time_base = tick
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound:
            _tone(out, sound, sound_seconds)
    return path


def _tone(out: Any, sound: Any, seconds: float) -> None:
    wave = np.sin(np.arange(int(seconds * 48000)) * 0.05).astype(np.float32)
    for start in range(0, len(wave), 960):
        part = wave[None, start : start + 960]
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        if sound.format.name != "fltp":
            frame = av.AudioResampler(format=sound.format.name).resample(frame)[0]
        out.mux(sound.encode(frame))
    out.mux(sound.encode(None))


def simple(path: Path, num_frames: int = 12, width: int = 48, height: int = 32, **more) -> Path:
    """A film of noise; `pix_fmt` and what `film` takes may be given."""
    pix_fmt = more.pop("pix_fmt", "yuv420p")
    pictures = textured(num_frames, width, height)
    return film(path, [stored(p, pix_fmt) for p in pictures], **more)


def samples(path: Path) -> list[bytes]:
    """Every stored frame's samples, without line padding, by PyAV alone."""
    with av.open(str(path)) as container:
        return [b"".join(_lines(f)) for f in container.decode(container.streams.video[0])]


def _lines(frame: VideoFrame) -> list[bytes]:
    wide = 2 if frame.format.components[0].bits > 8 else 1
    packed = len(frame.planes) == 1 and len(frame.format.components) > 1
    wide *= len(frame.format.components) if packed else 1
    return [
        np.frombuffer(memoryview(p), np.uint8).reshape(p.height, -1)[:, : p.width * wide].tobytes()
        for p in frame.planes
    ]


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds, by PyAV alone."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return [(f.pts or 0) * (f.time_base or Fraction(1)) for f in container.decode(video)]


def by_ffmpeg(path: Path, width: int, height: int) -> np.ndarray:
    """The film's frames as the ffmpeg program shows them, `t h w 3` bytes."""
    raw = ["-sws_flags", "accurate_rnd+full_chroma_int+full_chroma_inp"]
    raw += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    return np.frombuffer(ffmpeg(["-i", str(path), *raw]), np.uint8).reshape(-1, height, width, 3)


def ffmpeg(arguments: list[str]) -> bytes:
    """What the ffmpeg program prints."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout
