"""yuv4mpeg through pipes: bit for bit, frame by frame, and one sentence when a pipe breaks."""

import os
import subprocess
import sys
import threading
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest
import torch

from films import ffmpeg, film, samples, simple, stored, textured
from kineograph.video import Writer, count_frames, pipe, probe, read, source_frames, stream
from kineograph.video.reading import open_stream

HEADER = b"YUV4MPEG2 W16 H16 F25:1 Ip A1:1 C420jpeg\n"
FRAME = b"FRAME\n" + bytes(384)
LAYOUTS = {
    "yuv420p": "420jpeg",
    "yuv422p": "422",
    "yuv444p": "444",
    "yuv411p": "411",
    "yuva444p": "444alpha",
    "gray": "mono",
    "gray10le": "mono10",
    "gray12le": "mono12",
    "gray16le": "mono16",
    "yuv420p9le": "420p9",
    "yuv420p10le": "420p10",
    "yuv422p10le": "422p10",
    "yuv444p12le": "444p12",
    "yuv422p14le": "422p14",
    "yuv444p16le": "444p16",
}
COPY = """
from kineograph.video import Writer
from kineograph.video.reading import open_stream
with open_stream("-") as film, Writer("-", like=film.info, quality="exact") as writer:
    for frame in film.frames():
        writer.write_given(frame)
        print("this is not part of the film")
"""
CAUGHT = "import sys\ntry:\n" + "".join(f"    {line}\n" for line in COPY.strip().splitlines())
CAUGHT += "except ValueError as error:\n    sys.exit(f'kineo: {error}')\n"


def by_ffmpeg(path: Path, pix_fmt: str, size: str = "50x38", num_frames: int = 3) -> Path:
    """Noise that moves, in one layout, at 23.976 frames a second and pixels of 4:3."""
    source = f"testsrc=size={size}:rate=24000/1001,noise=alls=60:allf=t,setsar=4/3"
    kind = ["-pix_fmt", pix_fmt, "-strict", "-1", "-f", "yuv4mpegpipe"]
    ffmpeg(["-f", "lavfi", "-i", source, "-frames:v", str(num_frames), *kind, str(path)])
    return path


def copied(source: Path, target: Path, quality: str = "exact") -> Path:
    with open_stream(source) as given, Writer(target, like=given.info, quality=quality) as writer:
        for frame in given.frames():
            writer.write_given(frame)
    return target


def first_line(path: Path) -> bytes:
    return path.read_bytes().split(b"\n")[0]


@pytest.mark.parametrize("pix_fmt", LAYOUTS)
@pytest.mark.parametrize("size", ["50x38", "51x33"])
def test_every_layout_is_copied_bit_for_bit(tmp_path: Path, pix_fmt: str, size: str) -> None:
    source = by_ffmpeg(tmp_path / "a.y4m", pix_fmt, size)
    info = probe(source)
    assert (info.pix_fmt, f"{info.width}x{info.height}", info.num_frames) == (pix_fmt, size, 3)
    assert (info.fps, info.pixel_aspect) == (Fraction(24000, 1001), Fraction(4, 3))
    target = copied(source, tmp_path / "b.y4m")
    assert len(set(samples(source))) == 3
    assert samples(target) == samples(source)
    kept = [t for t in first_line(source).split() if not t.startswith(b"XYSCSS")]
    assert first_line(target).split() == kept
    assert f"C{LAYOUTS[pix_fmt]}".encode() in kept


@pytest.mark.parametrize("pix_fmt", LAYOUTS)
def test_frames_are_those_that_pyav_and_ffmpeg_see(tmp_path: Path, pix_fmt: str) -> None:
    source = by_ffmpeg(tmp_path / "a.y4m", pix_fmt)
    with av.open(str(source)) as container:
        for ours, theirs in zip(source_frames(source), container.decode(video=0), strict=True):
            assert ours.format.name == theirs.format.name
            assert ours.time == pytest.approx(theirs.time)
            for plane, other in zip(ours.planes, theirs.planes, strict=True):
                rows = [
                    np.frombuffer(memoryview(p), np.uint8).reshape(p.height, -1)
                    for p in (plane, other)
                ]
                used = plane.width * (2 if "le" in pix_fmt else 1)
                assert np.array_equal(rows[0][:, :used], rows[1][:, :used])
    target = copied(source, tmp_path / "b.y4m")
    raw = ["-f", "rawvideo", "-"]
    assert ffmpeg(["-i", str(target), *raw]) == ffmpeg(["-i", str(source), *raw])


@pytest.mark.parametrize(
    "tags",
    ["It C420mpeg2", "Ib C420paldv XCOLORRANGE=FULL", "Ip C422 XCOLORRANGE=LIMITED", "Im C444"],
)
def test_where_chroma_stands_and_the_range_are_kept(tmp_path: Path, tags: str) -> None:
    body = b"FRAME\n" + bytes(range(256)) * {"420": 1, "422": 2, "444": 3}[tags.split("C")[1][:3]]
    body += bytes(128) * ("420" in tags)
    source = tmp_path / "a.y4m"
    order, chroma, *span = tags.split()
    line = " ".join(["YUV4MPEG2 W16 H16 F30:1", order, "A1:1", chroma, *span])
    source.write_bytes(line.encode() + b"\n" + body)
    assert probe(source).full_range == ("FULL" in tags)
    assert copied(source, tmp_path / "b.y4m").read_bytes() == source.read_bytes()


def test_a_film_goes_into_yuv4mpeg_and_back(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.mp4", num_frames=7, matrix=6, span=2)
    through = copied(source, tmp_path / "b.y4m")
    assert b"C420mpeg2 XCOLORRANGE=FULL" in first_line(through)
    assert b" F24:1 " in first_line(through)
    assert samples(copied(through, tmp_path / "c.mkv")) == samples(source)
    assert torch.equal(read(through).frames, read(source).frames)
    assert count_frames(through) == 7
    assert torch.equal(read(through, last=2).frames, read(source, start_frame=5).frames)


def test_the_layout_follows_what_is_given(tmp_path: Path) -> None:
    frames = torch.rand(2, 3, 17, 33) * 2 - 1
    with Writer(tmp_path / "a.y4m", width=33, height=17, fps=25) as writer:
        writer.write(frames)
    assert first_line(tmp_path / "a.y4m").endswith(b"C420jpeg XCOLORRANGE=LIMITED")
    rgb = simple(tmp_path / "rgb.mkv", pix_fmt="bgra", codec="ffv1")
    through = copied(rgb, tmp_path / "b.y4m", "high")
    assert b"C444 " in first_line(through)
    assert (read(through).frames - read(rgb).frames).abs().max() < 4 / 127.5
    with pytest.raises(ValueError, match=r"exactly.*mkv"):
        copied(rgb, tmp_path / "c.y4m")
    grey = simple(tmp_path / "g.mkv", pix_fmt="gray", codec="ffv1", span=1)
    limited = copied(grey, tmp_path / "g.y4m")
    assert b"Cmono XCOLORRANGE=LIMITED" in first_line(limited)
    assert torch.equal(read(limited).frames, read(grey).frames)


@pytest.mark.parametrize(("size", "chroma"), [((48, 32), b"C420"), ((49, 33), b"C444")])
@pytest.mark.parametrize("rotation", [90, 180])
def test_a_turned_film_is_written_upright(
    tmp_path: Path, rotation: int, size: tuple[int, int], chroma: bytes
) -> None:
    smooth = [cv2.resize(p, size, interpolation=cv2.INTER_CUBIC) for p in textured(2, 4, 4)]
    pix_fmt = "yuv420p" if chroma == b"C420" else "yuv444p"
    frames = [stored(p, pix_fmt) for p in smooth]
    source = film(tmp_path / "a.mp4", frames, rotation=rotation)
    through = copied(source, tmp_path / "b.y4m", "high")
    assert chroma in first_line(through)
    shown, seen = read(source).frames, read(through).frames
    assert seen.shape == shown.shape == (2, 3, *(size if rotation == 90 else size[::-1]))
    if chroma == b"C444":
        torch.testing.assert_close(seen, shown, atol=1e-5, rtol=0)
    else:  # the same samples; a reader puts halved chroma between other pixels
        assert (seen - shown).abs().mean() < 0.02 < (seen.flip(-1) - shown).abs().mean()
        luma = [np.frombuffer(samples(p)[1], np.uint8)[: 48 * 32] for p in (source, through)]
        turned = np.rot90(luma[0].reshape(32, 48), -rotation // 90 * -1)
        assert np.array_equal(luma[1].reshape(turned.shape), turned)


def test_one_pass_gives_the_same_as_two_for_any_film(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.mkv", num_frames=5)
    folder = tmp_path / "pictures"
    with Writer(folder, width=16, height=16, fps=10) as writer:
        writer.write(torch.rand(3, 3, 16, 16) * 2 - 1)
    for path in (source, folder, by_ffmpeg(tmp_path / "c.y4m", "yuv420p")):
        whole = read(path)
        with open_stream(path) as given:
            assert given.info == probe(path)
            (rgb, at), *rest = given.rgb()
        assert at == 0
        assert rgb.dtype == torch.float32
        assert torch.equal(torch.stack([rgb, *(f for f, _ in rest)]), whole.frames)
        assert [float(t) for _, t in rest] == pytest.approx(whole.pts_seconds[1:].tolist())
        with open_stream(path) as given:
            assert torch.cat([c.frames for c in given.clips(2)]).equal(whole.frames)
        assert torch.cat([c.frames for c in stream(path, 2, start_frame=1)]).equal(whole.frames[1:])


def child_process(code: str) -> subprocess.Popen:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-c", code], bufsize=0, **pipes)


def test_a_frame_comes_out_as_soon_as_it_is_in_until_the_stream_breaks_off() -> None:
    with child_process(CAUGHT) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(HEADER)
        for index in range(3):
            frame = b"FRAME\n" + bytes([index]) * 384
            child.stdin.write(frame)
            wanted = (HEADER if index == 0 else b"") + frame
            got = b""
            while len(got) < len(wanted):  # waits for ever if a frame is held back
                got += child.stdout.read(len(wanted) - len(got))
            assert got == wanted
        child.stdin.write(FRAME[:50])
        child.stdin.close()
        said = child.stderr.read().decode()
        assert (child.stdout.read(), child.wait()) == (b"", 1)
    assert "kineo: - is cut short or damaged: only its first 3 frames" in said
    assert "Traceback" not in said


def test_between_two_ffmpegs_nothing_changes(tmp_path: Path) -> None:
    exe, out = imageio_ffmpeg.get_ffmpeg_exe(), tmp_path / "out.mkv"
    source = by_ffmpeg(tmp_path / "a.y4m", "yuv420p10le", "160x90", 40)
    quiet = [exe, "-v", "error", "-y"]
    kind = ["-strict", "-1", "-f", "yuv4mpegpipe"]
    before = subprocess.Popen([*quiet, "-i", str(source), *kind, "-"], stdout=subprocess.PIPE)
    ours = subprocess.Popen(
        [sys.executable, "-c", COPY],
        stdin=before.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    after = [*quiet, "-f", "yuv4mpegpipe", "-i", "-", "-c:v", "ffv1", str(out)]
    subprocess.run(after, stdin=ours.stdout, check=True)
    assert before.stdout is not None
    before.stdout.close()
    _, said = ours.communicate()
    assert (before.wait(), ours.returncode) == (0, 0), said
    assert said.count(b"not part of the film") == 40  # what was printed is not lost
    assert samples(out) == samples(source)
    info = probe(out)
    assert (info.fps, info.pixel_aspect) == (Fraction(24000, 1001), Fraction(4, 3))


def test_a_reader_that_goes_away_is_told_in_one_sentence() -> None:
    with child_process(CAUGHT) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(HEADER + FRAME)
        child.stdout.read(len(HEADER + FRAME))
        child.stdout.close()
        child.stdin.write(FRAME * 4)
        child.stdin.close()
        said = child.stderr.read().decode()
        assert child.wait() == 1
    assert "went away after frame 1; see" in said
    assert said.count("kineo:") == 1
    assert "Traceback" not in said
    assert "Exception ignored" not in said


@pytest.mark.parametrize("cut", [1, 5, 6, 100])
def test_a_cut_stream_says_how_many_frames_were_good(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.y4m"
    path.write_bytes(HEADER + FRAME * 3 + FRAME[:cut])
    good = []
    with pytest.raises(ValueError, match="only its first 3 frames"), open_stream(path) as given:
        good.extend(given.frames())
    assert len(good) == 3
    with pytest.raises(ValueError, match="only its first 3 frames"):
        copied(path, tmp_path / "b.y4m")
    assert sorted(tmp_path.iterdir()) == [path]


BAD = {
    "empty": b"",
    "film": b"\x00\x00\x00\x20ftypisom" + bytes(600),
    "header_cut": HEADER[:-1],
    "endless_header": b"YUV4MPEG2 " + b"X" * 100_000,
    "no_width": b"YUV4MPEG2 H16 F25:1\n" + FRAME,
    "minus": b"YUV4MPEG2 W-16 H16 F25:1\n" + FRAME,
    "huge": b"YUV4MPEG2 W999999999 H999999999 F25:1\n" + FRAME,
    "large": b"YUV4MPEG2 W16384 H16384 F25:1\n" + FRAME,
    "tiny": b"YUV4MPEG2 W1 H1 F25:1\n" + FRAME,
    "layout": b"YUV4MPEG2 W16 H16 F25:1 C419\n" + FRAME,
    "rate": b"YUV4MPEG2 W16 H16 F1:x\n" + FRAME,
    "fast": b"YUV4MPEG2 W16 H16 F999999999:1\n" + FRAME,
    "no_frames": HEADER,
    "garbage": HEADER + b"GARBAGE\n" + bytes(384),
    "glued": HEADER + b"FRAMES\n" + bytes(384),
}


@pytest.mark.parametrize("which", BAD)
def test_bad_streams_end_in_one_sentence(tmp_path: Path, which: str) -> None:
    path = tmp_path / "a.y4m"
    path.write_bytes(BAD[which])
    tracemalloc.start()
    with pytest.raises(ValueError) as caught:
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    said = str(caught.value)
    assert str(path) in said
    assert ";" in said
    assert "\n" not in said
    assert len(said) < 600
    assert peak < 4e6


def test_unknown_rate_and_aspect_have_the_usual_meaning(tmp_path: Path) -> None:
    path = tmp_path / "a.y4m"
    path.write_bytes(b"YUV4MPEG2 W16 H16 F0:0 A0:0 XYSCSS=422\n" + b"FRAME\n" + bytes(512))
    info = probe(path)
    assert (info.fps, info.pixel_aspect, info.pix_fmt) == (25, 1, "yuv422p")


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    end, start = os.pipe()

    def fill() -> None:
        with open(start, "wb") as file:
            file.write(HEADER)
            for _ in range(800):
                file.write(FRAME)

    feeder = threading.Thread(target=fill)
    feeder.start()
    kept, end = os.dup(0), (os.dup2(end, 0), os.close(end))[0]
    try:
        tracemalloc.start()
        with open_stream("-") as given:
            assert given.info.num_frames is None
            assert sum(1 for _ in given.frames()) == 800
        assert tracemalloc.get_traced_memory()[1] < 1e5
    finally:
        tracemalloc.stop()
        os.dup2(kept, 0)
        os.close(kept)
        feeder.join()


@pytest.mark.parametrize("asked", [probe, count_frames])
def test_standard_input_is_never_read_twice(asked) -> None:
    with pytest.raises(ValueError, match="only once"):
        asked("-")


def test_uneven_times_are_refused(tmp_path: Path) -> None:
    frames = [stored(p, "yuv420p") for p in textured(4, 16, 16)]
    ticks = [0, 25, 50, 125]
    source = film(tmp_path / "a.mkv", frames, codec="ffv1", ticks=ticks)
    with pytest.raises(ValueError, match="steady"):
        copied(source, tmp_path / "b.y4m")
    assert not (tmp_path / "b.y4m").exists()


def test_streams_carry_no_sound(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.mp4", num_frames=3, sound_seconds=0.2)
    with (
        pytest.raises(ValueError, match="no sound"),
        Writer(tmp_path / "b.y4m", like=probe(source), audio_from=source),
    ):
        pass
    assert sorted(tmp_path.iterdir()) == [source]


def test_paths_that_are_streams() -> None:
    assert [p for p in ("-", "a.y4m", "A.Y4M", "a.mp4", "a-", "y4m") if pipe.is_y4m(p)] == [
        "-",
        "a.y4m",
        "A.Y4M",
    ]
