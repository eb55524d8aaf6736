"""Which codec and pixel format a film is written in: one that fits its container and its frames."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from av.video.format import VideoFormat

from kineograph.video import colour
from kineograph.video.info import (
    PICTURE_SUFFIXES,
    Orientation,
    VideoError,
    VideoInfo,
    is_pattern,
    is_y4m,
)

CODECS_OF = {
    ".mp4": ("h264", "h265", "vp9"),
    ".m4v": ("h264", "h265"),
    ".mov": ("h264", "h265", "prores"),
    ".mkv": ("h264", "h265", "vp9", "ffv1", "prores"),
    ".webm": ("vp9",),
    ".gif": ("gif",),
    ".png": ("png",),
    ".y4m": ("y4m",),
}
SOUND_OF = {
    ".mp4": {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"},
    ".m4v": {"aac", "mp3", "ac3", "eac3", "alac"},
    ".mov": {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_s16be"},
    ".mkv": {
        "aac",
        "mp3",
        "ac3",
        "eac3",
        "alac",
        "opus",
        "flac",
        "vorbis",
        "pcm_s16le",
        "pcm_s24le",
    },
    ".webm": {"opus", "vorbis"},
}
ENCODER_OF = {
    "h264": "libx264",
    "h265": "libx265",
    "vp9": "libvpx-vp9",
    "prores": "prores_ks",
    "ffv1": "ffv1",
    "gif": "gif",
    "png": "png",
    "y4m": "rawvideo",
}
QUALITIES = ("exact", "high", "small")
_THREADS = "4"  # what x264 and VP9 lose depends on how many, and is not to depend on the machine

_YUV = ("yuv420p", "yuv422p", "yuv444p")
_YUV10 = tuple(f"{name}10le" for name in _YUV)
_YUV12 = tuple(f"{name}12le" for name in _YUV)
_DEEP = tuple(f"{name}{bits}le" for name in _YUV for bits in (9, 14, 16))
_GBRP = ("gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le")
_HOLDS = {
    "h264": (*_YUV, *_YUV10, "gray", "gray10le", "rgb24"),
    "h265": (*_YUV, *_YUV10, *_YUV12, "gray", "gray10le", "gray12le", *_GBRP[:2]),
    "vp9": (*_YUV, "yuv440p"),
    "ffv1": (*_YUV, *_YUV10, *_YUV12, "yuv440p", "yuv411p", "yuv410p", "gray", "gray10le",
             "gray12le", "gray16le", "bgra", "rgb48le", *_GBRP, "yuva420p", "yuva422p",
             "yuva444p", "yuva444p10le", "yuva444p12le", "yuva422p10le"),
    "png": ("rgb24", "rgba", "rgb48be", "rgba64be", "gray", "gray16be"),
    "prores": ("yuv422p10le", "yuv444p10le"),
    "gif": ("rgb24",),
    "y4m": (*_YUV, *_YUV10, *_YUV12, *_DEEP, "yuv411p", "yuva444p",
            "gray", "gray9le", "gray10le", "gray12le", "gray14le", "gray16le"),
}  # fmt: skip
_H265_MIN_SIDE_PX = 64  # below, x265 4.1 writes outside its memory
# x265 is among them because its lossless mode was measured to alter frames of one CTU (64x64).
_LOSSY = {"gif", "prores", "h265"}

# The same samples in another order of bytes or under another name.
_TWIN = {
    "yuvj420p": "yuv420p",
    "yuvj422p": "yuv422p",
    "yuvj444p": "yuv444p",
    "yuvj440p": "yuv440p",
    "nv12": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "p010le": "yuv420p10le",
    "gbrp": "rgb24",
    "pal8": "rgb24",
    "bgr24": "rgb24",
    "bgr0": "rgb24",
    "rgb0": "rgb24",
    "0rgb": "rgb24",
    "0bgr": "rgb24",
    "rgb48be": "rgb48le",
    "gray16be": "gray16le",
    "rgba": "bgra",
    "argb": "bgra",
    "abgr": "bgra",
    "gbrap": "bgra",
}


@dataclass(frozen=True)
class Plan:
    """How frames are stored: the encoder, the layout that it is fed, its options, the tags."""

    codec: str
    encoder: str
    pix_fmt: str
    matrix: str
    full_range: bool
    options: dict[str, str] = field(default_factory=dict)


def suffix_of(path: Path) -> str:
    """The kind of film that the path asks for; a name without a suffix is a folder of PNG."""
    if is_y4m(path):
        return ".y4m"
    suffix = path.suffix.lower() or ".png"
    if suffix in PICTURE_SUFFIXES and not (is_pattern(path) or not path.suffix):
        raise VideoError(f"{path} is one picture; give a folder, or a pattern such as %05d.png")
    if suffix not in CODECS_OF:
        known = " ".join(CODECS_OF)
        raise VideoError(f"{path} ends in {suffix}, which cannot be written; use one of {known}")
    return suffix


def plan(
    path: Path,
    quality: str,
    codec: str | None,
    like: VideoInfo | None,
    width: int,
    height: int,
) -> Plan:
    """The way to write these frames; VideoError if the container or the codec cannot hold them.

    With quality "exact" the layout keeps every sample of the frames of `like` (of 8-bit RGB when
    there is no `like`). Sizes are as stored.
    """
    suffix = suffix_of(path)
    if quality not in QUALITIES:
        raise ValueError(f"quality is {quality!r}; give one of {', '.join(QUALITIES)}")
    if codec is not None and codec not in CODECS_OF[suffix]:
        known = ", ".join(CODECS_OF[suffix])
        raise VideoError(f"{path} cannot hold {codec}; use {known}, or another kind of file")
    codecs = (codec,) if codec else CODECS_OF[suffix]
    if quality == "exact":
        return _exact(path, codecs, like, width, height)
    if codecs[0] == "h265" and min(width, height) < _H265_MIN_SIDE_PX:
        raise VideoError(
            f"{path} is {width}x{height} pixels and h265 needs {_H265_MIN_SIDE_PX} a side; use h264"
        )
    return _lossy(codecs[0], quality, like, width, height)


def _exact(
    path: Path, codecs: tuple[str, ...], like: VideoInfo | None, width: int, height: int
) -> Plan:
    source = like.pix_fmt if like else "rgb24"
    for opaque in (False, True):
        for codec in codecs:
            layout = _same_samples(source, codec, opaque)
            if layout and codec == "y4m" and _upright(layout, like, width, height) != layout:
                continue
            if layout and codec not in _LOSSY and _fits(layout, codec, width, height):
                return _planned(codec, layout, like, width, height, _lossless_options(codec))
    raise VideoError(
        f"{path} cannot keep frames of {width}x{height} in {source} exactly with "
        f'{" or ".join(codecs)}; write .mkv without naming a codec, or take quality "high"'
    )


def _same_samples(source: str, codec: str, opaque: bool = False) -> str | None:
    """The layout in which the codec holds the very samples of the source, None if there is none.

    With `opaque`, alpha is left out: most GIFs and PNGs have it for nothing, which the writer
    checks in every frame.
    """
    twin = _TWIN.get(source, source)
    big_endian = twin.replace("le", "be") if twin.endswith("le") else twin
    same = {"bgra": ("rgba",), "rgb24": ("bgra",)}.get(twin, ())
    without_alpha = ("rgb24",) if opaque and twin == "bgra" else ()
    found = (n for n in (source, twin, big_endian, *same, *without_alpha) if n in _HOLDS[codec])
    return next(found, None)


def _fits(layout: str, codec: str, width: int, height: int) -> bool:
    """x264 and x265 take only whole chroma samples; VP9, FFV1 and PNG take any size."""
    if codec not in ("h264", "h265"):
        return True
    if codec == "h265" and min(width, height) < _H265_MIN_SIDE_PX:
        return False
    # With RGB and 4:4:4 each pixel has its own chroma; grey is decoded as 4:2:0.
    halved = "420" in layout or layout.startswith("gray")
    odd_width = width % 2 and (halved or "422" in layout)
    return not odd_width and not (height % 2 and halved)


def _lossy(codec: str, quality: str, like: VideoInfo | None, width: int, height: int) -> Plan:
    layout = _TWIN.get(like.pix_fmt, like.pix_fmt) if like else "yuv420p"
    if codec == "png":
        layout = _same_samples(layout, codec, True) or "rgb24"
    elif codec == "y4m":
        layout = _upright(_bare(layout), like, width, height)
    elif codec == "prores":
        layout = "yuv444p10le" if "444" in layout or width % 2 else "yuv422p10le"
    elif layout not in _HOLDS[codec] or colour.is_rgb(layout):
        layout = "rgb24" if codec == "gif" else "yuv420p"
    if not _fits(layout, codec, width, height):
        layout = layout.replace("420", "444").replace("422", "444").replace("gray", "yuv444p")
    return _planned(codec, layout, like, width, height, _lossy_options(codec, quality))


def _bare(layout: str) -> str:
    """The layout of yuv4mpeg that loses least: RGB has as much chroma as luma."""
    opaque = layout.replace("yuva", "yuv")
    if layout in _HOLDS["y4m"] or opaque in _HOLDS["y4m"]:
        return layout if layout in _HOLDS["y4m"] else opaque
    if not colour.is_rgb(layout):
        return "yuv420p"
    return "yuv444p16le" if VideoFormat(layout).components[0].bits > 8 else "yuv444p"


def _upright(layout: str, like: VideoInfo | None, width: int, height: int) -> str:
    """The layout for frames turned by exchanging samples, as no tag of yuv4mpeg turns them.

    Chroma turns along only where it is halved both ways and there is no half sample at an edge.
    """
    if like is None or like.orientation == Orientation() or layout.startswith("gray"):
        return layout
    if "420" in layout and width % 2 == height % 2 == 0:
        return layout
    return layout.replace("420", "444").replace("422", "444").replace("411", "444")


def _planned(
    codec: str,
    layout: str,
    like: VideoInfo | None,
    width: int,
    height: int,
    options: dict[str, str],
) -> Plan:
    encoder = ENCODER_OF[codec]
    if colour.is_rgb(layout):
        encoder = "libx264rgb" if codec == "h264" else encoder
        return Plan(codec, encoder, layout, "rgb", True, options)
    if like and like.matrix != "rgb":
        return Plan(codec, encoder, layout, like.matrix, like.full_range, options)
    return Plan(codec, encoder, layout, colour.guessed_matrix(width, height), False, options)


def _lossless_options(codec: str) -> dict[str, str]:
    return {
        "h264": {"qp": "0", "preset": "medium"},
        "vp9": {"lossless": "1", "cpu-used": "4", "row-mt": "1"},
        "ffv1": {"level": "3"},
    }.get(codec, {})


def _lossy_options(codec: str, quality: str) -> dict[str, str]:
    high = quality == "high"
    return {
        "h264": {
            "crf": "14" if high else "24",
            "preset": "medium",
            "threads": _THREADS,
            **_x264_instructions(),
        },
        "h265": {
            "crf": "14" if high else "26",
            "preset": "medium",
            "x265-params": "log-level=none",
        },
        "vp9": {
            "crf": "15" if high else "34",
            "b": "0",
            "cpu-used": "4",
            "row-mt": "1",
            "threads": _THREADS,
        },
        "prores": {"profile": "hq" if high else "standard"},
    }.get(codec, {})


def _x264_instructions() -> dict[str, str]:
    """Those with which x264 makes the same film each time; it is not told any on other processors.

    Its macroblock tree in AVX-512 takes eight blocks of a row at once, and where a row has no
    multiple of eight (of 128 pixels) it counts in what lay in memory behind the row.
    """
    fast = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    return {"x264-params": "asm=avx2"} if fast else {}
