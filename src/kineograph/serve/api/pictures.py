"""Small pictures of a film: its thumbnail, and a sheet of its moments."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from math import ceil
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from kineograph import video
from kineograph.answer.restoring import picture_of
from kineograph.serve.api.limits import Limits
from kineograph.serve.api.working import fitted, jpeg
from kineograph.video.info import opened, picture_stream

THUMBNAIL_PX, TILE_PX = 480, 160
NUM_COLUMNS, NUM_TILES = 4, 16
MOST_DECODED = 500
"""Of longer films only key frames are shown."""


def thumbnail(path: Path, limits: Limits) -> bytes:
    """The middle frame of a film, as JPEG."""
    *_, last = moments(path, 2)
    return jpeg(last, THUMBNAIL_PX)


def spritesheet(path: Path, limits: Limits) -> bytes:
    """Moments spread over a film, row by row, as JPEG."""
    sheet = tiled([fitted(picture, TILE_PX) for picture in moments(path, NUM_TILES)])
    return jpeg(sheet, max(sheet.shape[:2]))


def tiled(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures of one size in rows; what is left over is black."""
    height, width = pictures[0].shape[:2]
    columns = min(NUM_COLUMNS, len(pictures))
    rows = ceil(len(pictures) / columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height, left : left + width] = picture
    return sheet


def moments(path: Path, count: int) -> Iterator[np.ndarray]:
    """Frames at the beginnings of equal parts of a film, as displayed: `h w 3` bytes."""
    info, total = video.probe(path), video.count_frames(path)
    count = min(count, total)
    wanted = [n * total // count for n in range(count)]
    if total > MOST_DECODED:
        frames = _by_key(path, [n / info.fps for n in wanted])
    else:
        frames = (f for n, f in enumerate(video.source_frames(path)) if n in wanted)
    for frame in islice(frames, count):
        yield picture_of(video.rgb_frame(frame, info))


def _by_key(path: Path, seconds: list[Fraction]) -> Iterator[VideoFrame]:
    with opened(path) as container:
        stream = picture_stream(container, path)
        assert stream.time_base is not None
        for at in seconds:
            container.seek(int(at / stream.time_base) + (stream.start_time or 0), stream=stream)
            yield next(container.decode(stream))
