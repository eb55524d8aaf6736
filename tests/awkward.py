"""A folder of 200 files as people have them, and what should become of each."""

import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from films import film, stored

Kinds = set[str]
FILM = {"film"}
FAST = {"preset": "ultrafast", "crf": "16"}
DAMAGED = ["rate 25.mp4", "ffv1.mkv", "divx.avi", "tv.ts", "web.webm", "animated.gif"]
RATES = ["24000/1001", "15/2", "60000/1001", "30000/1001", "25", "25/2", "120000/1001", "5", "240"]


def moving(num_frames: int, width: int, height: int, seed: int) -> np.ndarray:
    """A smooth picture that the camera passes over, as `t h w 3` bytes; another for each seed."""
    rng = np.random.default_rng(seed)
    speed = rng.uniform(0.5, 1.5, 2)
    tall, wide = height + 2 * num_frames, width + 2 * num_frames
    noise = rng.integers(0, 256, (tall // 8 + 2, wide // 8 + 2, 3), dtype=np.uint8)
    large = cv2.resize(noise, (wide, tall), interpolation=cv2.INTER_CUBIC)
    corners = [(round(t * speed[0]), round(t * speed[1])) for t in range(num_frames)]
    return np.stack([large[y : y + height, x : x + width] for y, x in corners])


def made(path: Path, pictures: np.ndarray, **more) -> Path:
    """A film of these pictures."""
    pix_fmt = more.pop("pix_fmt", "yuv420p")
    if more.get("codec", "libx264") == "libx264":
        more["options"] = {**FAST, **more.get("options", {})}
    if fps := more.pop("fps", None):
        more["tick"] = Fraction(1, Fraction(fps).numerator)
        more["ticks"] = [Fraction(fps).denominator * t for t in range(len(pictures))]
    return film(path, [stored(p, pix_fmt) for p in pictures], **more)


def folder_of(root: Path) -> dict[str, Kinds]:
    """Fills an empty folder; tells of each name in it which kinds of finding are right.

    Of a film and its damaged copies one is used, and which one is not said here.
    """
    expected: dict[str, Kinds] = {}
    for part in (good, dull, alike, boxed, named, not_films, links, random_bytes, cut_off):
        for name, kinds in part(root):
            assert name not in expected, name
            expected[name] = kinds
    for name in DAMAGED:
        expected[name] = {"film", "duplicate"}
    return expected


def good(root: Path) -> Iterator[tuple[str, Kinds]]:
    """Odd rates, rotations, times, containers, layouts and sizes."""
    for n, fps in enumerate(RATES):
        name = f"rate {fps.replace('/', '-')}.mp4"
        made(root / name, moving(24, 64, 48, n), fps=fps)
        yield name, FILM
    for n, angle in enumerate((90, 180, 270)):
        name = f"turned {angle}.mp4"
        made(root / name, moving(24, 64, 48, 20 + n), rotation=angle)
        yield name, FILM
    uneven = np.cumsum([25, 25, 40, 10, 90, 25] * 4).tolist()
    for n, name in enumerate(("uneven.mp4", "uneven.mkv")):
        made(root / name, moving(24, 64, 48, 30 + n), ticks=uneven)
        yield name, FILM
    yield from _codecs(root)
    for n, (width, height) in enumerate(((65, 49), (101, 37), (47, 33), (48, 86), (320, 40))):
        name = f"size {width}x{height}.mkv"
        made(root / name, moving(24, width, height, 60 + n), codec="ffv1", pix_fmt="yuv444p")
        yield name, FILM
    made(root / "with sound.mp4", moving(24, 64, 48, 70), sound_seconds=1)
    yield "with sound.mp4", FILM
    shots = np.concatenate([moving(12, 64, 48, seed) for seed in range(80, 86)])
    made(root / "six shots.mp4", shots)
    yield "six shots.mp4", FILM


def _codecs(root: Path) -> Iterator[tuple[str, Kinds]]:
    kinds = [
        ("ffv1.mkv", "ffv1", "bgr0"),
        ("grey.mkv", "ffv1", "gray"),
        ("deep.mkv", "ffv1", "yuv422p10le"),
        ("prores.mov", "prores_ks", "yuv422p10le"),
        ("runs.mov", "qtrle", "rgb24"),
        ("divx.avi", "mpeg4", "yuv420p"),
        ("huff.avi", "huffyuv", "yuv422p"),
        ("jpeg.avi", "mjpeg", "yuvj420p"),
        ("old.mpg", "mpeg2video", "yuv420p"),
        ("tv.ts", "mpeg2video", "yuv420p"),
        ("web.webm", "libvpx", "yuv420p"),
        ("web9.webm", "libvpx-vp9", "yuv420p"),
        ("flash.flv", "flv", "yuv420p"),
        ("windows.wmv", "wmv2", "yuv420p"),
        ("nut.nut", "mpeg4", "yuv420p"),
        ("animated.gif", "gif", "rgb8"),
        ("animated.apng", "apng", "rgb24"),
        ("raw.h264", "libx264", "yuv420p"),
    ]
    for n, (name, codec, pix_fmt) in enumerate(kinds):
        tick = {"tick": Fraction(1, 25), "ticks": list(range(24))}
        options = {} if codec in ("libx264", "gif", "apng", "qtrle", "ffv1") else {"b": "2000000"}
        pictures = moving(24, 64, 48, 100 + n)
        made(root / name, pictures, codec=codec, pix_fmt=pix_fmt, options=options, **tick)
        yield name, FILM


def dull(root: Path) -> Iterator[tuple[str, Kinds]]:
    """Films with too little in them."""
    black, still = np.zeros((24, 48, 64, 3), np.uint8), moving(1, 64, 48, 0).repeat(24, 0)
    moves = moving(24, 64, 48, 130)
    kinds = [
        ("black.mp4", black, {"black"}),
        ("still.mp4", still, {"still"}),
        ("half black.mp4", np.concatenate([black, moves]), FILM),
        ("half still.mp4", np.concatenate([moving(24, 64, 48, 131), still]), FILM),
        ("one frame.mp4", moves[:1], {"one frame"}),
        ("one frame.mkv", moves[:1], {"one frame"}),
        ("five frames.mp4", moves[:5], {"too short"}),
        ("seven frames.mp4", moves[:7], {"too short"}),
        ("6x6.mp4", moves[:, :6, :6], {"too small"}),
    ]
    for name, pictures, expected in kinds:
        made(root / name, pictures)
        yield name, expected
    cuts = np.concatenate([moving(5, 64, 48, 140 + n) for n in range(6)])
    made(root / "cut to pieces.mp4", cuts)
    yield "cut to pieces.mp4", {"too short"}
    made(root / "2x2.mkv", moves[:, :2, :2], codec="ffv1", pix_fmt="yuv444p")
    yield "2x2.mkv", {"too small"}
    made(root / "one frame.gif", moves[:1], codec="gif", pix_fmt="rgb8")
    yield "one frame.gif", {"one frame", "still picture"}
    for name, transfer in (("hdr pq.mp4", "smpte2084"), ("hdr hlg.mp4", "arib-std-b67")):
        tags = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
        made(root / name, moving(24, 64, 48, 150), options={"x264-params": tags})
        yield name, {"hdr"}


def alike(root: Path) -> Iterator[tuple[str, Kinds]]:
    """The same film under other names and in other encodings; others that only look alike."""
    (root / "copies").mkdir()
    first = made(root / "copies" / "a first.mp4", moving(40, 96, 72, 200))
    yield "copies/a first.mp4", FILM
    for n in range(5):
        shutil.copy(first, root / "copies" / f"copy {n}.mov")
        yield f"copies/copy {n}.mov", {"duplicate"}
    small = np.stack([cv2.resize(p, (64, 48)) for p in moving(40, 96, 72, 200)])
    made(root / "copies" / "again small.avi", small, codec="mpeg4", options={"b": "400000"})
    yield "copies/again small.avi", {"duplicate"}
    boxed_in = np.pad(moving(40, 96, 72, 200), ((0, 0), (12, 12), (0, 0), (0, 0)))[:, :, :96]
    made(root / "copies" / "bars.mkv", boxed_in[:, :, :], options={"crf": "30"})
    yield "copies/bars.mkv", {"duplicate", "film"}
    yield from _camera(root)


def _camera(root: Path) -> Iterator[tuple[str, Kinds]]:
    """Three films of one camera that does not move, of one length, with other things in them."""
    view = moving(1, 64, 48, 210).repeat(40, 0)
    for n in range(3):
        pictures = view.copy()
        rng = np.random.default_rng(n)
        place = rng.uniform(0, 30, 2) + np.arange(40)[:, None] * rng.uniform(-0.5, 0.5, 2)
        for picture, (y, x) in zip(pictures, np.clip(place, 0, 30).astype(int), strict=True):
            picture[y : y + 14, x : x + 14] = (250, 40 * n, 20)
        made(root / f"camera {n}.mp4", pictures)
        yield f"camera {n}.mp4", FILM


def boxed(root: Path) -> Iterator[tuple[str, Kinds]]:
    """Black bars: above and below, at both sides, all round."""
    for n, (name, (y, x)) in enumerate(
        {"letterbox.mp4": (24, 0), "pillarbox.mp4": (0, 32), "windowbox.mp4": (16, 32)}.items()
    ):
        pictures = np.zeros((24, 120, 160, 3), np.uint8)
        inside = moving(24, 160 - 2 * x, 120 - 2 * y, 220 + n)
        pictures[:, y : 120 - y, x : 160 - x] = inside
        made(root / name, pictures)
        yield name, FILM


def named(root: Path) -> Iterator[tuple[str, Kinds]]:
    """Names that break terminals, readers and programs; and a film far down."""
    names = [
        "фильм.mp4", "映画.mp4", "émigré ñ.mp4", "\U0001f3ac.mp4", "line\nbreak.mp4",
        "[red]markup[bold].mp4", "concat:a|b.mp4", "%04d.mp4", "x" * 200 + ".mp4", "-rf.mp4",
        "no extension", "film.txt", "film.jpg", "film.srtx", "UPPER.MP4", "a.b.c.mp4",
        "quo'te\".mp4", "tab\tname.mp4", "back\\slash.mp4", "*.mp4", "\x1b[31mcolour.mp4",
        "film.mp4.part",
    ]  # fmt: skip
    for n, name in enumerate(names):
        aside = made(root / "aside.mp4", moving(16, 48, 40, 300 + n))
        aside.rename(root / name)
        yield name, FILM
    deep = Path(*["deep"] * 40)
    (root / deep).mkdir(parents=True)
    made(root / deep / "found.mp4", moving(16, 48, 40, 330))
    yield (deep / "found.mp4").as_posix(), FILM


def not_films(root: Path) -> Iterator[tuple[str, Kinds]]:
    """Pictures, sound, text, subtitles, nothing at all, and what is hidden."""
    picture = moving(1, 64, 48, 400)[0]
    for suffix in ("png", "jpg", "bmp", "tiff", "webp"):
        cv2.imwrite(str(root / f"picture.{suffix}"), picture)
        yield f"picture.{suffix}", {"still picture"}
    for name, like in (("png.mp4", "picture.png"), ("jpeg.mov", "picture.jpg")):
        # A byte more, so that it is no copy.
        (root / name).write_bytes((root / like).read_bytes() + b"\0")
        yield name, {"still picture"}
    for name, codec in (("song.mp3", "libmp3lame"), ("song.m4a", "aac"), ("song.wav", "pcm_s16le")):
        _sound(root / name, codec)
        yield name, {"sound only"}
    texts = {
        "notes.txt": "These are notes.\n" * 40, "text.mp4": "This is no film.\n" * 40,
        "data.json": "{}", "table.csv": "a,b\n1,2\n", "page.html": "<html></html>",
        "list.m3u8": "#EXTM3U\n#EXTINF:1,\nrate 25.mp4\n", "list.mp4": "#EXTM3U\nrate 25.mp4\n",
        "list.ffconcat": "ffconcat version 1.0\nfile 'rate 25.mp4'\n", "one": "1",
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 9 RTP/AVP 96\n",
        "drawing.svg": "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    }  # fmt: skip
    for name, text in texts.items():
        (root / name).write_text(text)
        yield name, {"still picture"} if name.endswith("svg") else {"not a film"}
    for suffix in ("srt", "vtt", "ass"):
        (root / f"words.{suffix}").write_text("1\n00:00:00,000 --> 00:00:01,000\nWords\n")
        yield f"words.{suffix}", {"subtitles"}
    for suffix in ("mp4", "mkv", "avi", "txt", "jpg"):
        (root / f"empty.{suffix}").touch()
        yield f"empty.{suffix}", {"empty"}
    for name in (".DS_Store", "._rate 25.mp4"):
        (root / name).write_bytes(b"\0\5\26\7")
        yield name, {"hidden"}
    (root / ".git").mkdir()
    (root / ".git" / "film.mp4").write_text("never seen")
    yield ".git", {"hidden"}
    os.mkfifo(root / "pipe.mp4")
    yield "pipe.mp4", {"special"}
    locked = made(root / "locked.mp4", moving(16, 48, 40, 401))
    locked.chmod(0)
    yield "locked.mp4", {"film"} if os.geteuid() == 0 else {"unreadable"}  # root may read all
    name = os.fsdecode(b"not utf-8 \xff.mp4")
    made(root / "aside.mp4", moving(16, 48, 40, 402)).rename(root / name)
    yield name, {"film", "not supported"}


def _sound(path: Path, codec: str) -> None:
    import av

    wave = (np.sin(np.arange(24000) * 0.05) * 9000).astype(np.int16)[None]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=48000)
        stream.layout = "mono"  # pyright: ignore[reportAttributeAccessIssue]
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        for part in av.AudioResampler(stream.format, "mono", 48000, 1024).resample(frame):  # pyright: ignore
            out.mux(stream.encode(part))  # pyright: ignore
        out.mux(stream.encode(None))  # pyright: ignore


def links(root: Path) -> Iterator[tuple[str, Kinds]]:
    """Links to themselves, to nowhere, to folders above, and to films."""
    (root / "loop.mp4").symlink_to("loop.mp4")
    (root / "nowhere.mp4").symlink_to("not there.mp4")
    (root / "up").symlink_to(root, target_is_directory=True)
    (root / "copies" / "up again").symlink_to("..", target_is_directory=True)
    (root / "to copies").symlink_to("copies", target_is_directory=True)
    (root / "to a film.mp4").symlink_to("rate 25.mp4")
    yield "loop.mp4", {"link"}
    yield "nowhere.mp4", {"link"}
    yield "up", {"link"}
    yield "copies/up again", {"link"}
    yield "to copies", {"link"}
    yield "to a film.mp4", {"duplicate"}


def random_bytes(root: Path) -> Iterator[tuple[str, Kinds]]:
    """Noise with films' names, with films' first bytes, and 8 GB of nothing."""
    rng, heads = np.random.default_rng(0), {"mp4": b"\0\0\0\x18ftypmp42", "mkv": b"\x1aE\xdf\xa3"}
    for n in range(4):
        for suffix in ("mp4", "mkv", "avi", "mpg", "ts"):
            (root / f"noise {n}.{suffix}").write_bytes(rng.bytes(3000 * (n + 1)))
            yield f"noise {n}.{suffix}", {"not a film", "broken", "sound only"}
    for suffix, head in {**heads, "avi": b"RIFF\0\0\0\x7fAVI LIST"}.items():
        (root / f"headed.{suffix}").write_bytes(head + rng.bytes(5000))
        yield f"headed.{suffix}", {"broken", "not a film"}
    whole = (root / "rate 25.mp4").read_bytes()
    large = {"mpg": b"\0\0\1\xba", "ts": b"G", "mp3": b"ID3", "avi": b"", **heads}
    for suffix, head in large.items():
        name = f"8 GB.{suffix}"
        with (root / name).open("wb") as file:
            file.write(head)
            file.truncate(8 * 2**30)
        yield name, {"not a film", "broken", "sound only"}
    with (root / "8 GB after a film.mp4").open("wb") as file:
        file.write(whole)
        file.truncate(8 * 2**30)
    yield "8 GB after a film.mp4", {"film", "broken", "duplicate"}


def cut_off(root: Path) -> Iterator[tuple[str, Kinds]]:
    """Films that lack their end, or with some of their bytes changed."""
    (root / "cut off").mkdir()
    any_kind = {"film", "broken", "too short", "one frame", "not a film", "duplicate"}
    rng = np.random.default_rng(1)
    for n, like in enumerate(DAMAGED):
        whole = (root / like).read_bytes()
        for share in (10, 40, 60, 80, 97):
            name = f"cut off/{share} {like}"
            (root / name).write_bytes(whole[: len(whole) * share // 100])
            sure = {"broken"} if like.endswith("mp4") else any_kind
            yield name, sure
        for share in (1, 20):
            spoilt = np.frombuffer(whole, np.uint8).copy()
            places = rng.integers(len(spoilt) // 10, len(spoilt), len(spoilt) * share // 1000)
            spoilt[places] = rng.integers(0, 256, len(places))
            name = f"cut off/spoilt {share} {n} {like}"
            (root / name).write_bytes(spoilt.tobytes())
            yield name, any_kind
