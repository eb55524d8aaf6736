"""Each measure takes frames in [-1, 1], rounds them to 8 bits and gives a number per frame."""

import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from kineograph.evaluate.sheet import to_image_frames
from kineograph.models.aligned import Picture, places, pulled
from kineograph.models.motion import dense_inverse_search
from kineograph.video.levels import in_bytes, levels, to_8_bits

Distance = Callable[[Float[Tensor, "t 3 h w"]], Float[Tensor, " t"]]

LEAST_UNSTEADY = 0.5
"""Levels; a film may stand still, and half a level is not seen."""
PSNR_CAP_DB = 60.0  # the rounding to 8 bits alone is noise of 58.9 dB, so more means nothing


def squared_error(
    predicted: Float[Tensor, "t c h w"], truth: Float[Tensor, "t c h w"]
) -> Float[Tensor, " t"]:
    """Mean squared error per frame in float64, both sides rounded to 8 bits first; peak is 2."""
    error = levels(predicted) - levels(truth)  # whole numbers, so float32 holds their squares
    return error.square().mean(dim=(1, 2, 3), dtype=torch.float64) / 127.5**2


def decibels(mean_squared_error: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """PSNR of a mean squared error with peak 2.0, at most 60 dB."""
    return (10 * torch.log10(4.0 / mean_squared_error)).clamp(max=PSNR_CAP_DB)


def psnr(
    predicted: Float[Tensor, "t c h w"], truth: Float[Tensor, "t c h w"]
) -> Float[Tensor, " t"]:
    """PSNR per frame in dB."""
    return decibels(squared_error(predicted, truth))


def luma(frames: Float[Tensor, "t c h w"]) -> Float[Tensor, "t 1 h w"]:
    """BT.601 luma of RGB; of any other number of channels, their mean."""
    if frames.shape[1] != 3:
        return frames.mean(dim=1, keepdim=True)
    weights = torch.tensor([0.299, 0.587, 0.114]).to(frames)
    return torch.einsum("tchw,c->thw", frames, weights)[:, None]


def ssim(
    predicted: Float[Tensor, "t c h w"], truth: Float[Tensor, "t c h w"]
) -> Float[Tensor, " t"]:
    """SSIM per frame on 8-bit luma, Gaussian window 11x11 of sigma 1.5, where it fits whole.

    Wang, Bovik, Sheikh and Simoncelli 2004, eq. 13, with K1 = 0.01 and K2 = 0.03.
    """
    if min(truth.shape[-2:]) < 11:
        raise ValueError(f"SSIM needs frames of 11x11 or more; got {tuple(truth.shape[-2:])}.")
    x, y = (luma(to_8_bits(frames.double())) for frames in (predicted, truth))
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x = _windowed(x * x) - mean_x**2
    var_y = _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return (numerator / denominator).mean(dim=(1, 2, 3))


def _windowed(values: Float[Tensor, "t 1 h w"]) -> Float[Tensor, "t 1 h2 w2"]:
    """The Gaussian mean around each pixel, as two band matrices: exact and quick in float64."""
    down, across = (_band(size).to(values) for size in values.shape[-2:])
    return down @ values @ across.T


def _band(size: int) -> Float[Tensor, "inner size"]:
    at = torch.arange(-5, 6, dtype=torch.float64)
    weights = torch.softmax(-(at**2) / (2 * 1.5**2), dim=0)
    rows = torch.arange(size - 10)[:, None]
    return torch.zeros(size - 10, size, dtype=torch.float64).scatter_(
        1, rows + torch.arange(11), weights.expand(size - 10, 11)
    )


def flicker_against(
    truth: Float[Tensor, "t 3 h w"],
) -> Callable[[Float[Tensor, "t 3 h w"]], float]:
    """How unsteady an answer is beside the truth: 1 is as steady, more is flicker.

    Unsteady is what changes from frame to frame along the truth's motion: mean absolute levels.
    """
    pictures = [np.ascontiguousarray(frame) for frame in to_image_frames(truth)]
    greys = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in pictures]
    here = places(*greys[0].shape)
    paths = [here + dense_inverse_search(now, before) for before, now in pairwise(greys)]

    def unsteady(frames: Sequence[Picture]) -> float:
        moves = zip(paths, pairwise(frames), strict=True)
        left = [cv2.absdiff(now, pulled(before, at)).mean() for at, (before, now) in moves]
        return float(np.mean(left))

    usual = unsteady(pictures)
    return lambda answer: unsteady(list(to_image_frames(answer))) / max(usual, LEAST_UNSTEADY)


class _BlurPool(nn.Module):
    """A fixed blur at half the rate, reflected at the border (Zhang 2019, arXiv 1904.11486).

    It stands in for stlpips_pytorch.models_lpf, whose files carry a non-commercial licence.
    The blur's weights come with the package's own weights.
    """

    def __init__(self, filt_size: int, stride: int, channels: int, pad_more: bool = False) -> None:
        super().__init__()
        self.stride = stride
        self.pad = filt_size // 2 + int(pad_more)
        self.filt = nn.Buffer(torch.ones(channels, 1, filt_size, filt_size))

    def forward(self, values: Tensor) -> Tensor:
        padded = F.pad(values, (self.pad,) * 4, mode="reflect")
        return F.conv2d(padded, self.filt, stride=self.stride, groups=values.shape[1])


class StLpips:
    """Shift-tolerant LPIPS (Ghildyal and Liu 2022, arXiv 2207.13686), AlexNet, lower is nearer.

    Code and weights come from the package stlpips_pytorch and are only read.
    """

    def __init__(self, batch: int = 16) -> None:
        self.batch = batch
        self.package, self.net = _load_stlpips()

    @torch.no_grad()
    def against(self, truth: Float[Tensor, "t 3 h w"]) -> Distance:
        """Encodes the truth once; the answer gives the distance of each predicted frame."""
        kept = [self._features(part) for part in to_8_bits(truth).split(self.batch)]

        @torch.no_grad()
        def distance(predicted: Float[Tensor, "t 3 h w"]) -> Float[Tensor, " t"]:
            parts = to_8_bits(predicted).split(self.batch)
            pairs = zip(map(self._features, parts), kept, strict=True)
            return torch.cat([self._distance(a, b) for a, b in pairs])

        return distance

    def _features(self, frames: Tensor) -> list[Tensor]:
        layers = self.net.net(self.net.scaling_layer(frames.float()))
        return [self.package.utils.normalize_tensor(layer) for layer in layers]

    def _distance(self, a: list[Tensor], b: list[Tensor]) -> Float[Tensor, " t"]:
        layers = zip(self.net.lins, a, b, strict=True)
        each = [lin((x - y).square()).mean(dim=(1, 2, 3)) for lin, x, y in layers]
        return torch.stack(each).sum(dim=0)


def _load_stlpips() -> tuple[ModuleType, Any]:
    spec = importlib.util.find_spec("stlpips_pytorch")
    if spec is None or spec.origin is None:
        raise ValueError(
            "ST-LPIPS needs the package stlpips_pytorch, which is not installed; install it "
            "with `pip install --no-deps stlpips_pytorch==0.0.2`."
        )
    with _stand_ins():
        package = importlib.import_module("stlpips_pytorch.stlpips")
    net = package.LPIPS(net="alex", variant="shift_tolerant", pretrained=False, verbose=False)
    path = Path(spec.origin).parent / "weights" / "vST0.0" / "alex_shift_tolerant.pth"
    weights = torch.load(path, map_location="cpu", weights_only=True)
    unknown = net.load_state_dict(weights, strict=False).unexpected_keys
    assert not unknown, unknown
    return package, net.eval().requires_grad_(False)


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Empty modules for what stlpips_pytorch imports and never calls; gone again afterwards."""
    stand_ins = {name: ModuleType(name) for name in ("torchvision", "IPython", "torchsummary")}
    stand_ins["torchvision"].models = None  # pyright: ignore[reportAttributeAccessIssue]
    stand_ins["IPython"].embed = None  # pyright: ignore[reportAttributeAccessIssue]
    stand_ins["torchsummary"].summary = None  # pyright: ignore[reportAttributeAccessIssue]
    blur = ModuleType("stlpips_pytorch.models_lpf")
    blur.Downsample = _BlurPool  # pyright: ignore[reportAttributeAccessIssue]
    stand_ins[blur.__name__] = blur
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in [n for n in sys.modules if n.split(".")[0] == "stlpips_pytorch"]:
            del sys.modules[name]
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


VMAF_MODEL = "vmaf_v0.6.1"


def vmaf(
    predicted: Float[Tensor, "t 3 h w"],
    truth: Float[Tensor, "t 3 h w"],
    fps: float = 24,
) -> Float[Tensor, " t"]:
    """VMAF per frame, 0 to 100, model vmaf_v0.6.1 through imageio-ffmpeg's own ffmpeg.

    The model was made for 1080p seen from three heights away, so at small sizes only differences
    count. It measures motion against the frame before: lead with a known frame, drop its score.
    """
    height, width = truth.shape[-2:]
    if min(height, width) < 16:
        raise ValueError(f"VMAF needs frames of 16x16 or more; got {height}x{width}.")
    source = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {fps:g} -i".split()
    measure = f"libvmaf=model=version={VMAF_MODEL}:log_fmt=json:log_path=scores.json:n_threads=1"
    graph = f"[0:v]format=yuv444p[a];[1:v]format=yuv444p[b];[a][b]{measure}"
    with tempfile.TemporaryDirectory(prefix="kineograph-vmaf-") as folder:
        for name, frames in (("predicted.rgb", predicted), ("truth.rgb", truth)):
            (Path(folder) / name).write_bytes(_rgb_bytes(frames))
        inputs = [*source, "predicted.rgb", *source, "truth.rgb"]
        command = [_ffmpeg(), "-nostdin", "-v", "error", *inputs, "-lavfi", graph]
        done = subprocess.run(
            [*command, "-f", "null", "-"], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ValueError(f"ffmpeg could not measure VMAF: {done.stderr.strip()[-300:]}")
        scores = json.loads((Path(folder) / "scores.json").read_text())
    return torch.tensor([frame["metrics"]["vmaf"] for frame in scores["frames"]])


def _rgb_bytes(frames: Float[Tensor, "t 3 h w"]) -> bytes:
    pixels = rearrange(in_bytes(frames), "t c h w -> t h w c")
    return pixels.contiguous().cpu().numpy().tobytes()


def _ffmpeg() -> str:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ValueError(
            "VMAF needs the package imageio-ffmpeg, whose ffmpeg holds libvmaf; install it "
            "with `pip install imageio-ffmpeg`."
        ) from error
    return imageio_ffmpeg.get_ffmpeg_exe()
