"""A lesson is a question to a restorer: its shape, and clips that are spoiled to ask it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, UInt8

from kineograph.data import degrade
from kineograph.data.augment import Frames
from kineograph.data.loader import Arrays, Prepare, Reuse
from kineograph.models import ahead, carried, weights
from kineograph.models.ahead import Ahead
from kineograph.models.aligned import last_frame
from kineograph.models.between import NUM_BETWEEN, between, flows_of
from kineograph.models.candidates import NUM_SOURCES
from kineograph.models.guess import guess_of
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.net import Kineo, answered
from kineograph.models.restorer import Restorer, RestorerShape
from kineograph.models.uncover import NUM_UNCOVERED, uncovered
from kineograph.models.weigh import Weigher
from kineograph.train import scoring
from kineograph.train.recipes import WEIGHED_WORN_SHARE, worn
from kineograph.train.watch import Objective
from kineograph.video.levels import frames_of

NUM_ASKED = 4
"""Frames of a clip that are asked for, where carrying through all of it is half of the work."""
LED_SHARE = 0.5
"""How often a frame to be translated comes with the one before, translated."""


@dataclass(frozen=True)
class Lesson:
    """A network's question: how it is shaped, how long the clips are, and what it is shown.

    shape: of a restorer; None for what foresees. bias: the odds with which pictures begin.
    objective: what it learns by. watched: the numbers to watch it by.
    """

    shape: RestorerShape | None
    num_frames: int
    prepare: Prepare
    steps: int
    size_px: int = 128
    batch_size: int = 8
    learning_rate: float = 1.5e-3
    bias: tuple[float, ...] = ()
    reuse: Reuse | None = None
    objective: Objective = scoring.restored
    watched: tuple[tuple[str, Objective], ...] = (("log-error", scoring.restored),)
    faults: str = ""


def shown_carried(
    given: Frames, wanted: Frames, told: list[float], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """What a restorer is shown of some frames of a clip, and what it should say."""
    seen = [carried.Seen.of(picture) for picture in given]
    behind, ahead = carried.carried(seen), carried.carried(seen[::-1])[::-1]
    asked = rng.choice(len(seen), NUM_ASKED, replace=False).tolist()
    shown = [carried.shown(behind[n], ahead[n]) for n in asked]
    return {
        "own": given[asked],
        "made": np.stack([made for made, _ in shown]),
        "doubt": np.stack([doubt for _, doubt in shown]),
        "told": np.array([[seen[n].noise / 25, *told] for n in asked], np.float32),
        "truth": wanted[asked],
    }


def dirty(clip: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Noise, compression and blur to be taken away."""
    spoiled = degrade.dirtied(clip, rng)
    return shown_carried(spoiled.given, spoiled.wanted, [float(spoiled.sharpened)], rng)


def small(clip: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Few pixels to be made many: two or four times as many a side."""
    scale = 2 if rng.random() < 0.3 else 4
    few = degrade.shrunk(clip, scale, rng)
    size = clip.shape[2], clip.shape[1]
    many = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_CUBIC) for f in few])
    return shown_carried(many, clip, [scale / 4], rng)


def missing(clip: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A frame that lies between two others: halfway, or a third of the way."""
    span = 2 if rng.random() < 0.75 else 3
    first = int(rng.integers(0, len(clip) - 3 * span))
    known = [clip[first + n * span] for n in range(4)]
    at = int(rng.integers(1, span))
    outer = rng.random() < 0.9  # at cuts and at the ends of films they are missing
    flows = flows_of(known if outer else [None, *known[1:3], None])
    found = between(known[1], known[2], flows, at / span)
    return {
        "own": found.blend,
        "made": found.made,
        "doubt": found.doubt,
        "told": np.array([at / span], np.float32),
        "truth": clip[first + span + at],
    }


def translated(source: Frames, target: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The second frame of one domain, to be shown in another; mostly led by the first one there."""
    led = rng.random() < LED_SHARE
    before = (source[0], target[0]) if led else (source[1], source[1])
    made, doubt = last_frame(source[1], *before)
    return {
        "own": source[1],
        "made": made[None],
        "doubt": doubt[None],
        "told": np.array([float(led)], np.float32),
        "truth": target[1],
    }


def grey(clip: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A grey frame to be coloured."""
    light = [np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)) for f in clip]
    return translated(np.stack([np.repeat(x[..., None], 3, 2) for x in light]), clip, rng)


def edges(clip: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A drawing of a frame's edges, to be made a picture: the example of a paired domain."""
    return translated(np.stack([drawn(f) for f in clip]), clip, rng)


def drawn(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Dark lines on white where the picture has edges (Canny 1986)."""
    lines = cv2.Canny(cv2.GaussianBlur(picture, (0, 0), 0.8), 60, 140)
    return np.repeat(255 - np.asarray(lines)[..., None], 3, 2)


def holed(clip: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """All frames of a clip with a hole that moves through it."""
    holes = random_holes(len(clip), clip.shape[1], clip.shape[2], rng)
    given = [
        np.where(o[..., None], 128, f).astype(np.uint8) for f, o in zip(clip, holes, strict=True)
    ]
    wanted = range(len(clip))
    shown = uncovered(given, list(holes), wanted)
    return {
        "own": np.stack([shown[n][0][-1] for n in wanted]),
        "trust": np.stack([np.where(holes[n], 0, 255).astype(np.uint8) for n in wanted]),
        "made": np.stack([shown[n][0] for n in wanted]),
        "doubt": np.stack([shown[n][1] for n in wanted]),
        "told": np.stack([np.array([holes[n].mean()], np.float32) for n in wanted]),
        "truth": clip,
        "hole": holes,
    }


def random_holes(
    num_frames: int, height: int, width: int, rng: np.random.Generator
) -> Bool[np.ndarray, "t h w"]:
    """A box or an ellipse that moves, a band that stays at an edge, or scratches that tremble."""
    kind, size = rng.random(), np.array([width, height])
    holes = np.zeros((num_frames, height, width), np.uint8)
    side = size * np.sqrt(rng.uniform(0.04, 0.4)) * np.exp(rng.uniform(-0.3, 0.3, 2))
    speed = rng.normal(0, 0.02, 2) * size * (rng.random() < 0.85)
    start = rng.uniform(0.2, 0.8, 2) * size
    for hole, step in zip(holes, range(num_frames), strict=True):
        at = start + step * speed
        at = size - np.abs(size - np.abs(at) % (2 * size))  # it turns back at the edges
        low, high = np.rint(at - side / 2).astype(int), np.rint(at + side / 2).astype(int)
        if kind < 0.6:
            cv2.rectangle(hole, low.tolist(), high.tolist(), 1, -1)
        elif kind < 0.8:
            middle, half = np.rint(at).astype(int), np.maximum(1, side / 2).astype(int)
            cv2.ellipse(hole, middle.tolist(), half.tolist(), 0, 0, 360, 1, -1)
        elif kind < 0.9:
            across = int(width * (0.05 + 0.2 * abs(np.sin(start[0]))))
            hole[:, :across] = 1
            hole[:, width - across :] = 1
        else:
            for _ in range(3):
                x = int(np.clip(start[0] + rng.normal(0, 0.1) * width, 0, width - 3))
                hole[:, x : x + 2] = 1
    return holes.astype(bool)


def to_come(weigher: Weigher, clip: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The frames that follow 8 known ones, guessed."""
    frames = frames_of(clip)[None]
    known = frames[:, :NUM_KNOWN]
    horizons = range(1, len(clip) - NUM_KNOWN + 1)
    said = answered(weigher, known[:, -NUM_SOURCES:], guess_of(known), horizons)
    coming = ahead.coming_of(known, said, horizons)
    shown = coming.shown
    return {
        "path": coming.path.half().numpy(),
        "own": rearrange(shown.own, "n c h w -> n h w c").numpy(),
        "made": rearrange(shown.made, "n k c h w -> n k h w c").numpy(),
        "doubt": shown.doubt.numpy(),
        "told": shown.told.numpy(),
        "truth": clip[NUM_KNOWN:],
    }


def some_frames(made: Arrays, rng: np.random.Generator) -> Arrays:
    """Of the frames that are asked for, a few at random."""
    chosen = np.sort(rng.choice(len(made["truth"]), NUM_ASKED, replace=False))
    kept = {name: value[chosen] for name, value in made.items() if name not in NOT_BY_FRAME}
    return {"frames": made["frames"], **kept}


NOT_BY_FRAME = ("frames", "indices")


def follows(clip: Frames, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The same with the shipped weigher, some clips being worn."""
    return to_come(shipped_weigher(), worn(clip, rng, WEIGHED_WORN_SHARE), rng)


@lru_cache(maxsize=1)
def shipped_weigher() -> Weigher:
    model = weights.load()
    assert isinstance(model, Kineo)
    return model.weigh


CARRIED = RestorerShape(2, 2, (24, 48, 96), (3, 5))
LOG_CAP = float(np.log(carried.CAP))
"""At this bias each picture begins with a weight of as many frames as it counts for."""

LESSONS: Mapping[str, Lesson] = {
    "clean": Lesson(
        CARRIED,
        17,
        dirty,
        3200,
        batch_size=4,
        bias=(LOG_CAP, LOG_CAP),
        faults="fine texture that noise hides comes back soft",
    ),
    "between": Lesson(
        RestorerShape(NUM_BETWEEN, 1),
        10,
        missing,
        600,
        learning_rate=3e-4,
        bias=(-3.0,) * NUM_BETWEEN,
        faults="as good as its classical start, and no better",
    ),
    "fill": Lesson(
        RestorerShape(NUM_UNCOVERED, 1, (24, 48, 96), (3, 5)),
        20,
        holed,
        2500,
        batch_size=2,
        learning_rate=5e-4,
        reuse=Reuse(times=5, pool=48, choose=some_frames),
        objective=scoring.filled_in,
        bias=(0.0, 0.0, -1.2, -1.2, 0.0, 0.0),
        faults="what was never in sight is soft",
    ),
    "colour": Lesson(
        RestorerShape(1, 1, (24, 64, 128)),
        2,
        grey,
        1200,
        bias=(1.0,),
        faults="a faint tint instead of true colours",
    ),
    "edges": Lesson(RestorerShape(1, 1, (24, 64, 128)), 2, edges, 1200, bias=(-1.0,)),
    ahead.NAME: Lesson(
        None,
        16,
        follows,
        600,
        batch_size=4,
        reuse=Reuse(times=6, pool=64, choose=some_frames),
        objective=scoring.foreseen,
        watched=(("log-error", scoring.foreseen_mean), ("edges", scoring.foreseen_sample)),
        faults="softens what it cannot foretell",
    ),
    "enlarge": Lesson(
        RestorerShape(2, 2, (32, 64, 96)),
        13,
        small,
        2400,
        batch_size=4,
        bias=(-1.0, -1.0),
        faults="invents no detail: very small pictures stay soft",
    ),
}


def begun(lesson: Lesson) -> Restorer | Ahead:
    """A network that answers as the classical method does."""
    torch.manual_seed(0)
    if lesson.shape is None:
        return Ahead()
    model = Restorer(lesson.shape)
    model.bias.data.copy_(torch.tensor(lesson.bias))
    return model
