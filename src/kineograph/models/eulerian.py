"""A still picture moves along one field of motion that stays in place, as water and smoke seem to.

Holynski et al., arXiv 2011.15128: each frame blends the picture carried on from the loop's start
with the picture that will arrive at its end, so that no hole opens and the end meets the start.
"""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from kineograph.models.layers import warped
from kineograph.models.motion import flow
from kineograph.video.levels import in_bytes

Field = Float[Tensor, "2 h w"]
"""(dx, dy) in pixels a frame at each place: where what is here goes."""
EDGE_SHARE = 0.03
"""How softly motion ends at the border of a region, as a share of the short side."""


def flowing(
    height: int, width: int, direction: tuple[float, float], region: Bool[Tensor, "1 h w"] | None
) -> Field:
    """The same motion everywhere in the region, dying out at its border."""
    inside = torch.ones(1, height, width) if region is None else region.float()
    if region is not None:
        soft = max(1.0, EDGE_SHARE * min(height, width))
        blurred = cv2.GaussianBlur(inside[0].numpy(), (0, 0), soft)
        inside = torch.from_numpy(np.asarray(blurred))[None] * inside
    return torch.tensor(direction, dtype=torch.float32)[:, None, None] * inside


def zooming(height: int, width: int, speed: float) -> Field:
    """Everything moves away from the middle, by a share of its distance a frame."""
    y = torch.linspace(-1, 1, height)[:, None].expand(height, width) * height / 2
    x = torch.linspace(-1, 1, width)[None].expand(height, width) * width / 2
    return speed * torch.stack([x, y])


def moving_as(frames: Iterable[Float[Tensor, "3 h w"]], height: int, width: int) -> Field:
    """The mean motion of a film, place by place, for a picture of that size.

    ValueError for a film of one frame.
    """
    total, count, before = None, 0, None
    for frame in frames:
        picture = rearrange(in_bytes(frame), "c h w -> h w c").contiguous().numpy()
        if before is not None:
            found = flow(before, picture)  # from where it is, to where it goes
            total = found if total is None else total + found
            count += 1
        before = picture
    if total is None:
        raise ValueError("The film whose motion is wanted has one frame: give 2 or more.")
    h, w = total.shape[-2:]
    smooth = cv2.GaussianBlur((total / count).transpose(1, 2, 0), (0, 0), 2)
    large = cv2.resize(smooth, (width, height)) * np.array([width / w, height / h], np.float32)
    return torch.from_numpy(np.ascontiguousarray(large.transpose(2, 0, 1)))


def animated(
    still: Float[Tensor, "3 h w"], field: Field, num_frames: int, loop: bool
) -> Iterator[Float[Tensor, "3 h w"]]:
    """The still, then the frames after it; with `loop` the last one leads back to the still."""
    onwards = _carried(field, num_frames - 1, -1.0)
    back = list(_carried(field, num_frames - 1, 1.0)) if loop else []
    for n, ahead in enumerate(onwards):
        if n == 0:
            yield still
            continue
        frame = _read(still, ahead)
        if loop:
            share = n / num_frames
            frame = torch.lerp(frame, _read(still, back[num_frames - n]), share)
        yield frame


def _carried(field: Field, num_steps: int, sign: float) -> Iterator[Field]:
    """How far away what is here after n steps was before (sign -1), or will be (sign 1)."""
    places = torch.zeros_like(field)
    for _ in range(num_steps + 1):
        yield places
        step = sign * field
        places = step + warped(places[None], step[None])[0]


def _read(still: Float[Tensor, "3 h w"], at: Field) -> Float[Tensor, "3 h w"]:
    return warped(still[None], at[None], "bicubic")[0].clamp(-1, 1)
