"""What goes into a film comes out again: samples, colours, times, sound, turning, recipe."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from films import (
    SHARES,
    TAGS,
    VFR_TICKS,
    by_ffmpeg,
    ffmpeg,
    film,
    planes_frame,
    samples,
    simple,
    stored,
    textured,
    times,
)
from kineograph.video import (
    Writer,
    count_frames,
    probe,
    read,
    read_recipe,
    reading,
    source_frames,
    stream,
)
from kineograph.video.info import Orientation
from kineograph.video.reading import turned, unturned

PATCH_PX = 16


def patches() -> np.ndarray:
    """A board of flat colours, corners of the cube among them, `h w 3` in [0, 1]."""
    colours = np.random.default_rng(1).random((3, 4, 3))
    colours[0] = [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]]
    return colours.repeat(PATCH_PX, 0).repeat(PATCH_PX, 1)


def middles(board: np.ndarray) -> np.ndarray:
    """Each patch's centre, away from the neighbours' chroma; board is `h w 3`."""
    height, width = board.shape[:2]
    blocks = board.reshape(height // PATCH_PX, PATCH_PX, width // PATCH_PX, PATCH_PX, 3)
    return blocks[:, 6:10, :, 6:10]


def textbook(rgb: np.ndarray, matrix: str, full: bool, bits: int, step: int) -> list[np.ndarray]:
    """Y, Cb, Cr codes by H.273 equations 23 to 33, chroma taken at every `step` pixels."""
    red, blue = SHARES[matrix]
    luma = rgb @ np.array([red, 1 - red - blue, blue])
    cb, cr = (rgb[..., 2] - luma) / (2 - 2 * blue), (rgb[..., 0] - luma) / (2 - 2 * red)
    top, unit, middle = 2**bits - 1, 2 ** (bits - 8), 2 ** (bits - 1)
    codes = [luma * top if full else (16 + 219 * luma) * unit]
    codes += [c * (top if full else 224 * unit) + middle for c in (cb, cr)]
    kind = np.uint16 if bits > 8 else np.uint8
    whole = [np.clip(np.rint(c), 0, top).astype(kind) for c in codes]
    return [whole[0], whole[1][::step, ::step], whole[2][::step, ::step]]


def as_unit(frames: torch.Tensor) -> np.ndarray:
    """`t c h w` in [-1, 1] as `t h w c` in [0, 1]."""
    return ((frames + 1) / 2).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("pix_fmt", "bits", "step"), [("yuv444p", 8, 1), ("yuv420p10le", 10, 2)])
def test_colours_are_read_by_the_stated_matrix_and_range(
    tmp_path: Path, matrix: str, full: bool, pix_fmt: str, bits: int, step: int
) -> None:
    frame = planes_frame(textbook(patches(), matrix, full, bits, step), pix_fmt)
    path = film(tmp_path / "a.mp4", [frame], matrix=TAGS[matrix], span=2 if full else 1)
    info = probe(path)
    assert (info.matrix, info.full_range, info.bits) == (matrix, full, bits)
    seen = as_unit(read(path).frames)[0]
    assert np.abs(middles(seen) - middles(patches())).max() < 2 / 255


@pytest.mark.parametrize(("size", "matrix"), [((64, 48), "bt601"), ((1280, 48), "bt709")])
def test_an_unstated_matrix_goes_by_size(tmp_path: Path, size: tuple, matrix: str) -> None:
    rgb = np.broadcast_to(np.array([0.1, 0.8, 0.2]), (size[1], size[0], 3))
    frame = planes_frame(textbook(rgb, matrix, False, 8, 2), "yuv420p")
    path = film(tmp_path / "a.mp4", [frame])
    assert np.abs(as_unit(read(path).frames)[0] - rgb).max() < 2 / 255


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le"])
def test_grey_keeps_its_range(tmp_path: Path, pix_fmt: str, full: bool) -> None:
    bits = 10 if "10" in pix_fmt else 8
    ramp = np.linspace(0, 1, 64)[None, :, None].repeat(32, 0).repeat(3, 2)
    frame = planes_frame(textbook(ramp, "bt601", full, bits, 1)[:1], pix_fmt)
    path = film(tmp_path / "a.mp4", [frame], span=2 if full else 1)
    assert np.abs(as_unit(read(path).frames)[0] - ramp).max() < 1 / 255


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.mov", "pictures"])
@pytest.mark.parametrize("quality", ["high", "exact"])
def test_colours_make_the_round_trip(tmp_path: Path, name: str, quality: str) -> None:
    if quality == "exact" and name == "a.webm":
        pytest.skip("WebM keeps no RGB here")
    board = torch.from_numpy(patches()).permute(2, 0, 1)[None].float() * 2 - 1
    path = tmp_path / name
    with Writer(path, width=64, height=48, fps=24, quality=quality) as writer:
        writer.write(board)
    seen = as_unit(read(path).frames)[0]
    if quality == "exact" or name == "pictures":
        assert np.abs(seen - patches()).max() < 0.51 / 255
    # Compression leaves a ripple; the colour is each patch's mean.
    gap = (middles(seen) - middles(patches())).mean((1, 3))
    assert np.abs(gap).max() < 2 / 255


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full", [False, True])
def test_generated_frames_take_on_the_colours_of_the_source(
    tmp_path: Path, matrix: str, full: bool
) -> None:
    frame = planes_frame(textbook(patches(), matrix, full, 8, 2), "yuv420p")
    source = film(tmp_path / "a.mp4", [frame], matrix=TAGS[matrix], span=2 if full else 1)
    info, out = probe(source), tmp_path / "b.mp4"
    with Writer(out, like=info, quality="exact") as writer:
        writer.write_given(source)
        writer.write(read(source).frames)
    seen = read(out).frames
    gap = np.abs(middles(as_unit(seen)[0]) - middles(as_unit(seen)[1])).max()
    assert gap < 2 / 255
    shown = by_ffmpeg(out, 64, 48)  # another decoder agrees on both
    for index in range(2):
        assert np.abs(middles(shown[index] / 255) - middles(patches())).max() < 3 / 255


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_times_of_a_variable_rate_are_exact(tmp_path: Path, name: str) -> None:
    path = simple(tmp_path / name, ticks=VFR_TICKS)
    expected = times(path)
    seen = read(path).pts_seconds
    assert seen.tolist() == [float(t - expected[0]) for t in expected]
    if name == "a.mp4":
        assert expected == [Fraction(t, 600) for t in VFR_TICKS]


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv"])
@pytest.mark.parametrize("tick", [Fraction(1, 600), Fraction(1001, 30000)])
def test_given_times_are_kept_and_new_frames_follow_at_the_rate(
    tmp_path: Path, name: str, tick: Fraction
) -> None:
    ticks = VFR_TICKS if tick.denominator == 600 else list(range(12))
    source = simple(tmp_path / "a.mp4", ticks=ticks, tick=tick)
    info = probe(source)
    with Writer(tmp_path / name, like=info, quality="exact") as writer:
        writer.write_given(source)
        writer.write(read(source, last=3).frames)
    seen, given = times(tmp_path / name), times(source)
    slack = Fraction(1, 1000) if name == "b.mkv" else 0  # Matroska counts in milliseconds
    assert all(abs(a - b) <= slack for a, b in zip(seen[:12], given, strict=True))
    assert len(seen) == 15
    worst = max(slack, info.time_base)
    assert all(abs(b - a - 1 / info.fps) <= worst for a, b in pairwise(seen[11:]))


def test_a_rate_that_the_source_clock_cannot_tell_is_exact_too(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.mp4", tick=Fraction(1, 24))
    assert (Fraction(1, 25) / probe(source).time_base).denominator > 1
    with Writer(tmp_path / "b.mp4", like=probe(source), fps=25) as writer:
        writer.write(torch.zeros(5, 3, 32, 48))
    assert times(tmp_path / "b.mp4") == [Fraction(t, 25) for t in range(5)]


EXACT = [
    ("yuv420p", "libx264", "b.mp4", {}),
    ("yuv422p10le", "libx264", "b.mov", {}),
    ("gray", "libx264", "b.mp4", {}),
    ("yuv420p", "libvpx-vp9", "b.webm", {}),
    ("yuv444p12le", "libx265", "b.mkv", {"x265-params": "log-level=none"}),
    ("yuv420p10le", "libx264", "b.mkv", {"qp": "0"}),
    ("yuvj420p", "mjpeg", "b.mp4", {"q:v": "2"}),
    ("gbrp", "libx264rgb", "b.mp4", {"qp": "0"}),
    ("bgra", "ffv1", "b.mkv", {"level": "3"}),
    ("gray16le", "ffv1", "b.mkv", {"level": "3"}),
]


@pytest.mark.parametrize(("pix_fmt", "codec", "name", "options"), EXACT)
def test_given_frames_pass_bit_for_bit(
    tmp_path: Path, pix_fmt: str, codec: str, name: str, options: dict[str, str]
) -> None:
    fed = "rgb24" if codec == "libx264rgb" else pix_fmt
    suffix = "avi" if codec == "mjpeg" else "mkv"
    source = simple(
        tmp_path / f"a.{suffix}",
        num_frames=6,
        width=64,
        height=64,
        pix_fmt=fed,
        codec=codec,
        options=options,
        tick=Fraction(1, 24),
    )
    with Writer(tmp_path / name, like=probe(source), quality="exact") as writer:
        writer.write_given(source)
        writer.write(read(source, last=1).frames)
    assert samples(tmp_path / name)[:6] == samples(source)
    seen = read(tmp_path / name).frames
    assert torch.equal(seen[:6], read(source).frames)
    assert (seen[6] - seen[5]).abs().mean() < 0.2  # the appended copy is that frame, not another


@pytest.mark.parametrize("size", [(33, 17), (34, 17), (33, 18)])
@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "b.webm", "b.gif", "pictures"])
def test_odd_sizes_stay(tmp_path: Path, size: tuple[int, int], name: str) -> None:
    frames = torch.rand(2, 3, size[1], size[0]) * 2 - 1
    with Writer(tmp_path / name, width=size[0], height=size[1], fps=10) as writer:
        writer.write(frames)
    info = probe(tmp_path / name)
    assert (info.width, info.height) == size
    assert read(tmp_path / name).frames.shape == frames.shape


def test_odd_420_is_given_exactly_in_mp4(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.webm", width=33, height=17, codec="libvpx-vp9", num_frames=3)
    with Writer(tmp_path / "b.mp4", like=probe(source), quality="exact") as writer:
        writer.write_given(source)
    assert samples(tmp_path / "b.mp4") == samples(source)


@pytest.mark.parametrize(
    ("name", "codec", "seen"),
    [
        ("b.mp4", "h264", "h264"),
        ("b.mp4", "h265", "hevc"),
        ("b.webm", "vp9", "vp9"),
        ("b.mov", "prores", "prores"),
        ("b.gif", None, "gif"),
        ("p", None, "png"),
    ],
)
@pytest.mark.parametrize("quality", ["high", "small"])
def test_every_codec_shows_the_same_film(
    tmp_path: Path, name: str, codec: str | None, seen: str, quality: str
) -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 66), torch.linspace(-1, 1, 96), indexing="ij")
    film_in = torch.stack([torch.stack([x, y, (x + y) / 2]).roll(3 * t, -1) for t in range(5)])
    with Writer(
        tmp_path / name, width=96, height=66, fps=25, codec=codec, quality=quality
    ) as writer:
        writer.write(film_in)
    clip = read(tmp_path / name)
    assert clip.info is not None
    assert "vp9" in clip.info.codec if seen == "vp9" else clip.info.codec == seen
    assert clip.frames.shape == film_in.shape
    assert clip.fps == 25
    assert (clip.frames - film_in).abs().mean() < (0.1 if name == "b.gif" else 0.06)
    assert times(tmp_path / name)[-1] == Fraction(4, 25) if name != "p" else True


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_turned_films_are_shown_upright(tmp_path: Path, rotation: int) -> None:
    board = (patches() * 255).astype(np.uint8)
    path = film(tmp_path / "a.mp4", [stored(board, "yuv444p")], rotation=rotation)
    info = probe(path)
    assert (info.width, info.height) == ((64, 48) if rotation == 180 else (48, 64))
    shown = by_ffmpeg(path, info.width, info.height)[0] / 255
    assert np.abs(as_unit(read(path).frames)[0] - shown).max() < 4 / 255


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "b.png"])
def test_a_turned_film_continues_turned(tmp_path: Path, name: str) -> None:
    frames = [stored(p, "yuv444p") for p in textured(3, 48, 32)]
    source = film(tmp_path / "a.mp4", frames, rotation=90)
    info = probe(source)
    out = tmp_path / (name if name != "b.png" else "%03d.png")
    with Writer(out, like=info, quality="exact" if name != "b.png" else "high") as writer:
        writer.write_given(source)
        writer.write(read(source, last=1).frames)
    seen = read(out).frames
    assert seen.shape == (4, 3, 48, 32)
    assert (seen[:3] - read(source).frames).abs().max() < 1.1 / 127.5
    assert (seen[3] - seen[2]).abs().max() < 4 / 127.5
    if name != "b.png":
        assert samples(out)[:3] == samples(source)


def test_mirrored_matrices_are_understood() -> None:
    stored_picture = torch.arange(6.0).reshape(1, 2, 3)
    unit = 65536
    mirrored = Orientation.from_matrix((-unit, 0, 0, 0, unit, 0, 0, 0, 0))
    shown = turned(stored_picture, mirrored)
    assert shown.tolist() == [[[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]]
    transposed = Orientation.from_matrix((0, unit, 0, unit, 0, 0, 0, 0, 0))
    shown = turned(stored_picture, transposed)
    assert shown.tolist() == [[[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]]
    assert torch.equal(unturned(shown, transposed), stored_picture)


def packets(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        found = [p for p in container.demux(audio=0) if p.size]
        return [((p.pts or 0) * p.time_base, bytes(p)) for p in found]


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv"])
def test_sound_is_copied_packet_by_packet(tmp_path: Path, name: str) -> None:
    source = simple(tmp_path / "a.mp4", num_frames=48, sound_seconds=2)
    with Writer(tmp_path / name, like=probe(source), audio_from=source) as writer:
        writer.write_given(source)
    given, seen = packets(source), packets(tmp_path / name)
    assert [data for _, data in seen] == [data for _, data in given]
    assert max(abs(a - b) for (a, _), (b, _) in zip(seen, given, strict=True)) <= 0.025


def test_sound_stops_where_it_is_told(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.mp4", num_frames=48, sound_seconds=2)
    with Writer(
        tmp_path / "b.mp4", like=probe(source), audio_from=source, audio_until_seconds=1
    ) as writer:
        writer.write_given(source)
        writer.write(read(source, last=24).frames)
    assert 0.95 < packets(tmp_path / "b.mp4")[-1][0] < 1
    assert len(times(tmp_path / "b.mp4")) == 72


def test_sound_is_reencoded_where_it_must_be(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.mp4", num_frames=24, sound_seconds=1)
    with Writer(tmp_path / "b.webm", like=probe(source), audio_from=source) as writer:
        writer.write_given(source)
    assert probe(tmp_path / "b.webm").audio_codecs == ("opus",)
    with av.open(str(tmp_path / "b.webm")) as container:
        heard = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert 0.95 < len(heard) / 48000 < 1.1
    assert 0.3 < np.abs(heard[5000:40000]).mean() < 0.9  # a sine's mean is 0.64


def test_sound_of_a_cut_starts_with_its_first_frame(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.mp4", num_frames=48, sound_seconds=2)
    with Writer(tmp_path / "b.mp4", like=probe(source), audio_from=source) as writer:
        writer.write_given(source, start_frame=24)
    assert times(tmp_path / "b.mp4")[0] == 0
    seen = packets(tmp_path / "b.mp4")
    assert 0 <= seen[0][0] < 0.03
    assert seen[0][1] in [data for at, data in packets(source) if 0.97 < at < 1.04]


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv", "b.webm", "b.gif", "p", "%04d.png"])
def test_the_recipe_is_read_back(tmp_path: Path, name: str) -> None:
    recipe = {"question": "predict", "seed": 3, "model": "ü" * 400, "sigma": [0.5, None]}
    with Writer(tmp_path / name, width=16, height=16, fps=10, recipe=recipe) as writer:
        writer.write(torch.zeros(2, 3, 16, 16))
    assert read_recipe(tmp_path / name) == recipe
    assert read(tmp_path / name).num_frames == 2


def test_a_film_without_recipe_has_an_empty_one(tmp_path: Path) -> None:
    assert read_recipe(simple(tmp_path / "a.mp4", num_frames=2)) == {}


LAST = [
    ("a.mp4", {"bf": "3", "g": "40"}, None),
    ("a.mp4", {"bf": "3", "g": "40", "x264-params": "open-gop=1"}, "vfr"),
    ("a.mkv", {"bf": "2", "g": "300"}, "vfr"),
    ("a.ts", {"bf": "2", "g": "30"}, None),
    ("a.avi", {"bf": "0"}, None),
]


@pytest.mark.parametrize(("name", "options", "rate"), LAST)
def test_the_last_frames_are_the_end_of_all_frames(
    tmp_path: Path, name: str, options: dict[str, str], rate: str | None
) -> None:
    steps = np.random.default_rng(2).integers(10, 50, 400).cumsum().tolist()
    tick = Fraction(1, 600) if not name.endswith("avi") else Fraction(1, 24)
    path = simple(
        tmp_path / name,
        num_frames=400,
        width=16,
        height=16,
        options=options,
        ticks=steps if rate else None,
        tick=tick,
    )
    everything = read(path)
    assert everything.num_frames == count_frames(path) == 400
    for wanted in (1, 7, 50, 400):
        end = read(path, last=wanted)
        assert torch.equal(end.frames, everything.frames[-wanted:])
        assert torch.equal(end.pts_seconds, everything.pts_seconds[-wanted:])


def test_the_end_of_a_long_film_is_found_without_decoding_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = simple(tmp_path / "a.mp4", 400, 16, 16, options={"bf": "2", "g": "24"})
    expected = read(path).frames[-5:]
    monkeypatch.setattr(reading, "_all_frames", None)  # to decode all would now fail
    assert torch.equal(read(path, last=5).frames, expected)


def test_a_stream_is_the_film_in_pieces(tmp_path: Path) -> None:
    path = simple(tmp_path / "a.mp4", ticks=VFR_TICKS)
    pieces, whole = list(stream(path, 5)), read(path)
    assert [p.num_frames for p in pieces] == [5, 5, 2]
    assert torch.equal(torch.cat([p.frames for p in pieces]), whole.frames)
    assert torch.equal(torch.cat([p.pts_seconds for p in pieces]), whole.pts_seconds)
    part = read(path, start_frame=4, num_frames=3)
    assert torch.equal(part.frames, whole.frames[4:7])
    assert torch.equal(part.pts_seconds, whole.pts_seconds[4:7])


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """500 frames of 160x120 are 115 MB as RGB; neither reading nor writing may hold on to them."""
    grey = [planes_frame([np.full(s, 40 + i % 99, np.uint8) for s in
            ((120, 160), (60, 80), (60, 80))], "yuv420p") for i in range(500)]  # fmt: skip
    fast = {"preset": "ultrafast"}
    path = film(tmp_path / "a.mp4", grey, options=fast, tick=Fraction(1, 24), sound_seconds=20)
    del grey
    info, after, peak = probe(path), 0, 0
    with Writer(tmp_path / "b.mp4", like=info, quality="small", audio_from=path) as writer:
        for index, clip in enumerate(stream(path, 10)):
            writer.write(clip.frames)
            after = resident_bytes() if index == 9 else after
            peak = max(peak, resident_bytes())
    assert writer.num_frames == 500
    assert peak - after < 30e6


def test_pictures_are_a_film(tmp_path: Path) -> None:
    board = textured(3, 20, 12)
    for number, picture in zip((2, 10, 100), board, strict=True):
        with av.open(str(tmp_path / f"shot_{number}.png"), "w", format="image2") as out:
            one = out.add_stream("png", rate=25)
            one.width, one.height, one.pix_fmt = 20, 12, "rgb24"
            out.mux(one.encode(stored(picture, "rgb24")))
            out.mux(one.encode(None))
    for path in (tmp_path, tmp_path / "shot_%d.png"):
        clip = read(path)
        assert clip.fps == 25
        seen = (as_unit(clip.frames) * 255).round().astype(np.uint8)
        assert np.array_equal(seen, board)  # in the order of the numbers, not of the letters
        assert torch.equal(read(path, last=2).frames, clip.frames[1:])
        assert count_frames(path) == 3


def test_pictures_keep_rate_and_times(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.mp4", ticks=VFR_TICKS)
    with Writer(tmp_path / "p", like=probe(source)) as writer:
        writer.write_given(source)
    assert read(tmp_path / "p").pts_seconds.tolist() == read(source).pts_seconds.tolist()
    assert probe(tmp_path / "p").fps == probe(source).fps
    assert json.loads((tmp_path / "p" / "kineograph.json").read_text())["pts"]


def test_a_transport_stream_that_starts_late_is_read_and_shifted(tmp_path: Path) -> None:
    film_in = simple(tmp_path / "a.mp4", num_frames=24, sound_seconds=1, tick=Fraction(1, 24))
    source = tmp_path / "a.ts"
    ffmpeg(["-i", str(film_in), "-c", "copy", str(source)])
    assert times(source)[0] > 1
    assert read(source, num_frames=1).pts_seconds.tolist() == [0]
    with Writer(tmp_path / "b.mp4", like=probe(source), audio_from=source) as writer:
        writer.write_given(source)
    given, seen = times(source), times(tmp_path / "b.mp4")
    assert [t - seen[0] for t in seen] == [t - given[0] for t in given]
    apart = [
        t[0] - p[0][0] for t, p in ((given, packets(source)), (seen, packets(tmp_path / "b.mp4")))
    ]
    assert abs(apart[0] - apart[1]) < 0.03


def test_reading_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    source = simple(tmp_path / "a.mp4")
    outs = [tmp_path / "b.mp4", tmp_path / "c.mp4"]
    for out in outs:
        with Writer(out, like=probe(source), recipe={"seed": 1}) as writer:
            for frame in source_frames(source):
                writer.write_given(frame)
    assert outs[0].read_bytes() == outs[1].read_bytes()
