"""Stored frames go into one file, or into a folder of pictures, and are whole when it is closed."""

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from kineograph.video import colour, disk, pictures
from kineograph.video.formats import Plan, suffix_of
from kineograph.video.info import VideoError, VideoInfo, is_pattern
from kineograph.video.recipe import KEY, append_gif_comment, recipe_text

_METADATA_OPTION = {"movflags": "use_metadata_tags"}  # else this container drops unknown keys
_MUXER = {".mkv": "matroska", ".m4v": "mp4"}


class FileSink:
    """One film file, written aside and renamed when closed."""

    def __init__(
        self,
        path: Path,
        plan: Plan,
        size: tuple[int, int],
        clock: tuple[Fraction, Fraction],
        like: VideoInfo | None,
        recipe: dict[str, Any] | None,
    ) -> None:
        if path.is_dir():
            raise VideoError(f"{path} is a folder; give the film a name in it, such as out.mp4")
        self._path, self._partial, self._recipe = path, disk.aside(path), recipe
        suffix = suffix_of(path)
        # A file object of our own: each failed write is then an exception, never lost on closing.
        self._file: BinaryIO = open(self._partial, "w+b")  # noqa: SIM115
        try:
            muxer = _MUXER.get(suffix, suffix[1:])
            options = _METADATA_OPTION if suffix in (".mp4", ".m4v", ".mov") else {}
            self.container = av.open(self._file, mode="w", format=muxer, options=options)
            if recipe is not None:
                self.container.metadata[KEY] = recipe_text(recipe)
            self._stream = _video_stream(self.container, plan, size, clock, like)
            self._dither = _Dither(size, clock[0]) if plan.codec == "gif" else None
        except BaseException:
            self.abort()
            raise

    def put(self, frame: VideoFrame) -> None:
        """Encode one frame, whose time is in ticks of the sink's clock."""
        frame = self._dither(frame) if self._dither else frame
        for packet in self._stream.encode(frame):
            self.container.mux(packet)

    def flush(self) -> None:
        """Write the frames that the encoder still holds."""
        for packet in self._stream.encode(None):
            self.container.mux(packet)

    def close(self) -> None:
        """Finish the file and give it its name."""
        self.container.close()
        if self._recipe is not None and self._path.suffix.lower() == ".gif":
            append_gif_comment(self._file, recipe_text(self._recipe))
        self._file.flush()
        self._file.close()
        os.replace(self._partial, self._path)

    def abort(self) -> None:
        """Leave nothing behind."""
        for resource in (getattr(self, "container", None), self._file):
            try:
                if resource is not None:
                    resource.close()
            except (OSError, ValueError, RuntimeError):
                pass  # the disk that refused the film refuses its end as well
        disk.remove(self._partial)


class PictureSink:
    """A row of PNG files, with rate, times and recipe in a JSON file beside them."""

    container = None

    def __init__(
        self,
        path: Path,
        plan: Plan,
        size: tuple[int, int],
        clock: tuple[Fraction, Fraction],
        recipe: dict[str, Any] | None,
    ) -> None:
        self._pattern = is_pattern(path)
        self._folder = path.parent if self._pattern else path
        self._name = path.name if self._pattern else "%05d.png"
        self._refuse_overwriting()
        self._partial = disk.aside(path)
        self._partial.mkdir()
        self._encoder: Any = av.CodecContext.create("png", "w")
        self._encoder.width, self._encoder.height = size
        self._encoder.pix_fmt, self._encoder.time_base = plan.pix_fmt, clock[0]
        said = {} if recipe is None else {"recipe": json.loads(recipe_text(recipe))}
        self._said = {"fps": str(clock[1]), "time_base": str(clock[0]), "pts": [], **said}

    def _refuse_overwriting(self) -> None:
        taken = self._folder.is_dir() and (
            any((self._folder / (self._name % n)).exists() for n in range(2))
            if self._pattern
            else any(self._folder.iterdir())
        )
        if taken or self._folder.is_file():
            raise VideoError(f"{self._folder} already holds files; give an empty or new folder")

    def put(self, frame: VideoFrame) -> None:
        """Write one picture."""
        self._said["pts"].append(frame.pts)
        data = b"".join(bytes(packet) for packet in self._encoder.encode(frame))
        (self._partial / (self._name % len(self._said["pts"]))).write_bytes(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Give the pictures their place."""
        (self._partial / pictures.SIDECAR).write_text(json.dumps(self._said), encoding="utf-8")
        if not self._pattern:
            if self._folder.is_dir():
                self._folder.rmdir()
            os.replace(self._partial, self._folder)
            return
        for name in sorted(self._partial.iterdir()):
            os.replace(name, self._folder / name.name)
        self._partial.rmdir()

    def abort(self) -> None:
        """Leave nothing behind."""
        disk.remove(self._partial)


class _Dither:
    """256 colours chosen anew for each frame, as a GIF holds them."""

    def __init__(self, size: tuple[int, int], tick: Fraction) -> None:
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=size[0], height=size[1], format=VideoFormat("rgb24"), time_base=tick
        )
        split = self._graph.add("split")
        palette = self._graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
        use = self._graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(palette, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(self._graph.add("buffersink"))
        self._graph.configure()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        self._graph.push(frame)
        return self._graph.pull()  # pyright: ignore[reportReturnType]


def _video_stream(
    container: Any,
    plan: Plan,
    size: tuple[int, int],
    clock: tuple[Fraction, Fraction],
    like: VideoInfo | None,
) -> Any:
    tick, fps = clock
    stream = container.add_stream(plan.encoder, rate=fps, options=dict(plan.options))
    stream.width, stream.height = size
    stream.pix_fmt = "pal8" if plan.codec == "gif" else plan.pix_fmt
    stream.time_base = stream.codec_context.time_base = tick
    if plan.codec == "gif":
        return stream
    _tag_colours(stream.codec_context, plan, size, like)
    if like:
        stream.codec_context.sample_aspect_ratio = like.pixel_aspect
        if like.display_matrix:
            stream.set_display_matrix(like.display_matrix)
    return stream


def _tag_colours(context: Any, plan: Plan, size: tuple[int, int], like: VideoInfo | None) -> None:
    """State the matrix and range; a source that states none, of the same size, stays so."""
    context.color_range = 2 if plan.full_range else 1
    context.colorspace = colour.TAG_OF_MATRIX[plan.matrix]
    if like is None or like.matrix == "rgb" or plan.matrix == "rgb":
        if plan.matrix != "rgb":
            context.color_primaries = context.color_trc = 1 if plan.matrix == "bt709" else 6
        return
    matrix, span, primaries, transfer = like.colour_tags
    context.color_primaries, context.color_trc = primaries, transfer
    if size == like.stored_size:
        context.colorspace = matrix
        context.color_range = 2 if plan.full_range else span
