"""The classical answers to the questions of `kineo bench all`: nothing in them was ever learned."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kineograph.evaluate.extrapolate import Farneback, Motion, estimate, motion_at, warp
from kineograph.evaluate.questions import FPS, UPSCALE, Answer, Film, Question
from kineograph.evaluate.sheet import to_image_frames
from kineograph.models.motion import Dis
from kineograph.video.levels import frames_of

Out = Float[Tensor, "n 3 H W"]
Pictures = UInt8[np.ndarray, "t h w 3"]
Picture = UInt8[np.ndarray, "h w 3"]
Frame = Float[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]
Holes = Bool[np.ndarray, "t h w"]
Flows = list[tuple[Motion, Motion]]


@dataclass(frozen=True)
class Middle:
    """How two frames become the one halfway. Defaults are tuned; see decision 0007.

    estimator, upsample: optical flow both ways, on pictures enlarged so many times.
    transport: how flow measured at a known frame gets to the middle one; see `motion_at`.
    bend: how much of the motion's last change, seen from the frame before or after, goes on;
        0 leaves the paths straight.
    sampling: of the frames that are pulled.
    doubt, near_px: each path weighs 1 / e^doubt, e being the squared error between its two ends,
        averaged around; with a large `doubt` the best path alone counts.
    """

    estimator: Farneback | Dis = field(default_factory=Dis)
    upsample: int = 2
    transport: Literal["still", "sought", "splat"] = "splat"
    bend: float = 1.3
    sampling: Literal["linear", "cubic", "lanczos"] = "lanczos"
    doubt: float = 0.5
    near_px: float = 1.5


DIS = Middle()
FARNEBACK = Middle(Farneback(window_px=21), upsample=1, bend=1.0)


def average(question: Question) -> Out:
    """The mean of the two known frames around."""
    return (question.given[:-1] + question.given[1:]) / 2


def middle(question: Question, how: Middle = DIS) -> Out:
    """The known frames around, pulled halfway along every path between them, and weighed."""
    known = _arrays(question.given)
    flows = [_both_flows(a, b, how) for a, b in pairwise(known)]
    made = [_halfway(known, flows, i, how) for i in range(len(flows))]
    return _frames(np.stack(made)).clamp(-1, 1)


def _both_flows(a: Frame, b: Frame, how: Middle) -> tuple[Motion, Motion]:
    """Motions with a(x) = b(x + first(x)) and b(x) = a(x + second(x)), in pixels."""
    greys, size = [_grey(picture, how.upsample) for picture in (a, b)], a.shape[1::-1]
    flows = [estimate(greys[i], greys[1 - i], how.estimator) for i in (0, 1)]
    small = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in flows]
    return small[0] / np.float32(how.upsample), small[1] / np.float32(how.upsample)


def _halfway(known: np.ndarray, flows: Flows, index: int, how: Middle) -> Frame:
    total, weights = np.zeros_like(known[0]), np.zeros((*known.shape[1:3], 1), np.float32)
    for to_a, to_b in _paths(flows, index, how):
        a = warp(known[index], to_a, how.sampling)
        b = warp(known[index + 1], to_b, how.sampling)
        error = _blur(np.square(a - b).mean(axis=-1), how.near_px)[..., None]
        weight = (error + np.float32(1e-5)) ** -np.float32(how.doubt)
        total += weight * (a + b) / 2
        weights += weight
    return total / weights


def _paths(flows: Flows, index: int, how: Middle) -> Iterator[tuple[Motion, Motion]]:
    """Where each pixel of the middle frame lies in the frames around it, as each path has it."""
    ahead, back = flows[index]
    still = np.zeros_like(ahead)
    yield still, still
    near_a, near_b = (motion_at(motion, -0.5, how.transport) for motion in (ahead, back))
    yield near_a, -near_a
    yield -near_b, near_b
    if how.bend and index > 0:
        yield _bent(ahead, flows[index - 1][1], how)
    if how.bend and index + 1 < len(flows):
        near, far = _bent(back, flows[index + 1][0], how)
        yield far, near


def _bent(across: Motion, away: Motion, how: Middle) -> tuple[Motion, Motion]:
    """To the near frame and to the far one along a parabola through three frames.

    A pixel of the near frame goes `across` to the far one and came from `away` on the other side;
    halfway, constant acceleration leaves it (across + away) / 8 short of the straight path
    (Xu, Siyao, Sun, Yin and Yang 2019, arXiv 1911.00627).
    """
    half = across / 2 - np.float32(how.bend) * (across + away) / 8
    near = motion_at(2 * half, -0.5, how.transport)
    return near, warp(across - half, near)


def minterpolate(
    question: Question, search: str = "bidir", mixing: str = "obmc", block_px: int = 8
) -> Out:
    """ffmpeg's motion-compensated interpolation; the ends are repeated, for it leaves them out."""
    known = to_image_frames(question.given)
    how = f"me_mode={search}:mc_mode={mixing}:mb_size={block_px}"
    graph = f"format=yuv444p,minterpolate=fps={FPS:g}:scd=none:mi_mode=mci:{how}"
    wide = np.concatenate([known[:1].repeat(2, 0), known, known[-1:].repeat(2, 0)])
    made = ffmpeg(wide, graph, FPS / 2)
    return frames_of(made[5 : 4 + 2 * len(known) - 1 : 2])


def ffmpeg(pictures: Pictures, graph: str, fps: float = FPS) -> Film:
    """The film that a graph of ffmpeg's filters makes of 8-bit RGB pictures.

    Raises ValueError with ffmpeg's own words where it fails.
    """
    import imageio_ffmpeg

    height, width = pictures.shape[1:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *raw, "-s", f"{width}x{height}"]
    command += ["-r", f"{fps:g}", "-i", "pipe:0", "-filter_complex_threads"]
    command += [str(torch.get_num_threads()), "-filter_complex", graph, *raw, "pipe:1"]
    done = subprocess.run(command, input=pictures.tobytes(), capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"ffmpeg failed at {graph}: {done.stderr.decode().strip()[-300:]}")
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3).copy()


def noisy(question: Question) -> Out:
    """What was given, as it is."""
    return question.given


def nlmeans(
    question: Question, strength: float = 12.0, patch_px: int = 3, search_px: int = 7
) -> Out:
    """ffmpeg's non-local means, frame by frame, on red, green and blue."""
    graph = f"format=gbrp,nlmeans=s={strength}:p={patch_px}:r={search_px}"
    return frames_of(ffmpeg(to_image_frames(question.given), graph))


def hqdn3d(question: Question, space: float = 40.0, time: float = 20.0) -> Out:
    """ffmpeg's recursive smoothing in space and time, on red, green and blue."""
    graph = f"format=gbrp,hqdn3d={space}:{space}:{time}:{time}"
    return frames_of(ffmpeg(to_image_frames(question.given), graph))


def dct(question: Question, sigma: float = 22.0, log_block: int = 3) -> Out:
    """ffmpeg's thresholding of overlapping cosine transforms (Yu and Sapiro 2011), a frame each."""
    return frames_of(_dct(to_image_frames(question.given), sigma, log_block))


def _dct(pictures: Pictures, sigma: float, log_block: int = 3) -> Pictures:
    return ffmpeg(pictures, f"format=gbrp,dctdnoiz=s={sigma}:n={log_block}")


def nlm(
    question: Question,
    num_frames: int = 1,
    strength: float = 17.0,
    colour: float = 17.0,
    side: int = 3,
) -> Out:
    """OpenCV's fastNlMeansDenoisingColoredMulti on patches of `side`; the ends are mirrored."""
    pictures, half = to_image_frames(question.given), num_frames // 2
    wide = list(np.pad(pictures, ((half, half), (0, 0), (0, 0), (0, 0)), mode="reflect"))
    how = (num_frames, None, strength, colour, side, 15)
    denoised = cv2.fastNlMeansDenoisingColoredMulti
    made = [denoised(wide, t + half, *how) for t in range(len(pictures))]  # pyright: ignore
    return frames_of(np.stack(made))


def along_motion(
    question: Question,
    radius: int = 6,
    rough: float = 22.0,
    likeness: float = 12.0,
    sigma: float = 8.0,
    near_px: float = 1.0,
) -> Out:
    """The mean along the motion of `radius` frames either side, then thresholded as `dct` does.

    rough: the sigma of a first `dct`, on which motion and likeness are measured.
    likeness: levels by which a neighbour may differ around a pixel and still count (a Gaussian).
    sigma: of the second `dct`.
    """
    grainy = to_image_frames(question.given)
    clean = _dct(grainy, rough)
    greys = _greys(clean)
    made = []
    for t in range(len(grainy)):
        total, weights = grainy[t].astype(np.float32), np.ones((*clean.shape[1:3], 1), np.float32)
        for s in {*range(max(t - radius, 0), min(t + radius + 1, len(grainy)))} - {t}:
            motion = estimate(greys[t], greys[s], Dis())
            differs = warp(clean[s].astype(np.float32), motion) - clean[t]
            error = _blur(np.square(differs).mean(axis=-1), near_px)[..., None]
            weight = np.exp(-error / np.float32(2 * likeness**2))
            total += weight * warp(grainy[s].astype(np.float32), motion, "cubic")
            weights += weight
        made.append(np.clip(np.rint(total / weights), 0, 255).astype(np.uint8))
    return frames_of(_dct(np.stack(made), sigma))


def enlarged(question: Question, kernel: int = cv2.INTER_CUBIC, num_corrections: int = 0) -> Out:
    """OpenCV's enlargement, corrected until it shrinks to what was given.

    A correction adds what the enlarged film lacks when it is averaged down again, enlarged
    (Irani and Peleg 1991).
    """
    made = _enlarged(question.given, kernel)
    for _ in range(num_corrections):
        made = made + _enlarged(question.given - F.avg_pool2d(made, UPSCALE), kernel)
    return made.clamp(-1, 1)


def sharpened(
    question: Question, kernel: int = cv2.INTER_CUBIC, amount: float = 0.8, sigma_px: float = 1.5
) -> Out:
    """OpenCV's enlargement under a mild unsharp mask."""
    made = _enlarged(question.given, kernel)
    soft = np.stack([_blur(picture, sigma_px) for picture in _arrays(made)])
    return (made + amount * (made - _frames(soft))).clamp(-1, 1)


def _enlarged(frames: Float[Tensor, "t 3 h w"], kernel: int) -> Float[Tensor, "t 3 H W"]:
    size = frames.shape[-1] * UPSCALE, frames.shape[-2] * UPSCALE
    return _frames(np.stack([cv2.resize(p, size, interpolation=kernel) for p in _arrays(frames)]))


def spatial(question: Question, method: str = "telea", radius_px: float = 10.0) -> Out:
    """OpenCV's inpainting, "telea" or "navier-stokes", each frame by itself."""
    pictures = zip(to_image_frames(question.given), _holes(question), strict=True)
    return frames_of(np.stack([_inpainted(p, hole, method, radius_px) for p, hole in pictures]))


def _inpainted(picture: Picture, hole: Mask, method: str = "telea", radius: float = 5.0) -> Picture:
    how = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
    return np.asarray(cv2.inpaint(picture, hole.astype(np.uint8), radius, how))


def nearest_in_time(question: Question) -> Out:
    """The same place in the nearest frame where it is seen; Telea where it never is."""
    holes, pictures = _holes(question), to_image_frames(question.given)
    made, never = pictures.copy(), np.asarray(holes.all(axis=0))
    for t, hole in enumerate(holes):
        away = np.abs(np.arange(len(holes)) - t)[:, None, None]
        from_t = np.where(holes, len(holes), away).argmin(axis=0)
        there = np.take_along_axis(pictures, from_t[None, ..., None], axis=0)[0]
        made[t] = _inpainted(np.where(hole[..., None], there, pictures[t]), never)
    return frames_of(made)


def median_in_time(question: Question, radius: int = 1) -> Out:
    """The median of the same place over `radius` frames either side; else `nearest_in_time`."""
    hole = torch.from_numpy(_holes(question))[:, None]
    known = torch.where(hole, torch.nan, question.given)
    spans = [known[max(t - radius, 0) : t + radius + 1] for t in range(len(known))]
    seen = torch.stack([span.nanmedian(dim=0).values for span in spans])
    return torch.where(seen.isnan(), nearest_in_time(question), seen).where(hole, question.given)


def along_flow(question: Question, margin_px: int = 3, fade: float = 1.0) -> Out:
    """What the hole hides, followed along DIS flow to the frames where it is seen, both ways.

    margin_px: the motion in a hole is what surrounds it, so far away.
    fade: what is found k frames away weighs 1 / k^fade. Where nothing is found,
        `nearest_in_time` answers.
    """
    holes, pictures = _holes(question), to_image_frames(question.given)
    made = to_image_frames(nearest_in_time(question))
    flows = [_flows(made, holes, step, margin_px) for step in (-1, 1)]
    for t, hole in enumerate(holes):
        both = [_followed(pictures, holes, flows[i], t, (-1, 1)[i]) for i in (0, 1)]
        weights = [(away > 0) / np.maximum(away, 1) ** fade for _, away in both]
        total = sum(w * colours for w, (colours, _) in zip(weights, both, strict=True))
        mixed = np.rint(total / np.maximum(weights[0] + weights[1], 1e-9))
        known = hole & ((weights[0] + weights[1])[..., 0] > 0)
        made[t][known] = mixed[known].astype(np.uint8)
    return frames_of(made)


def _flows(filled: Pictures, holes: Holes, step: int, margin_px: int) -> dict[int, Motion]:
    """The motion from each frame to the next one in the direction of `step`."""
    greys = _greys(filled)
    wide, flows = np.ones((2 * margin_px + 1,) * 2, np.uint8), {}
    for t in range(max(-step, 0), len(greys) - max(step, 0)):
        hidden = np.asarray(cv2.dilate((holes[t] | holes[t + step]).astype(np.uint8), wide)) > 0
        flows[t] = _from_around(estimate(greys[t], greys[t + step], Dis()), hidden)
    return flows


def _from_around(motion: Motion, hidden: Mask) -> Motion:
    """The motion, where hidden taken from a wider and wider neighbourhood."""
    seen = (~hidden).astype(np.float32)[..., None]
    total, out = np.concatenate([motion * seen, seen], axis=-1), motion * seen
    for sigma_px in (2.0, 4.0, 8.0, 16.0, 32.0, 64.0):
        near = _blur(total, sigma_px)
        found = hidden & (near[..., 2] > 0.05)
        out[found] = near[found, :2] / near[found, 2:]
        hidden = hidden & ~found
    return out


def _followed(
    pictures: Pictures, holes: Holes, flows: dict[int, Motion], t: int, step: int
) -> tuple[Frame, Float[np.ndarray, "h w 1"]]:
    """Colours for the hole of frame t and how many frames away each was seen; 0 is never."""
    path = np.zeros((*holes.shape[1:], 2), np.float32)
    colours, away = np.zeros(pictures.shape[1:], np.float32), np.zeros(holes.shape[1:], np.float32)
    at = t
    while at in flows and (holes[t] & (away == 0)).any():
        path = path + warp(flows[at], path)
        at += step
        new = (warp((~holes[at]).astype(np.float32), path) > 0.999) & holes[t] & (away == 0)
        new &= _inside(path)
        colours[new] = warp(pictures[at].astype(np.float32), path)[new]
        away[new] = abs(at - t)
    return colours, away[..., None]


def _inside(path: Motion) -> Mask:
    """Where a path ends within the picture."""
    last = np.array(path.shape[1::-1]) - 1
    to = np.stack(np.meshgrid(*map(np.arange, last + 1)), axis=-1) + path
    return np.asarray(((to >= 0) & (to <= last)).all(axis=-1))


def _holes(question: Question) -> Holes:
    if question.hole is None:
        raise ValueError(
            f"{question.name} has no hole to fill: ask a question of row inpaint or still."
        )
    return question.hole[:, 0].numpy()


def classical(row: str) -> dict[str, Answer]:
    """Every tuned classical method of a row, by the name that tables give it."""
    fill: dict[str, Answer] = {
        "telea": spatial, "median in time": median_in_time,
        "navier-stokes": partial(spatial, method="navier-stokes"),
        "nearest in time": nearest_in_time, "along flow": along_flow,
    }  # fmt: skip
    return {
        "interpolate": {
            "average": average, "farneback middle": partial(middle, how=FARNEBACK),
            "dis middle": middle, "minterpolate": minterpolate,
        },
        "denoise": {
            "noisy": noisy, "hqdn3d": hqdn3d, "nlmeans": nlmeans, "nlm": nlm,
            "nlm of 5 frames": partial(nlm, num_frames=5, strength=14.0, colour=14.0),
            "dctdnoiz": dct, "along motion": along_motion,
        },
        "upscale": {
            "bicubic": enlarged, "bicubic, sharpened": sharpened,
            "lanczos": partial(enlarged, kernel=cv2.INTER_LANCZOS4),
            "lanczos, sharpened": partial(sharpened, kernel=cv2.INTER_LANCZOS4),
            "back-projection": partial(enlarged, num_corrections=4),
        },
        "inpaint": fill,
        "still": fill,
    }[row]  # fmt: skip


def _arrays(frames: Float[Tensor, "t 3 h w"]) -> Float[np.ndarray, "t h w 3"]:
    return rearrange(frames.cpu().float(), "t c h w -> t h w c").contiguous().numpy()


def _frames(arrays: Float[np.ndarray, "t h w 3"]) -> Float[Tensor, "t 3 h w"]:
    return rearrange(torch.from_numpy(arrays), "t h w c -> t c h w")


def _grey(picture: Frame, upsample: int = 1) -> UInt8[np.ndarray, "h2 w2"]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if upsample > 1:
        grey = cv2.resize(grey, None, fx=upsample, fy=upsample, interpolation=cv2.INTER_CUBIC)
    return np.clip(np.rint((np.asarray(grey) + 1) * 127.5), 0, 255).astype(np.uint8)


def _greys(pictures: Pictures) -> list[UInt8[np.ndarray, "h w"]]:
    return [np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)) for picture in pictures]


def _blur(values: np.ndarray, sigma_px: float) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)
