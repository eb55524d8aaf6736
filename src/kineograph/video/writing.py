"""Frames go into a film at the times and in the size they have, and the film is whole or absent."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import ceil, lcm
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from jaxtyping import Float, Float64
from torch import Tensor

from kineograph.video import colour, disk
from kineograph.video.formats import Plan, plan, suffix_of
from kineograph.video.info import (
    Orientation,
    VideoError,
    VideoInfo,
    check_size,
    checked_fps,
    local_file,
)
from kineograph.video.pipe import PipeSink
from kineograph.video.reading import source_frames, unturned
from kineograph.video.recipe import recipe_text
from kineograph.video.sinks import FileSink, PictureSink
from kineograph.video.sound import Sound

_TURNED_BY_PLAYER = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
_GIF_MAX_FPS = 50  # browsers show a delay below 2/100 s as 10/100 s
_FINE_TICKS = 90_000
_MOST_TICKS = 10_000_000


class Writer:
    """A film being written; use it in a `with` block, which ends in a whole film or in none.

    path: .mp4 .m4v .mov .mkv .webm .gif .y4m, or for PNG a new folder or a pattern such as
    d/%05d.png; "-" is yuv4mpeg on standard output
    like: the film whose size, rate, clock, colours and turning are kept
    quality: "exact" keeps every sample of given frames (8-bit RGB for others); "high"; "small"
    codec: h264 h265 vp9 prores ffv1, or None to choose the first that fits
    audio_from: the film whose sound is carried along, up to `audio_until_seconds`
    recipe: a JSON object, kept in the film (yuv4mpeg has no place for it), see `read_recipe`
    """

    def __init__(
        self,
        path: str | Path,
        *,
        like: VideoInfo | None = None,
        width: int | None = None,
        height: int | None = None,
        fps: Fraction | float | int | None = None,
        quality: str = "high",
        codec: str | None = None,
        audio_from: str | Path | None = None,
        audio_until_seconds: Fraction | float | int | None = None,
        recipe: dict[str, Any] | None = None,
    ) -> None:
        if like is None and (width is None or height is None or fps is None):
            raise ValueError(
                f"width is {width}, height {height}, fps {fps}; give all three, or `like`"
            )
        self._path, self._like, self._recipe = Path(path), like, recipe
        recipe_text(recipe or {})
        self.width = width or (like.width if like else 0)
        self.height = height or (like.height if like else 0)
        check_size(self.width, self.height, str(path))
        self.fps = checked_fps(fps or (like.fps if like else 0), str(path))
        suffix = suffix_of(self._path)
        if suffix == ".gif" and self.fps > _GIF_MAX_FPS:
            raise VideoError(
                f"{path} cannot hold {float(self.fps):g} frames a second, a GIF's limit is "
                f"{_GIF_MAX_FPS}; write .mp4"
            )
        self._by_player = suffix in _TURNED_BY_PLAYER
        turned = self._stored_orientation.transposed
        self._size = (self.height, self.width) if turned else (self.width, self.height)
        self._plan = plan(self._path, quality, codec, like, *self._size)
        self._exact = quality == "exact"
        self._tick = _tick(like, self.fps)
        self._audio_from = local_file(audio_from) if audio_from is not None else None
        self._audio_until = audio_until_seconds
        self._offset: Fraction | None = None
        self._last: Fraction | None = None
        self._last_tick = -1
        self.num_frames = 0

    def __enter__(self) -> "Writer":
        clock = (self._tick, self.fps)
        with disk.writing(self._path):
            if self._plan.codec == "png":
                self._sink = PictureSink(self._path, self._plan, self._size, clock, self._recipe)
            elif self._plan.codec == "y4m":
                self._sink = PipeSink(self._path, self._plan, self._size, clock, self._like)
            else:
                self._sink = FileSink(
                    self._path, self._plan, self._size, clock, self._like, self._recipe
                )
        self._sound: Sound | None = None
        if self._audio_from is not None:
            with self._or_abort():
                # Streams must be there before the first frame; when it starts is set then.
                self._sound = Sound(self._audio_from, suffix_of(self._path), self._sink.container)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abort()
            return
        with self._or_abort():
            if self.num_frames == 0:
                raise VideoError(f"{self._path} got no frames, so it is not written; give some")
            self._sink.flush()
            if self._sound:
                self._sound.advance(None)
                self._sound.close()
            self._sink.close()

    @property
    def next_seconds(self) -> Fraction:
        """When the next frame is shown if no time is given, after the film's first frame."""
        return Fraction(0) if self._last is None else self._last + 1 / self.fps

    def write_given(
        self, source: VideoFrame | str | Path, start_frame: int = 0, num_frames: int | None = None
    ) -> None:
        """Write frames of a film as they are stored, at their own times: one, or a file's."""
        if not isinstance(source, VideoFrame):
            for frame in source_frames(source, start_frame, num_frames):
                self.write_given(frame)
            return
        if self._like is None:
            raise ValueError("given frames need `like`, the description of their film; see probe")
        if (source.width, source.height) != self._like.stored_size:
            raise VideoError(
                f"a given frame is {source.width}x{source.height} and its film "
                f"{self._like.path} is stored as {self._like.stored_size}; nothing is resized"
            )
        if (self.width, self.height) != (self._like.width, self._like.height):
            raise VideoError(
                f"{self._path} is {self.width}x{self.height} and the given frames are "
                f"{self._like.width}x{self._like.height}; nothing is resized, make them alike"
            )
        at = ((source.pts or 0) - self._like.start_pts) * (source.time_base or self._like.time_base)
        frame = laid_out(source, self._plan, self._like, self._exact)
        if not self._by_player:
            frame = _turned_frame(frame, self._like.orientation)
        self._put(frame, at)

    def write(
        self,
        frames: Float[Tensor, "t c h w"],
        pts_seconds: Float64[Tensor, " t"] | None = None,
    ) -> None:
        """Write RGB frames in [-1, 1] as displayed; without times, one after another at `fps`."""
        if frames.shape[1:] != (3, self.height, self.width):
            raise VideoError(
                f"the frames have shape {tuple(frames.shape)} and {self._path} needs "
                f"(frames, 3, {self.height}, {self.width}); nothing is resized"
            )
        if not torch.isfinite(frames).all():
            raise VideoError(f"frames for {self._path} hold NaN or infinity; nothing is written")
        for index, rgb in enumerate(frames):
            at = self.next_seconds if pts_seconds is None else Fraction(pts_seconds[index].item())
            stored = unturned(rgb, self._stored_orientation)
            frame = colour.from_rgb(
                stored, self._plan.pix_fmt, self._plan.matrix, self._plan.full_range
            )
            self._put(frame, at)

    @property
    def _stored_orientation(self) -> Orientation:
        return self._like.orientation if self._like and self._by_player else Orientation()

    def _put(self, frame: VideoFrame, at: Fraction) -> None:
        if self._offset is None:
            self._begin(at)
        seconds = at + (self._offset or 0)
        tick = round(seconds / self._tick)
        if tick <= self._last_tick:
            raise VideoError(
                f"a frame for {self._path} at {float(at):.6f} s is not after the one before it; "
                "give frames in order, each at its own time"
            )
        frame.pts, frame.time_base = tick, self._tick
        with disk.writing(self._path):
            if self._sound:
                self._sound.advance(seconds)
            self._sink.put(frame)
        self._last, self._last_tick = at, tick
        self.num_frames += 1

    def _begin(self, at: Fraction) -> None:
        """Time 0 is the source's own start, or the first frame if that is not the source's."""
        start = origin = Fraction(0)
        if self._like:
            start, origin = self._like.start_pts * self._like.time_base, self._like.origin_seconds
        self._offset = start - origin if at == 0 and start >= origin else -at
        if self._sound:
            until = None if self._audio_until is None else Fraction(self._audio_until)
            until = None if until is None else until + self._offset
            self._sound.start(start - self._offset, until)

    @contextmanager
    def _or_abort(self) -> Iterator[None]:
        try:
            with disk.writing(self._path):
                yield
        except BaseException:
            self._abort()
            raise

    def _abort(self) -> None:
        if self._sound:
            self._sound.close()
        self._sink.abort()


def _tick(like: VideoInfo | None, fps: Fraction) -> Fraction:
    """A clock on which the source's times and steps of 1/fps are both whole ticks, if there is."""
    if like is None:
        return Fraction(1, fps.numerator * ceil(_FINE_TICKS / fps.numerator))
    if (1 / (fps * like.time_base)).denominator == 1:
        return like.time_base
    both = Fraction(1, lcm(like.time_base.denominator, fps.numerator))
    return both if both.denominator <= _MOST_TICKS else like.time_base


def laid_out(frame: VideoFrame, how: Plan, like: VideoInfo, exact: bool) -> VideoFrame:
    """A copy of a stored frame in the plan's layout, sample for sample wherever that is asked."""
    source = VideoFormat(frame.format.name)
    if exact and frame.format.name != like.pix_fmt:
        raise VideoError(
            f"{like.path} changes its pixel format from {like.pix_fmt} to {frame.format.name}, "
            'which cannot be kept exactly; take quality "high"'
        )
    if exact and _may_be_clear(source) and not _may_be_clear(VideoFormat(how.pix_fmt)):
        alpha = colour.repacked(frame, "bgra").to_ndarray()[..., 3]
        if int(np.min(alpha)) < 255:
            raise VideoError(
                f"{like.path} has transparent parts, which this kind of file cannot keep; "
                'write .mkv, or take quality "high"'
            )
    if not exact and _changes_values(source, how):
        rgb = colour.to_rgb(frame, like.matrix, like.full_range)
        return colour.from_rgb(rgb, how.pix_fmt, how.matrix, how.full_range)
    same = colour.repacked(frame, how.pix_fmt)
    # A copy, so that neither side data nor the source's picture types steer the encoder.
    return colour.relabelled(same, how.pix_fmt)


def _may_be_clear(layout: VideoFormat) -> bool:
    return layout.has_palette or any(part.is_alpha for part in layout.components)


def _changes_values(source: VideoFormat, how: Plan) -> bool:
    wanted = VideoFormat(how.pix_fmt)
    kinds = [(colour.is_rgb(f.name), f.components[0].bits) for f in (source, wanted)]
    return kinds[0] != kinds[1] or colour.is_grey(source.name) != colour.is_grey(wanted.name)


def _turned_frame(frame: VideoFrame, how: Orientation) -> VideoFrame:
    """The frame turned by exchanging samples; for layouts without subsampled chroma."""
    planes = []
    for plane in colour.plane_arrays(frame):
        plane = plane.swapaxes(0, 1) if how.transposed else plane
        plane = plane[:, ::-1] if how.mirrored_x else plane
        planes.append(plane[::-1] if how.mirrored_y else plane)
    return colour.frame_of_planes(planes, frame.format.name)
