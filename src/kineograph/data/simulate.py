"""Simulated motion over still training frames; each clip is a function of (seed, index) alone."""

from collections.abc import Callable, Mapping
from io import BytesIO

import av
import cv2
import numpy as np

from kineograph.data import motion, weather
from kineograph.data.augment import Frames, augmented
from kineograph.data.clips import ClipSource, film, random_shot, rng_for
from kineograph.data.motion import Picture, Still

Maker = Callable[[ClipSource, np.random.Generator], Frames]


def mixed(
    source: ClipSource, seed: int, index: int, weights: Mapping[str, float] | None = None
) -> Frames:
    """The clip of (seed, index): a kind drawn by weight, then a clip of it.

    Kinds are those of KINDS; "film" is the film itself. The same (seed, index) and weights
    always give the same clip.
    """
    weights = DEFAULT_WEIGHTS if weights is None else weights
    unknown = set(weights) - set(KINDS)
    if unknown:
        raise ValueError(f"Unknown kinds {sorted(unknown)}: choose from {sorted(KINDS)}.")
    rng = rng_for(seed, index)
    names = sorted(weights)
    chances = np.array([weights[name] for name in names], float)
    kind = names[int(rng.choice(len(names), p=chances / chances.sum()))]
    return clip_of(kind, source, rng)


def clip_of(kind: str, source: ClipSource, rng: np.random.Generator) -> Frames:
    """A random clip of one kind, recoloured and turned by chance, its light sometimes changing."""
    if kind == "film":
        return film(source, rng)
    frames = KINDS[kind](source, rng)
    if kind not in ("still", "lighting") and rng.random() < 0.08:
        frames = relit(frames, rng)
    return augmented(frames, rng, source.options.augment)


def random_still(source: ClipSource, rng: np.random.Generator) -> Still:
    """A whole frame of a training shot."""
    start, end = random_shot(source, rng)
    return np.ascontiguousarray(source.footage[int(rng.integers(start, end))])


def random_view(
    still: Still, size_px: int, rng: np.random.Generator
) -> tuple[tuple[float, float], float]:
    """The middle and the scale (still pixels per clip pixel) of a random view of a still."""
    height, width = still.shape[:2]
    largest = min(height, width) / size_px
    scale = float(rng.uniform(min(0.85, largest), largest))
    reach = scale * size_px / 2
    centre = rng.uniform(
        [min(reach, width / 2), min(reach, height / 2)],
        [max(width - reach, width / 2), max(height - reach, height / 2)],
    )
    return (float(centre[0]), float(centre[1])), scale


def camera(
    source: ClipSource, rng: np.random.Generator, slow: float = 0.05, fast: float = 4.0
) -> Frames:
    """A camera that pans, zooms and turns over a still."""
    options, still = source.options, random_still(source, rng)
    size = options.size_px
    centre, scale = random_view(still, size, rng)
    px_per_frame = motion.speed(rng, slow, fast)
    poses = motion.camera_path(options.num_frames, px_per_frame, rng)
    shutter = rng.uniform(0.2, 0.9) if px_per_frame > 1.5 and rng.random() < 0.5 else 0.0
    num_parts = 1 if shutter == 0 else int(np.clip(px_per_frame * shutter, 2, 5))
    return np.stack(
        [
            exposed(still, pose, centre, scale, size, num_parts)
            for pose in exposures(poses, shutter, num_parts)
        ]
    )


def exposures(poses: motion.Path, shutter: float, num_parts: int) -> np.ndarray:
    """The poses during each frame's exposure, `t part d`: blur along the path itself."""
    velocity = np.gradient(poses, axis=0)
    moments = shutter * (np.arange(num_parts) - (num_parts - 1) / 2) / num_parts
    return poses[:, None] + moments[None, :, None] * velocity[:, None]


def exposed(
    still: Still,
    poses: np.ndarray,
    centre: tuple[float, float],
    scale: float,
    size_px: int,
    num_parts: int,
) -> Picture:
    """One frame: the mean of what the camera sees during the exposure."""
    seen = [motion.warped(still, motion.affine(p, centre, scale, size_px), size_px) for p in poses]
    if num_parts == 1:
        return seen[0]
    total = np.add.reduce(seen, dtype=np.uint16)
    return ((total + num_parts // 2) // num_parts).astype(np.uint8)


def fast(source: ClipSource, rng: np.random.Generator) -> Frames:
    """A quick camera."""
    return camera(source, rng, 3.0, 14.0)


def parallax(source: ClipSource, rng: np.random.Generator) -> Frames:
    """A still behind one to three cut-out shapes; near layers move more, and some by themselves."""
    options, size = source.options, source.options.size_px
    still = random_still(source, rng)
    centre, scale = random_view(still, size, rng)
    shared = motion.camera_path(options.num_frames, motion.speed(rng, 0.02, 2.5), rng)
    frames = [motion.warped(still, motion.affine(p, centre, scale, size), size) for p in shared]
    for nearness in np.sort(rng.uniform(1.1, 2.5, int(rng.integers(1, 4)))):
        lay_cutout(frames, random_still(source, rng), shared * nearness, rng)
    return np.stack(frames)


def lay_cutout(
    frames: list[Picture], still: Still, shared: motion.Path, rng: np.random.Generator
) -> None:
    """Lays a shape cut from a still over the frames, moving with the camera and by itself."""
    size = len(frames[0])
    opacity = motion.blob(size, size * rng.uniform(0.08, 0.4), rng)
    (x, y), _ = random_view(still, size, rng)
    left, top = int(x - size / 2), int(y - size / 2)
    left = int(np.clip(left, 0, max(0, still.shape[1] - size)))
    top = int(np.clip(top, 0, max(0, still.shape[0] - size)))
    picture = cv2.copyMakeBorder(
        still[top : top + size, left : left + size],
        0, max(0, size - still.shape[0]), 0, max(0, size - still.shape[1]),
        cv2.BORDER_REFLECT_101,
    )  # fmt: skip
    cutout = motion.premultiplied(picture, opacity)
    own = motion.camera_path(len(frames), motion.speed(rng, 0.05, 5.0), rng)
    place = rng.uniform(-0.45, 0.45, 2) * size
    middle = (size - 1) / 2
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for step, pose in enumerate(shared + own):
        moved = motion.affine(pose, (middle - place[0], middle - place[1]), 1.0, size)
        layer = cv2.warpAffine(cutout, moved, (size, size), flags=flags, borderValue=(0, 0, 0, 0))
        frames[step] = motion.over(layer, frames[step])


def nonrigid(source: ClipSource, rng: np.random.Generator) -> Frames:
    """A still that bends like cloth, or is crossed by waves like water, under a slow camera."""
    options, size = source.options, source.options.size_px
    still = random_still(source, rng)
    centre, scale = random_view(still, size, rng)
    poses = motion.camera_path(options.num_frames, motion.speed(rng, 0.01, 1.5), rng)
    if rng.random() < 0.3:
        fields = waves(options.num_frames, size, rng)
    else:
        fields = bending(options.num_frames, size, rng)
    return np.stack(
        [
            motion.remapped(still, motion.grid_of(motion.affine(p, centre, scale, size), size) + f)
            for p, f in zip(poses, fields, strict=True)
        ]
    )


def bending(num_frames: int, size_px: int, rng: np.random.Generator) -> list[motion.Field]:
    """Two or three smooth fields, each growing and shrinking along a path of its own."""
    count, knots = int(rng.integers(2, 4)), int(rng.integers(3, 8))
    shapes = np.stack([motion.smooth_field(size_px, knots, rng) for _ in range(count)])
    amounts = motion.path(num_frames, np.full(count, motion.speed(rng, 0.05, 1.2)), rng)
    limit = 0.3 * size_px / knots  # beyond this the picture would fold over itself
    amounts = limit * np.tanh(amounts / limit)
    return list(np.tensordot(amounts.astype(np.float32), shapes, 1))


def waves(num_frames: int, size_px: int, rng: np.random.Generator) -> list[motion.Field]:
    """A travelling wave: sin(k x - w t) across a direction of its own."""
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.8) * size_px
    turns = motion.speed(rng, 0.05, 0.8)
    height = rng.uniform(0.01, 0.03) * length
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32)
    phase = 2 * np.pi / length * (np.cos(angle) * x + np.sin(angle) * y)
    across = rng.normal(size=2)
    across = (height * across / np.linalg.norm(across)).astype(np.float32)
    return [
        np.sin(phase - np.float32(turns * step))[..., None] * across for step in range(num_frames)
    ]


def still_clip(source: ClipSource, rng: np.random.Generator) -> Frames:
    """Nothing moves: clean, with a sensor's noise, or with an encoder's."""
    view = camera(source, rng, 1e-4, 2e-4)[:1]
    frames = np.repeat(view, source.options.num_frames, axis=0)
    choice = rng.random()
    if choice < 0.3:
        return frames
    noisy = with_sensor_noise(frames, rng)
    return noisy if choice < 0.7 else encoded(noisy, int(rng.integers(22, 38)))


def with_sensor_noise(frames: Frames, rng: np.random.Generator) -> Frames:
    """Noise that grows with light, as a sensor's does: variance = read^2 + shot * value."""
    read, shot = rng.uniform(0.2, 3), rng.uniform(0, 0.08)
    deviation = np.sqrt(read**2 + shot * np.arange(256)).astype(np.float32)
    noise = rng.standard_normal(frames.shape, dtype=np.float32) * deviation[frames]
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)


def encoded(frames: Frames, crf: int) -> Frames:
    """The clip after a trip through H.264, with the noise that this leaves."""
    file = BytesIO()
    with av.open(file, "w", format="matroska") as container:
        options = {"crf": str(crf), "preset": "ultrafast", "threads": "1", "bf": "1", "refs": "2"}
        stream = container.add_stream("libx264", rate=24, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        container.streams.video[0].codec_context.thread_count = 1
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(decoded)


def lighting(source: ClipSource, rng: np.random.Generator) -> Frames:
    """A slow camera under a light that changes, moves or flickers."""
    return relit(camera(source, rng, 0.01, 1.0), rng)


def relit(frames: Frames, rng: np.random.Generator) -> Frames:
    """The clip with its light growing, fading or swinging, evenly or under a passing shadow."""
    num_frames, height, width, _ = frames.shape
    strength = motion.path(num_frames, np.array([motion.speed(rng, 0.003, 0.06)]), rng)[:, 0]
    if rng.random() < 0.5:
        gains = np.exp(np.clip(strength, -0.6, 0.6))
        levels = np.clip(np.rint(np.arange(256) * gains[:, None]), 0, 255).astype(np.uint8)
        lit = [cv2.LUT(f, table) for f, table in zip(frames, levels, strict=True)]
        return np.stack(lit)
    shade = motion.smooth_field(2 * max(height, width), int(rng.integers(3, 7)), rng)[..., :1]
    shade = np.exp(-rng.uniform(0.1, 0.6) * np.maximum(shade, 0)).astype(np.float32)
    places = motion.path(num_frames, np.full(2, motion.speed(rng, 0.1, 3.0)), rng)
    out = np.empty_like(frames)
    for target, frame, (x, y) in zip(out, frames, places, strict=True):
        moved = np.array([[1, 0, width / 2 + x], [0, 1, height / 2 + y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        gain = cv2.warpAffine(shade, moved, (width, height), flags=flags, borderMode=4)
        target[:] = np.clip(frame * gain[..., None], 0, 255)
    return out


def smoke(source: ClipSource, rng: np.random.Generator) -> Frames:
    """Smoke over a still."""
    return weather.with_smoke(camera(source, rng, 1e-4, 0.5), rng)


def fire(source: ClipSource, rng: np.random.Generator) -> Frames:
    """Fire over a still."""
    return weather.with_fire(camera(source, rng, 1e-4, 0.5), rng)


def rain(source: ClipSource, rng: np.random.Generator) -> Frames:
    """Rain over a slow camera."""
    return weather.with_drops(camera(source, rng, 1e-4, 1.0), rng, snow=False)


def snow(source: ClipSource, rng: np.random.Generator) -> Frames:
    """Snow over a slow camera."""
    return weather.with_drops(camera(source, rng, 1e-4, 1.0), rng, snow=True)


KINDS: Mapping[str, Maker] = {
    "film": film,
    "camera": camera,
    "fast": fast,
    "parallax": parallax,
    "nonrigid": nonrigid,
    "still": still_clip,
    "lighting": lighting,
    "smoke": smoke,
    "fire": fire,
    "rain": rain,
    "snow": snow,
}

DEFAULT_WEIGHTS: Mapping[str, float] = {
    "film": 0.55,
    "camera": 0.12,
    "fast": 0.03,
    "parallax": 0.12,
    "nonrigid": 0.06,
    "still": 0.04,
    "lighting": 0.02,
    "smoke": 0.02,
    "fire": 0.01,
    "rain": 0.015,
    "snow": 0.015,
}
