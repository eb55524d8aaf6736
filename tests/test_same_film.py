"""The same frames make the same film, however long each takes and whatever lay in memory before."""

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from films import samples
from kineograph.models import weights
from kineograph.video import CODECS_OF, Writer, read

WAYS = [(kind, codec) for kind, codecs in CODECS_OF.items() for codec in codecs if kind != ".m4v"]
FILL_OF_MALLOC = -6  # M_PERTURB of glibc's malloc.h: new memory holds this byte, turned round
NARROW, ODD = (48, 32), (144, 80)  # 3 and 9 blocks of 16 pixels a row: no multiple of 8


def moving(width: int, height: int) -> torch.Tensor:
    """Sixteen frames of the bundled clip under grain that stays, `t c h w` in [-1, 1]."""
    frames = read(weights.ASSETS / "clip.mp4", num_frames=16).frames
    frames = torch.nn.functional.interpolate(frames, size=(height, width), mode="bilinear")
    grain = torch.randn((1, *frames.shape[1:]), generator=torch.Generator().manual_seed(0))
    return (frames + 0.1 * grain).clamp(-1, 1)


def written(
    path: Path, frames: torch.Tensor, codec: str, quality: str = "high", pause: float = 0
) -> list[bytes]:
    """The samples of the film that these frames, written one by one, have become."""
    height, width = frames.shape[2:]
    with Writer(path, width=width, height=height, fps=24, codec=codec, quality=quality) as film:
        for frame in frames:
            time.sleep(pause)
            film.write(frame[None])
    return samples(path / "%05d.png" if path.is_dir() else path)


@contextmanager
def memory_full_of(byte: int) -> Iterator[None]:
    """Memory that is not written to before it is read holds this; glibc's own alone can do so."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only glibc fills memory")
    malloc = ctypes.CDLL(None)
    malloc.mallopt(FILL_OF_MALLOC, byte)
    try:
        yield
    finally:
        malloc.mallopt(FILL_OF_MALLOC, 0)


@contextmanager
def processors(allowed: set[int]) -> Iterator[None]:
    """This thread, and those that it starts, run on these alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, allowed)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(("suffix", "codec"), WAYS)
def test_a_pause_between_frames_changes_nothing(tmp_path: Path, suffix: str, codec: str) -> None:
    frames = moving(*ODD)
    folder = "" if suffix == ".png" else suffix
    at_once = written(tmp_path / f"a{folder}", frames, codec)
    assert len(at_once) == len(frames)
    assert written(tmp_path / f"b{folder}", frames, codec, pause=0.02) == at_once


@pytest.mark.parametrize("quality", ["high", "small"])
@pytest.mark.parametrize("size", [NARROW, ODD])
@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "ffv1", "prores"])
def test_what_lay_in_memory_before_changes_nothing(
    tmp_path: Path, codec: str, size: tuple[int, int], quality: str
) -> None:
    if codec == "h265" and size == NARROW:
        pytest.skip("h265 has no films so small")
    frames, made = moving(*size), []
    for byte in (1, 85, 200):
        with memory_full_of(byte):
            made.append(written(tmp_path / f"{byte}.mkv", frames, codec, quality))
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9"])
def test_the_number_of_processors_changes_nothing(tmp_path: Path, codec: str) -> None:
    allowed = getattr(os, "sched_getaffinity", lambda _: {0})(0)
    if len(allowed) == 1:
        pytest.skip("there is one processor")
    frames = moving(320, 180)
    with processors({min(allowed)}):
        alone = written(tmp_path / "alone.mkv", frames, codec)
    assert written(tmp_path / "all.mkv", frames, codec) == alone
