"""The map from one domain to another is learned from two films that show the same things."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from kineograph.data.augment import Augment, Frames
from kineograph.data.clips import ClipOptions, ClipSource
from kineograph.data.loader import Batches
from kineograph.models import weights
from kineograph.models.restorer import Restorer, RestorerShape
from kineograph.train import lessons, restoring, scoring
from kineograph.train.loop import FitResult, fit

SHAPE = RestorerShape(1, 1, (24, 64, 128))
LEAST_FRAMES, LEAST_PX = 2, 32


def learn(
    source: UInt8[np.ndarray, "n h w 3"],
    target: UInt8[np.ndarray, "n2 h2 w2 3"],
    out: Path,
    minutes: float,
    steps: int = 2000,
    seed: int = 0,
) -> tuple[Restorer, FitResult]:
    """A restorer that shows `source` as `target`; resumes what `out` holds.

    ValueError where the two do not match, or are too short or too small.
    """
    if source.shape != target.shape:
        raise ValueError(
            f"The films are {source.shape} and {target.shape} (n, h, w, 3): a pair has frames of "
            "the same number and size, each showing what the other shows."
        )
    if len(source) < LEAST_FRAMES or min(source.shape[1:3]) < LEAST_PX:
        raise ValueError(
            f"The films are {source.shape} (n, h, w, 3): give {LEAST_FRAMES} frames or more, of "
            f"{LEAST_PX} px a side or more."
        )
    side = min(128, min(source.shape[1:3]) // 8 * 8)
    options = ClipOptions(2, side, (1,), (1.0,), Augment(upside_down=0.0, reverse=0.5, colour=0.0))
    both = ClipSource(np.concatenate([source, target], -1), [(0, len(source))], options)
    batches = Batches(both, 8, seed=seed, prepare=paired)
    torch.manual_seed(seed)
    net = Restorer(SHAPE)
    how = restoring.options_of(steps, minutes, 1.5e-3, seed)
    result = fit(net, scoring.restored, batches, how, out)
    restoring.take_mean_weights(net, out)
    return net.eval().requires_grad_(False), result


def paired(clip: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Six channels are a pair: three of the one domain, three of the other."""
    return lessons.translated(clip[..., :3], clip[..., 3:], rng)


def save(net: Restorer, path: Path, result: FitResult, names: tuple[str, str]) -> None:
    """Writes the map with its card."""
    about = {"from": names[0], "to": names[1], "steps": result.step, "seconds": result.seconds}
    weights.save(net, path, {"recipe": f"{__name__}.learn", **about, "loss": result.loss})


def ship_edges(run: Path, result: FitResult) -> Path:
    """The map from drawn edges to pictures that a run of the lesson `edges` made."""
    net, path = Restorer(SHAPE), run / "edges.safetensors"
    restoring.take_mean_weights(net, run)
    save(net, path, result, ("edges", "pictures"))
    return path
