"""Stored samples become RGB in [-1, 1] and back by the matrix and range that the file states.

FFmpeg's scaler only unpacks formats and resamples chroma, with the range left alone; the matrix is
applied here in float32, because the scaler's own maps white to 254/255 at 16 bits. Equations:
ITU-R BT.601, BT.709 and BT.2020, in the form of H.273 section 8.3.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import Float
from torch import Tensor

# Red's and blue's share of luma (H.273 table 4) and the code that files carry for the matrix.
_SHARES = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "smpte240m": (0.212, 0.087),
    "bt2020": (0.2627, 0.0593),
}
_NAMES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
TAG_OF_MATRIX = {"bt709": 1, "fcc": 4, "bt601": 6, "smpte240m": 7, "bt2020": 9, "rgb": 0}
_UNSPECIFIED = 2
_LIMITED, _FULL = 1, 2

# Codecs whose grey is limited-range luma when the file does not say; the others store full grey.
_LUMA_CODECS = {"h264", "hevc", "vp8", "vp9", "av1", "mpeg2video", "mpeg4", "libdav1d"}
_CAREFUL = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


def guessed_matrix(width: int, height: int) -> str:
    """The matrix of a file that names none: BT.709 from 720 lines or 1280 columns, else BT.601."""
    return "bt709" if height >= 720 or width >= 1280 else "bt601"


def is_rgb(pix_fmt: str) -> bool:
    """Whether the format stores red, green and blue (or a palette of them)."""
    return VideoFormat(pix_fmt).is_rgb or pix_fmt == "pal8" or pix_fmt.startswith("bayer")


def is_grey(pix_fmt: str) -> bool:
    """Whether the format stores luma alone."""
    return pix_fmt.startswith(("gray", "ya8", "ya16", "mono"))


def matrix_of(frame: VideoFrame, path: Path) -> str:
    """The name of the frame's colour matrix; ValueError for one that is not linear in RGB."""
    if is_rgb(frame.format.name):
        return "rgb"
    if frame.colorspace in (0, _UNSPECIFIED):
        return guessed_matrix(frame.width, frame.height)
    if frame.colorspace not in _NAMES:
        raise ValueError(
            f"{path} uses colour matrix {frame.colorspace} (H.273), which is not supported; "
            "convert it first with ffmpeg -vf scale=out_color_matrix=bt709"
        )
    return _NAMES[frame.colorspace]


def is_full_range(frame: VideoFrame, codec: str) -> bool:
    """Whether luma spans all codes (0..255 at 8 bits) rather than 16..235."""
    name = frame.format.name
    if is_rgb(name) or name.startswith(("yuvj", "mono")):
        return True
    if is_grey(name) and frame.color_range not in (_LIMITED, _FULL):
        return codec not in _LUMA_CODECS
    return frame.color_range == _FULL


def plane_arrays(frame: VideoFrame) -> list[np.ndarray]:
    """Each plane of a frame as stored, without the padding at the end of its lines."""
    wide = frame.format.components[0].bits > 8
    packed = len(frame.planes) == 1 and len(frame.format.components) > 1
    channels = len(frame.format.components) if packed else 1
    arrays = []
    for plane in frame.planes:
        lines = np.frombuffer(memoryview(plane), np.uint16 if wide else np.uint8)
        lines = lines.reshape(plane.height, -1)[:, : plane.width * channels]
        arrays.append(lines.reshape(plane.height, plane.width, channels) if packed else lines)
    return arrays


def frame_of_planes(planes: Sequence[np.ndarray], pix_fmt: str) -> VideoFrame:
    """A frame that holds exactly these samples; the first plane's shape is the frame's."""
    frame = VideoFrame(planes[0].shape[1], planes[0].shape[0], pix_fmt)
    for plane, samples in zip(frame.planes, planes, strict=True):
        flat = np.ascontiguousarray(samples).reshape(samples.shape[0], -1)
        lines = np.zeros((plane.height, plane.line_size // flat.itemsize), flat.dtype)
        lines[:, : flat.shape[1]] = flat
        plane.update(lines.tobytes())
    return frame


def relabelled(frame: VideoFrame, pix_fmt: str) -> VideoFrame:
    """The same samples under another format name of the same layout (yuvj420p as yuv420p)."""
    copy = frame_of_planes(plane_arrays(frame), pix_fmt)
    copy.pts, copy.time_base = frame.pts, frame.time_base
    return copy


def repacked(frame: VideoFrame, pix_fmt: str) -> VideoFrame:
    """The frame in another layout: chroma may be resampled, the range and matrix stay."""
    name = frame.format.name
    if name.startswith("yuvj"):  # else the scaler would squeeze the range
        frame = relabelled(frame, name.replace("yuvj", "yuv"))
    if frame.format.name == pix_fmt:
        return frame
    same = {"src_color_range": _LIMITED, "dst_color_range": _LIMITED}
    rgb = {"src_color_range": _FULL, "dst_color_range": _FULL}
    # The frame's own scaler crashes where two threads repack it; even so, one at a time should.
    return VideoReformatter().reformat(
        frame,
        format=pix_fmt,
        src_colorspace=1,
        dst_colorspace=1,
        interpolation=int(_CAREFUL),
        threads=1,
        **(rgb if is_rgb(name) else same),
    )


def _rgb_planes(frame: VideoFrame) -> Float[np.ndarray, "3 h w"]:
    if frame.format.components[0].bits <= 8:
        return repacked(frame, "rgb24").to_ndarray().transpose(2, 0, 1).astype(np.float32) / 255
    name = frame.format.name
    if name.startswith("gbrp") and name.endswith("le") and "f" not in name:
        deep = np.stack(plane_arrays(frame)[:3]).astype(np.float32)[[2, 0, 1]]
        return deep / (2 ** frame.format.components[0].bits - 1)
    return repacked(frame, "gbrpf32le").to_ndarray().transpose(2, 0, 1)


def _codes(frame: VideoFrame) -> tuple[np.ndarray, int]:
    """Luma and both chromas at full size, as code values of the frame's own depth."""
    bits = frame.format.components[0].bits
    if is_grey(frame.format.name):
        wanted = "gray" if bits <= 8 else f"gray{bits}le"
        return np.stack(plane_arrays(repacked(frame, wanted))[:1]).astype(np.float32), max(bits, 8)
    wide = np.stack(plane_arrays(repacked(frame, "yuv444p16le"))).astype(np.float32)
    return wide / 2 ** (16 - bits), bits


def to_rgb(frame: VideoFrame, matrix: str, full_range: bool) -> Float[Tensor, "3 h w"]:
    """A stored frame as RGB in [-1, 1], not turned."""
    if matrix == "rgb":
        rgb = torch.from_numpy(np.ascontiguousarray(_rgb_planes(frame)))
        return (rgb * 2 - 1).clamp(-1, 1)
    codes, bits = _codes(frame)
    unit, top = 2.0 ** (bits - 8), 2.0**bits - 1
    luma = codes[0] / top if full_range else (codes[0] / unit - 16) / 219
    if len(codes) == 1:
        return torch.from_numpy(luma * 2 - 1).clamp(-1, 1).expand(3, -1, -1).contiguous()
    chroma = (codes[1:] - 2 ** (bits - 1)) / (top if full_range else 224 * unit)
    red_share, blue_share = _SHARES[matrix]
    red = luma + 2 * (1 - red_share) * chroma[1]
    blue = luma + 2 * (1 - blue_share) * chroma[0]
    green = (luma - red_share * red - blue_share * blue) / (1 - red_share - blue_share)
    return torch.from_numpy(np.stack([red, green, blue]) * 2 - 1).clamp(-1, 1)


def _stored(values: np.ndarray, bits: int) -> np.ndarray:
    top = 2**bits - 1
    return np.clip(np.rint(values), 0, top).astype(np.uint16 if bits > 8 else np.uint8)


def from_rgb(
    rgb: Float[Tensor, "3 h w"], pix_fmt: str, matrix: str, full_range: bool
) -> VideoFrame:
    """The stored frame, in `pix_fmt`, that shows this RGB in [-1, 1]; the inverse of `to_rgb`."""
    values = (rgb.detach().cpu().float().clamp(-1, 1).numpy() + 1) / 2
    bits = VideoFormat(pix_fmt).components[0].bits
    if is_rgb(pix_fmt):
        deep = "gbrp" if bits <= 8 else f"gbrp{bits}le"
        planes = _stored(values[[1, 2, 0]] * (2**bits - 1), bits)
        return repacked(frame_of_planes(list(planes), deep), pix_fmt)
    unit, top = 2.0 ** (bits - 8), 2.0**bits - 1
    red_share, blue_share = _SHARES[matrix]
    luma = red_share * values[0] + blue_share * values[2]
    luma = luma + (1 - red_share - blue_share) * values[1]
    codes = [_stored(luma * top if full_range else (16 + 219 * luma) * unit, bits)]
    if is_grey(pix_fmt):
        return frame_of_planes(codes, pix_fmt)
    span, middle = (top if full_range else 224 * unit), 2 ** (bits - 1)
    for channel, share in ((2, blue_share), (0, red_share)):
        difference = (values[channel] - luma) / (2 * (1 - share))
        codes.append(_stored(difference * span + middle, bits))
    whole = "yuv444p" if bits <= 8 else f"yuv444p{bits}le"
    return repacked(frame_of_planes(codes, whole), pix_fmt)
