"""How simulated things move: paths with inertia, poses, warps, and shapes with soft edges."""

from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

Picture = UInt8[np.ndarray, "h w c"]
Still = UInt8[np.ndarray, "still_h still_w c"]
"""A picture that is looked at through a window of another size."""
NO_MAP: Any = None
"""For cv2.remap, where both coordinates come in one map; its type stubs know no None."""
Path = Float[np.ndarray, "t d"]
Field = Float32[np.ndarray, "h w 2"]

PATHS = ("constant", "accelerated", "drifting", "swinging", "easing", "shaking")
PATH_CHANCES = (0.3, 0.2, 0.2, 0.14, 0.1, 0.06)


def path(num_frames: int, speeds: Float[np.ndarray, " d"], rng: np.random.Generator) -> Path:
    """A path in d numbers, 0 at its middle frame; `speeds` is the typical step per frame.

    Real motion keeps its velocity for a while: most paths are constant or change slowly.
    """
    kind = rng.choice(len(PATHS), p=PATH_CHANCES)
    steps = np.asarray(speeds) * path_velocity(PATHS[kind], num_frames, len(speeds), rng)
    places = np.cumsum(steps, axis=0)
    return places - places[num_frames // 2]


def path_velocity(kind: str, num_frames: int, dims: int, rng: np.random.Generator) -> Path:
    """The velocity of a path, of size about 1, for each frame."""
    first = rng.normal(size=dims)
    time = np.linspace(-1, 1, num_frames)[:, None]
    if kind == "constant":
        return np.tile(first, (num_frames, 1))
    if kind == "accelerated":
        return first + time * rng.normal(size=dims)
    if kind == "swinging":
        turns, phase = rng.uniform(0.3, 2.0), rng.uniform(0, 2 * np.pi, dims)
        return 1.4 * first * np.cos(np.pi * turns * time + phase)
    if kind == "easing":
        start, length = rng.uniform(-1, 0.6), rng.uniform(0.4, 1.4)
        inside = np.clip((time - start) / length, 0, 1)
        return 2 * first * np.sin(np.pi * inside) ** 2
    memory = 0.9 if kind == "drifting" else 0.3
    return inertial(first, memory, num_frames, rng)


def inertial(
    first: Float[np.ndarray, " d"], memory: float, num_frames: int, rng: np.random.Generator
) -> Path:
    """An Ornstein-Uhlenbeck velocity: it forgets a share 1 - memory of itself each frame."""
    pushes = rng.normal(size=(num_frames, len(first))) * np.sqrt(1 - memory**2)
    velocity = np.empty_like(pushes)
    current = first
    for step, push in enumerate(pushes):
        current = memory * current + push
        velocity[step] = current
    return velocity


def speed(rng: np.random.Generator, slow: float = 0.05, fast: float = 4.0) -> float:
    """A speed in pixels per frame, spread evenly over its logarithm."""
    return float(np.exp(rng.uniform(np.log(slow), np.log(fast))))


def camera_path(num_frames: int, px_per_frame: float, rng: np.random.Generator) -> Path:
    """(x, y, log zoom, turn) per frame: mostly pan, sometimes with zoom or turn or neither."""
    speeds = np.array([px_per_frame, px_per_frame * rng.uniform(0.1, 1), 0.0, 0.0])
    angular = px_per_frame / 64  # moves the rim of a 128 px picture as fast as the pan does
    choice = rng.random()
    if choice < 0.25:
        speeds[2] = angular * rng.uniform(0.2, 1)
    elif choice < 0.4:
        speeds[3] = angular * rng.uniform(0.2, 1)
    elif choice < 0.5:
        speeds[:] = [px_per_frame / 4, px_per_frame / 4, angular, angular / 2]
    return path(num_frames, speeds, rng)


def affine(
    pose: Float[np.ndarray, " 4"], centre: tuple[float, float], scale: float, size_px: int
) -> Float[np.ndarray, "2 3"]:
    """The map from an output pixel to the still: out(x) = still(A x), for a camera at `pose`."""
    shift_x, shift_y, log_zoom, turn = pose
    zoom = scale * np.exp(np.clip(log_zoom, -0.7, 0.7))
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    half = (size_px - 1) / 2
    x = centre[0] + scale * shift_x - cos * half + sin * half
    y = centre[1] + scale * shift_y - sin * half - cos * half
    return np.array([[cos, -sin, x], [sin, cos, y]])


def warped(still: Still, matrix: Float[np.ndarray, "2 3"], size_px: int) -> Picture:
    """The still through an affine map, mirrored at its edges. Cubic: linear pulses in sharpness."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        still, matrix, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )


def remapped(still: Still, places: Field) -> Picture:
    """The still read at `places` (x, y), mirrored at its edges."""
    return cv2.remap(
        still,
        places.astype(np.float32, copy=False),
        NO_MAP,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def grid_of(matrix: Float[np.ndarray, "2 3"], size_px: int) -> Field:
    """The places that an affine map reads."""
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32)
    m = matrix.astype(np.float32)
    return np.stack(
        [m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]], axis=-1
    )


def smooth_field(size_px: int, knots: int, rng: np.random.Generator) -> Field:
    """A random field without edges: `knots` values a side, cubic between, size about 1."""
    coarse = rng.normal(size=(knots, knots, 2)).astype(np.float32)
    return cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_CUBIC)


def blob(size_px: int, radius_px: float, rng: np.random.Generator) -> UInt8[np.ndarray, "h w"]:
    """How opaque a random shape is: a round, a polygon or a wavy outline, with a soft edge."""
    corners = int(rng.choice([3, 4, 5, 6, 48, 48, 48, 48]))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 2 * np.pi)
    radii = np.ones(corners)
    if corners > 6:
        for wave in range(2, 7):
            radii += rng.normal() * 0.35 / wave * np.cos(wave * angles + rng.uniform(0, 6.28))
    squeeze, turn = rng.uniform(0.35, 1), rng.uniform(0, np.pi)
    x = radius_px * radii * np.cos(angles)
    y = radius_px * radii * np.sin(angles) * squeeze
    outline = np.stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1
    )
    points = np.rint((outline + (size_px - 1) / 2) * 16).astype(np.int32)
    opacity = np.zeros((size_px, size_px), np.uint8)
    cv2.fillPoly(opacity, [points], 255, lineType=cv2.LINE_AA, shift=4)
    softness = rng.choice([0.6, 0.6, 1.0, 2.5])
    return cv2.GaussianBlur(opacity, (0, 0), float(softness))


def over(front: UInt8[np.ndarray, "h w 4"], back: Picture) -> Picture:
    """A premultiplied picture with opacity laid over another (Porter and Duff, 1984)."""
    clear = cv2.cvtColor(cv2.bitwise_not(front[..., 3]), cv2.COLOR_GRAY2RGB)
    return cv2.add(cv2.multiply(back, clear, scale=1 / 255), front[..., :3])


def premultiplied(
    picture: Picture, opacity: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 4"]:
    """The picture times its opacity, with the opacity as a fourth channel."""
    colour = cv2.multiply(picture, cv2.cvtColor(opacity, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    return np.dstack([colour, opacity])
