"""A box, a picture or a film says of each frame where the region is: none looks ahead."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kineograph import video

Frames = Iterable[Float[Tensor, "3 h w"]]
Region = Bool[Tensor, "1 h w"]
"""h and w are those of the frames."""

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(%?)")


@dataclass(frozen=True)
class Box:
    """Left, top, width and height, each in pixels or, where `shares`, as a share of the picture."""

    values: tuple[float, float, float, float]
    shares: tuple[bool, bool, bool, bool] = (False, False, False, False)

    def corners(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in a picture of (height, width).

        ValueError where it holds no pixel of the picture or reaches out of it.
        """
        height, width = size
        sides = (width, height, width, height)
        left, top, wide, tall = (
            value * side if share else value
            for value, share, side in zip(self.values, self.shares, sides, strict=True)
        )
        edges = (round(left), round(top), round(left + wide), round(top + tall))
        if edges[2] > width or edges[3] > height:
            raise ValueError(
                f"the box reaches to {edges[2]},{edges[3]}, and the film is {width}x{height}; "
                "make it end inside"
            )
        if edges[2] <= edges[0] or edges[3] <= edges[1]:
            raise ValueError(
                f"the box {wide:g}x{tall:g} at {left:g},{top:g} holds no pixel; give it a size"
            )
        return edges


def box(text: str) -> Box:
    """The box of "x,y,w,h", in pixels or per cent such as "10%,20%,30%,40%"; ValueError else."""
    parts = [part.strip() for part in text.split(",")]
    matches = [_NUMBER.fullmatch(part) for part in parts]
    if len(parts) != 4 or None in matches:
        wrong = next((p for p, m in zip(parts, matches, strict=True) if m is None), text)
        raise ValueError(
            f"the box {text!r} has {wrong!r} where x,y,w,h should be four numbers; "
            'write pixels, such as "40,20,200,100", or shares, such as "10%,20%,30%,40%"'
        )
    shares = [bool(m[2]) for m in matches if m]
    values = [float(m[1]) / (100 if m[2] else 1) for m in matches if m]
    return Box(
        (values[0], values[1], values[2], values[3]), (shares[0], shares[1], shares[2], shares[3])
    )


def in_box(frames: Frames, where: Box) -> Iterator[Region]:
    """The same box in each frame."""
    for frame in frames:
        left, top, right, bottom = where.corners(size_of(frame))
        region = torch.zeros(1, *frame.shape[1:], dtype=torch.bool)
        region[:, top:bottom, left:right] = True
        yield region


def in_picture(frames: Frames, path: str | Path) -> Iterator[Region]:
    """The bright part of a picture, in each frame; ValueError if it has another size."""
    mask = _bright(video.read(path, num_frames=1).frames[0])
    for frame in frames:
        _check_size(mask, frame, path)
        yield mask


def in_film(frames: Frames, path: str | Path) -> Iterator[Region]:
    """The bright part of each frame of a film.

    ValueError if it has another size or ends before the frames do.
    """
    masks = (_bright(clip.frames[0]) for clip in video.stream(path, 1))
    for number, frame in enumerate(frames):
        mask = next(masks, None)
        if mask is None:
            raise ValueError(
                f"the film of masks {path} has {number} frames, and the film has more; "
                "give a mask for each frame"
            )
        _check_size(mask, frame, path)
        yield mask


def grown(region: Region, px: int) -> Region:
    """The region and what is within so many pixels of it; without a rim of so many if negative."""
    if px == 0:
        return region
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(px) + 1,) * 2)
    change = cv2.dilate if px > 0 else cv2.erode
    return torch.from_numpy(np.asarray(change(region[0].numpy().astype(np.uint8), disc)) > 0)[None]


def size_of(frame: Float[Tensor, "3 h w"]) -> tuple[int, int]:
    """Height and width."""
    return int(frame.shape[1]), int(frame.shape[2])


def _bright(frame: Float[Tensor, "3 h w"]) -> Region:
    return frame.mean(0, keepdim=True) > 0


def _check_size(
    mask: Bool[Tensor, "1 h2 w2"], frame: Float[Tensor, "3 h w"], path: str | Path
) -> None:
    if mask.shape[1:] != frame.shape[1:]:
        raise ValueError(
            f"the mask {path} is {mask.shape[2]}x{mask.shape[1]}, and the film is "
            f"{frame.shape[2]}x{frame.shape[1]}; give a mask of the film's size"
        )
