"""Whatever is wrong with a file, an array or a disk: one sentence, and nothing half written."""

import os
import resource
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from films import ffmpeg, film, planes_frame, simple, stored, textured
from kineograph.video import (
    Writer,
    clip_from_array,
    count_frames,
    probe,
    read,
    read_recipe,
    source_frames,
    stream,
)

FRAMES = torch.zeros(2, 3, 16, 16)


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """One sentence with these words in it, and with advice after a semicolon."""
    with pytest.raises(ValueError) as caught:
        yield
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 600
    assert ";" in said
    for word in words:
        assert word in said, said


def flat_png(path: Path, width: int, height: int) -> Path:
    """A black PNG of any size, in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    line = b"\0" * (1 + (width + 7) // 8)
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    path.write_bytes(
        signature + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    return path


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("This is no film.\n" * 100)
    return folder / "text.mp4"


def plain_text(folder: Path) -> Path:
    (folder / "text.txt").write_text("FFmpeg would draw this as a screen of letters.\n" * 100)
    return folder / "text.txt"


def noise(folder: Path) -> Path:
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    return folder / "noise.mp4"


def no_index(folder: Path) -> Path:
    data = simple(folder / "whole.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(data[: len(data) // 2])
    return folder / "cut.mp4"


def no_frames(folder: Path) -> Path:
    whole = simple(folder / "whole.mp4", num_frames=3)
    ffmpeg(["-i", str(whole), "-c", "copy", "-frames:v", "0", str(folder / "none.mp4")])
    return folder / "none.mp4"


def sound_only(folder: Path) -> Path:
    whole = simple(folder / "whole.mp4", num_frames=3, sound_seconds=1)
    ffmpeg(["-i", str(whole), "-vn", "-c", "copy", str(folder / "sound.mp4")])
    return folder / "sound.mp4"


def sound_with_cover(folder: Path) -> Path:
    whole, cover = sound_only(folder), flat_png(folder / "cover.png", 32, 32)
    out = folder / "song.mp4"
    picture = ["-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic"]
    ffmpeg(["-i", str(whole), "-i", str(cover), *picture, str(out)])
    return out


def tiny(folder: Path) -> Path:
    return flat_png(folder / "tiny.png", 1, 1)


def wide(folder: Path) -> Path:
    return flat_png(folder / "wide.png", 20_000, 4)


def huge(folder: Path) -> Path:
    return flat_png(folder / "huge.png", 16_000, 9_000)


def empty_folder(folder: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


def no_such_pattern(folder: Path) -> Path:
    return folder / "shot_%04d.png"


def playlist(folder: Path) -> Path:
    simple(folder / "a.ts", num_frames=3)
    lines = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n"
    (folder / "list.m3u8").write_text(lines)
    return folder / "list.m3u8"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def uneven_pictures(folder: Path) -> Path:
    (folder / "p").mkdir()
    flat_png(folder / "p" / "1.png", 16, 16)
    flat_png(folder / "p" / "2.png", 16, 20)
    return folder / "p"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (missing, "does not exist"),
        (empty, "is empty"),
        (text, "not a video"),
        (plain_text, "is text"),
        (noise, "not a video"),
        (no_index, "cut short"),
        (no_frames, "holds no"),
        (sound_only, "no picture"),
        (sound_with_cover, "no picture"),
        (tiny, "1x1"),
        (wide, "20000x4"),
        (huge, "16000x9000"),
        (empty_folder, "no pictures"),
        (no_such_pattern, "no pictures"),
        (playlist, "not a video"),
        (pipe, "not a regular file"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path: Path, make: Callable, why: str) -> None:
    path = make(tmp_path)
    for ask in (probe, read, count_frames if make not in (no_frames, tiny) else probe):
        with refused(why, path.name):
            ask(path)
    with refused(why, path.name):
        next(stream(path, 4))


@pytest.mark.parametrize("path", ["https://example.org/a.mp4", "rtsp://example.org/a"])
def test_addresses_are_refused(path: str) -> None:
    for ask in (probe, read, count_frames, read_recipe):
        with refused(path, "is an address"):
            ask(path)


@pytest.mark.parametrize("path", ["concat:a.mp4|b.mp4", "a\0b.mp4", "x" * 5000, ""])
def test_strange_names_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        probe(path)


def cut_film(folder: Path, name: str, keep: float) -> Path:
    whole = folder / f"whole-{name}"
    muxer = {"movflags": "faststart"} if name.endswith("mp4") else {}
    simple(whole, 48, muxer=muxer, options={"g": "8", "crf": "10"})
    data = whole.read_bytes()
    (folder / name).write_bytes(data[: int(len(data) * keep)])
    return folder / name


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
@pytest.mark.parametrize("keep", [0.4, 0.9])
def test_a_film_that_breaks_off_is_not_passed_off_as_whole(
    tmp_path: Path, name: str, keep: float
) -> None:
    path = cut_film(tmp_path, name, keep)
    if name == "cut.mkv":  # its size is written last, so that a shorter one must be told by time
        assert probe(path).duration_seconds == pytest.approx(2, abs=0.1)
    for ask in (read, lambda p: read(p, last=4), lambda p: list(stream(p, 5))):
        with refused(name, "cut short"):
            ask(path)
    assert read(path, num_frames=5).num_frames == 5  # the good part can still be read


def test_a_change_of_size_is_refused(tmp_path: Path) -> None:
    parts = [simple(tmp_path / f"{w}.ts", num_frames=4, width=w) for w in (48, 64)]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(p.read_bytes() for p in parts))
    with refused("both.ts", "48x32", "64x32"):
        read(path)
    with refused("2.png", "16x20"):
        read(uneven_pictures(tmp_path))


def test_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = simple(tmp_path / "a.mp4")
    for ask in (
        lambda: read(path, last=13),
        lambda: read(path, num_frames=13),
        lambda: read(path, start_frame=12),
        lambda: read(path, start_frame=-1),
        lambda: read(path, num_frames=0),
        lambda: read(path, last=0),
        lambda: read(path, num_frames=3, last=3),
        lambda: next(stream(path, 0)),
    ):
        with refused():
            ask()
    with refused("GiB"):
        read(path, last=10**6)
    with refused("GiB"):
        next(stream(path, 10**6))


def test_a_damaged_sidecar_is_refused(tmp_path: Path) -> None:
    with Writer(tmp_path / "p", width=16, height=16, fps=10) as writer:
        writer.write(FRAMES)
    for said in ("{", '{"fps": "x"}', '{"fps": 0}', '{"pts": ["a", 2]}'):
        (tmp_path / "p" / "kineograph.json").write_text(said)
        with refused("kineograph.json"):
            read(tmp_path / "p")


NAN = float("nan")


@pytest.mark.parametrize(
    ("frames", "fps", "why"),
    [
        (np.full((2, 3, 8, 8), NAN), 24, "NaN"),
        (np.full((2, 3, 8, 8), np.inf), 24, "infinite"),
        (np.zeros((2, 8, 8, 3)), 24, "(2, 8, 8, 3)"),
        (np.zeros((3, 8, 8)), 24, "(3, 8, 8)"),
        (np.zeros((0, 3, 8, 8)), 24, "(0, 3, 8, 8)"),
        (np.full((2, 3, 8, 8), 255.0), 24, "255"),
        (np.full((2, 3, 8, 8), -1.5), 24, "-1.5"),
        (np.zeros((2, 3, 8, 8), np.int32), 24, "int32"),
        (np.zeros((2, 3, 8, 8), bool), 24, "bool"),
        (np.zeros((2, 3, 1, 1)), 24, "1x1"),
        (np.zeros((2, 3, 8, 8)), 0, "frames a second"),
        (np.zeros((2, 3, 8, 8)), -3, "-3"),
        (np.zeros((2, 3, 8, 8)), NAN, "nan"),
        (np.zeros((2, 3, 8, 8)), 10**9, "1000000000"),
    ],
)
def test_what_is_no_clip_is_refused(frames: np.ndarray, fps: float, why: str) -> None:
    with refused(why):
        clip_from_array(frames, fps)


def test_arrays_become_clips() -> None:
    clip = clip_from_array(
        np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(3, 1).repeat(8, 2).repeat(8, 3), 30
    )
    assert clip.frames[0].unique().tolist() == [-1]
    assert clip.frames[1].unique().tolist() == [1]
    assert clip.pts_seconds.tolist() == [0, 1 / 30]
    assert clip.fps == Fraction(30)


@pytest.mark.parametrize(
    ("name", "more", "why"),
    [
        ("a.xyz", {}, ".xyz"),
        ("a.png", {}, "one picture"),
        ("a.jpg", {}, "one picture"),
        ("no/such/a.mp4", {}, "folder does not exist"),
        ("file/a.mp4", {}, "is a file"),
        ("file", {}, "holds files"),
        ("full", {}, "holds files"),
        ("full/%d.png", {}, "holds files"),
        ("x" * 300 + ".mp4", {}, "too long"),
        ("folder.mp4", {}, "is a folder"),
        ("a.mp4", {"codec": "prores"}, "prores"),
        ("a.mp4", {"quality": "best"}, "best"),
        ("a.mp4", {"codec": "h265"}, "64 a side"),
        ("a.gif", {"quality": "exact"}, "exactly"),
        ("a.mov", {"quality": "exact", "codec": "prores"}, "exactly"),
        ("a.mp4", {"quality": "exact", "codec": "h265", "width": 64, "height": 64}, "exactly"),
        ("a.gif", {"fps": 60}, "60"),
        ("a.mp4", {"fps": 0}, "frames a second"),
        ("a.mp4", {"fps": None}, "fps"),
        ("a.mp4", {"width": 20_000}, "20000"),
        ("a.mp4", {"width": 1, "height": 1}, "1x1"),
        ("a.mp4", {"recipe": {"a": NAN}}, "JSON"),
        ("a.mp4", {"recipe": {"a": object()}}, "JSON"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, more: dict, why: str) -> None:
    (tmp_path / "file").write_text("keep me")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "1.png").write_text("keep me")
    before = sorted(tmp_path.rglob("*"))
    given: dict[str, Any] = {"width": 16, "height": 16, "fps": 24} | more
    with (
        refused(why),
        Writer(tmp_path / name, **given) as writer,
    ):
        writer.write(FRAMES)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "keep me"


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        (torch.full((1, 3, 16, 16), NAN), "NaN"),
        (torch.zeros(1, 3, 16, 18), "nothing is resized"),
        (torch.zeros(1, 1, 16, 16), "nothing is resized"),
        (torch.zeros(0, 3, 16, 16), "no frames"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "p", "%d.png"])
def test_frames_that_do_not_fit_leave_no_file(
    tmp_path: Path, frames: torch.Tensor, why: str, name: str
) -> None:
    with refused(why), Writer(tmp_path / name, width=16, height=16, fps=24) as writer:
        writer.write(frames)
    assert list(tmp_path.iterdir()) == []


def test_times_must_go_forward(tmp_path: Path) -> None:
    seconds = torch.tensor([0.5, 0.5], dtype=torch.float64)
    with refused("in order"), Writer(tmp_path / "a.mp4", width=16, height=16, fps=24) as writer:
        writer.write(FRAMES, seconds)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif", "p"])
def test_an_interrupted_film_leaves_the_old_one(
    tmp_path: Path, failure: type[BaseException], name: str
) -> None:
    (tmp_path / name).mkdir() if name == "p" else (tmp_path / name).write_text("old")
    writer = Writer(tmp_path / name, width=16, height=16, fps=24)

    def interrupted() -> None:
        with writer:
            writer.write(FRAMES)
            raise failure

    with pytest.raises(failure):
        interrupted()
    assert [f.name for f in tmp_path.iterdir()] == [name]
    assert name == "p" or (tmp_path / name).read_text() == "old"


def test_sound_that_cannot_be_carried_is_not_dropped(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.mp4", sound_seconds=0.5)
    with (
        refused("no sound", ".gif"),
        Writer(tmp_path / "b.gif", like=probe(source), audio_from=source) as writer,
    ):
        writer.write_given(source)
    with refused("missing.mp4"):
        Writer(tmp_path / "b.mp4", like=probe(source), audio_from=tmp_path / "missing.mp4")
    assert [f.name for f in tmp_path.iterdir()] == ["a.mp4"]


def test_a_source_that_breaks_off_leaves_no_film(tmp_path: Path) -> None:
    source = cut_film(tmp_path, "cut.mp4", 0.6)
    with refused("cut short"), Writer(tmp_path / "b.mp4", like=probe(source)) as writer:
        writer.write_given(source)
    assert not (tmp_path / "b.mp4").exists()
    assert not list(tmp_path.glob(".*"))


def test_given_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    small, large = simple(tmp_path / "s.mp4"), simple(tmp_path / "l.mp4", width=64)
    with refused("nothing is resized"), Writer(tmp_path / "b.mp4", like=probe(small)) as writer:
        writer.write_given(next(source_frames(large)))
    with (
        refused("nothing is resized"),
        Writer(tmp_path / "b.mp4", like=probe(small), width=96) as writer,
    ):
        writer.write_given(small)


def test_transparent_parts_are_not_dropped_from_an_exact_film(tmp_path: Path) -> None:
    clear = [stored(p, "bgra") for p in textured(2, 48, 32)]
    planes = np.zeros((32, 48 * 4), np.uint8)
    clear[1] = planes_frame([planes], "bgra")
    source = film(tmp_path / "a.mkv", clear, codec="ffv1", tick=Fraction(1, 24))
    with (
        refused("transparent"),
        Writer(tmp_path / "b.mp4", like=probe(source), quality="exact") as writer,
    ):
        writer.write_given(source)
    with Writer(tmp_path / "b.mkv", like=probe(source), quality="exact") as writer:
        writer.write_given(source)
    assert probe(tmp_path / "b.mkv").pix_fmt == "bgra"


def test_a_folder_without_permission(tmp_path: Path) -> None:
    """Root may write anywhere but into /sys."""
    folder = tmp_path
    if os.geteuid() == 0:
        folder = Path("/sys")
        if not folder.is_dir() or os.statvfs(folder).f_flag & os.ST_RDONLY:
            pytest.skip("there is no folder here that root may not write to")
    else:
        tmp_path.chmod(0o500)
    with (
        refused("permission", "a.mp4"),
        Writer(folder / "a.mp4", width=16, height=16, fps=24) as writer,
    ):
        writer.write(FRAMES)
    tmp_path.chmod(0o700)


def large_film(path: Path) -> None:
    noise = torch.rand(40, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with Writer(path, width=64, height=64, fps=24, quality="exact") as writer:
        writer.write(noise)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "p"])
def test_a_file_that_may_not_grow(tmp_path: Path, name: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with refused("larger than", name):
            large_film(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB, where one may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no small disk may be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "p"])
def test_a_full_disk(full_disk: Path, name: str) -> None:
    (full_disk / "old").write_text("old")
    with refused("no space left", name):
        large_film(full_disk / name)
    assert [f.name for f in full_disk.iterdir()] == ["old"]
