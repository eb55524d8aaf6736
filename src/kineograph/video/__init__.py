"""Films come in and go out here: any file that FFmpeg reads, exact in time, colour and size."""

from kineograph.video.formats import CODECS_OF, QUALITIES, SOUND_OF
from kineograph.video.info import (
    MAX_FRAME_PX,
    MAX_SIDE_PX,
    SlowError,
    VideoError,
    VideoInfo,
    checked_fps,
)
from kineograph.video.reading import (
    Clip,
    Film,
    clip_from_array,
    count_frames,
    open_stream,
    probe,
    read,
    rgb_frame,
    source_frames,
    stream,
)
from kineograph.video.recipe import read_recipe
from kineograph.video.writing import Writer

__all__ = [
    "CODECS_OF",
    "MAX_FRAME_PX",
    "MAX_SIDE_PX",
    "QUALITIES",
    "SOUND_OF",
    "Clip",
    "Film",
    "SlowError",
    "VideoError",
    "VideoInfo",
    "Writer",
    "checked_fps",
    "clip_from_array",
    "count_frames",
    "open_stream",
    "probe",
    "read",
    "read_recipe",
    "rgb_frame",
    "source_frames",
    "stream",
]
