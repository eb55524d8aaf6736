"""Predictions are laid side by side with their names, for the eye: nothing here measures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from kineograph.video.levels import in_bytes

Image = UInt8[np.ndarray, "_ _ 3"]

GAP_PX = 4
PAPER = 255
INK = (30, 30, 30)


def contact_sheet(
    rows: Mapping[str, Float[Tensor, "n c h w"]], columns: Sequence[tuple[str, int]]
) -> Image:
    """One row a predictor, one column a chosen frame given as (label, index), names at the left."""
    pictures = {
        name: to_image_frames(frames[[i for _, i in columns]]) for name, frames in rows.items()
    }
    height, width = next(iter(pictures.values())).shape[1:3]
    margin = max(_text_width(name) for name in rows) + 2 * GAP_PX
    head = [_label(label, width, centred=True) for label, _ in columns]
    lines = [_beside([_blank(head[0].shape[0], margin), *head])]
    for name, frames in pictures.items():
        lines.append(_beside([_label(name, margin, height=height), *frames]))
    return _stacked(lines)


def side_by_side(
    videos: Mapping[str, Float[Tensor, "t c h w"]], border: int | None = None
) -> Float[Tensor, "t 3 h2 w2"]:
    """One film of several, a name above each; from frame `border` on the names say "predicted".

    A shorter film holds its last frame. The result has even sides, as most codecs ask.
    """
    num_frames = max(len(frames) for frames in videos.values())
    films = {name: to_image_frames(frames) for name, frames in videos.items()}
    made = []
    for t in range(num_frames):
        said = "" if border is None else (" (known)" if t < border else " (predicted)")
        made.append(
            _beside(
                [
                    _stacked(
                        [
                            _label(name + said, film.shape[2], centred=True),
                            film[min(t, len(film) - 1)],
                        ]
                    )
                    for name, film in films.items()
                ]
            )
        )
    pixels = rearrange(torch.from_numpy(np.stack(made)), "t h w c -> t c h w") / 127.5 - 1
    height, width = pixels.shape[-2:]
    return F.pad(pixels, (0, width % 2, 0, height % 2), mode="replicate")


def save_png(image: Image, path: Path) -> None:
    """Written aside and renamed, so that no half picture is ever left."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(data.tobytes())
    aside.replace(path)


def to_image_frames(frames: Float[Tensor, "t c h w"]) -> UInt8[np.ndarray, "t h w 3"]:
    """8-bit RGB; one channel is shown as grey."""
    if frames.shape[1] not in (1, 3):
        raise ValueError(f"Only grey or RGB frames can be drawn; got {frames.shape[1]} channels.")
    shown = in_bytes(frames.detach().float()).expand(-1, 3, -1, -1)
    return rearrange(shown, "t c h w -> t h w c").contiguous().cpu().numpy()


def _blank(height: int, width: int) -> Image:
    return np.full((height, width, 3), PAPER, np.uint8)


FONT, SCALE, LINE_PX = cv2.FONT_HERSHEY_SIMPLEX, 0.4, 18


def _text_width(text: str, scale: float = SCALE) -> int:
    return cv2.getTextSize(text, FONT, scale, 1)[0][0]


def _label(text: str, width: int, height: int = LINE_PX, centred: bool = False) -> Image:
    """The text on paper, made smaller if it would not fit."""
    scale = min(SCALE, SCALE * (width - 2) / max(_text_width(text), 1))
    left = (width - _text_width(text, scale)) // 2 if centred else GAP_PX
    at = (max(left, 1), height // 2 + 4)
    return cv2.putText(_blank(height, width), text, at, FONT, scale, INK, 1, cv2.LINE_AA)


def _beside(images: Sequence[Image]) -> Image:
    height = max(image.shape[0] for image in images)
    parts: list[Image] = []
    for image in images:
        padded = np.concatenate([image, _blank(height - image.shape[0], image.shape[1])])
        parts += [padded, _blank(height, GAP_PX)]
    return np.concatenate(parts[:-1], axis=1)


def _stacked(images: Sequence[Image]) -> Image:
    width = max(image.shape[1] for image in images)
    parts: list[Image] = []
    for image in images:
        padded = np.concatenate([image, _blank(image.shape[0], width - image.shape[1])], axis=1)
        parts += [padded, _blank(GAP_PX, width)]
    return np.concatenate(parts[:-1])
