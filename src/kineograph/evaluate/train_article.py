"""`python -m kineograph.evaluate.train_article` trains the article's model on our own footage."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
import tyro
from jaxtyping import Float, UInt8
from torch import Tensor

from kineograph.data import footage, shots
from kineograph.data.clips import ClipOptions, ClipSource
from kineograph.evaluate import article
from kineograph.train import precision
from kineograph.video.levels import frames_of

SEED = 0
FAULTS = (
    "blurred: a frame passes through 96 numbers, so that fine detail and thin edges are lost; "
    "each next frame of a rollout is made from blurred ones and fades further; "
    "trained on one film"
)


@dataclass(frozen=True)
class Windows(Sequence[Float[Tensor, "4 3 128 128"]]):
    """Levels of 8 bits are kept, and a window becomes floats in [-1, 1] when it is asked for."""

    levels: UInt8[np.ndarray, "n 4 128 128 3"]

    def __len__(self) -> int:
        return len(self.levels)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(index, slice):
            return Windows(self.levels[index])
        return frames_of(self.levels[index])


def film_windows(film: UInt8[np.ndarray, "n h w 3"], count: int, seed: int = SEED) -> Windows:
    """A fixed list of v1, v2, v3, v4 from the shots that `recipes.small` trains on."""
    options = ClipOptions(article.NUM_KNOWN + 1, article.SIZE_PX, (1,), (1.0,))
    source = ClipSource(film, shots.learnt_shots(), options)
    levels = np.empty((count, options.num_frames, *(options.size_px,) * 2, 3), np.uint8)
    for index in range(count):
        levels[index] = source(seed, index)
    return Windows(levels)


def main(
    to: Path = article.SHIPPED,
    windows: int = 6_000,
    epochs: int = 10,
    number_format: precision.Format = "bf16",
) -> None:
    """Ten epochs in batches of 32, in some minutes of two CPU cores; writes the weights to `to`."""
    start = time.perf_counter()
    losses: list[float] = []

    def heard(epoch: int, loss: float) -> None:
        losses.append(round(loss, 5))
        print(f"epoch {epoch}: loss {loss:.5f}, {time.perf_counter() - start:.0f} s", flush=True)

    seen = film_windows(footage.fetch("bbb"), windows)
    generator = torch.Generator().manual_seed(SEED)
    model = article.train_article(seen, generator, epochs, 32, heard, number_format)
    card = {
        "name": "article",
        "recipe": "kineograph.evaluate.train_article",
        "data": "Big Buck Bunny (CC-BY 3.0, Blender Foundation), the training shots of kineo-small "
        "without simulated motion; last fifth of shots held out",
        "windows": windows,
        "epochs": epochs,
        "steps": epochs * -(-windows // 32),
        "seconds": round(time.perf_counter() - start, 1),
        "precision": f"{number_format} products; weights and loss fp32; shipped fp16",
        "seed": SEED,
        "losses": losses,
        "faults": FAULTS,
    }
    article.save_article(model, to, card)
    print(f"Wrote {to}")


if __name__ == "__main__":
    tyro.cli(main)
