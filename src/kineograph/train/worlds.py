"""Worlds are learned from recorded games in two stages: a few frames ahead, then further."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from kineograph.answer.dream import Dream, Start, starts_of
from kineograph.data import recording
from kineograph.data.episodes import Episodes, Windows, joined, plate_of, told
from kineograph.data.loader import Batch
from kineograph.models import weights
from kineograph.models.world import World, WorldShape
from kineograph.train import checkpoint, dreaming
from kineograph.train.dreaming import Studied, Study
from kineograph.train.loop import FitOptions, FitResult, fit
from kineograph.train.watch import HeldOut
from kineograph.video.levels import from_levels

LUCKS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
NUM_DREAMED, DREAMED_FRAMES, HELD_FRAMES = 4, 150, 7
APART_LEVELS = 24
HELD_OUT_SHARE, NUM_WATCHED = 0.2, 96
NUM_STARTS, START_AT = 8, 80
"""Moments to play from, and how long after an episode's beginning they are at best."""
KEPT = ("starts", "plates")
STEPS = 10**6
"""More than any run takes: minutes end it."""


@dataclass(frozen=True)
class Stage:
    """A part of a run: how many frames it foretells at a time, of how many windows, for how long.

    share: of the minutes.
    """

    num_steps: int
    batch_size: int
    learning_rate: float
    share: float


@dataclass(frozen=True)
class Course:
    """How a world is learned. device: "auto" takes a GPU where there is one. stages: by default
    those that suit the device. channels: by default as many as there is time for. ways: how many
    luck has, 0 for numbers."""

    minutes: float
    seed: int = 0
    device: str = "auto"
    stages: tuple[Stage, ...] = ()
    channels: tuple[int, int, int] | None = None
    ways: int = 16

    def __post_init__(self) -> None:
        if self.minutes <= 0:
            raise ValueError(f"Learning takes more than 0 minutes; got {self.minutes}.")

    @property
    def place(self) -> str:
        """The device that is meant."""
        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def widths(self) -> tuple[int, int, int]:
        """The channels that are meant: a processor learns less in the same time by more of them."""
        if self.channels is not None:
            return self.channels
        return SLIM if self.place == "cpu" and self.minutes < LONG_MINUTES else BROAD

    @property
    def taken(self) -> tuple[Stage, ...]:
        """The stages that are meant."""
        return self.stages or (WIDE if self.place == "cuda" else NARROW)


SLIM, BROAD, LONG_MINUTES = (32, 64, 128), (80, 160, 320), 180.0
NARROW = (Stage(3, 8, 1e-3, 0.4), Stage(6, 4, 6e-4, 0.6))
WIDE = (Stage(3, 64, 1e-3, 0.4), Stage(6, 64, 6e-4, 0.6))
"""For a processor, and for a GPU."""


@dataclass(frozen=True, eq=False)
class LearnedWorld:
    """A world, and what its card says of it: dB at the next frame of what was held out."""

    world: World
    numbers: dict[str, Any]


def learn(recordings: Sequence[Episodes], how: Course, out: Path) -> LearnedWorld:
    """Learns a world; goes on where a run in `out` was stopped. ValueError for unfit recordings.

    The last fifth of the episodes is held out. The mean weights are what is kept.
    """
    learned, held = parted(joined(recordings))
    height, width = learned.frames.shape[1:3]
    shape = WorldShape(learned.num_actions, height, width, channels=how.widths, ways=how.ways)
    torch.manual_seed(how.seed)
    model = Studied(World(shape), 1)
    watched = watched_on(held, shape)
    results = [
        _stage(model, learned, watched, how, number, stage_folder(out, number))
        for number in range(len(how.taken))
    ]
    model.cpu().load_state_dict(_mean_of(stage_folder(out, len(how.taken) - 1)))
    world = with_starts(model.world.eval(), learned)
    numbers = numbers_of(model, held, learned, results)
    return LearnedWorld(world, {**numbers, "luck": lively(world, watched.batches[0])})


@dataclass(frozen=True)
class Shipped:
    """A world that travels in the package: its game, what is recorded of it, for how long it is
    learned on a GPU."""

    name: str
    game: str
    seeds: tuple[int, ...]
    num_frames: int
    minutes: float
    ways: int


SHIPPED = {
    "fish": Shipped(weights.SHIPPED_WORLD, "procgen:bigfish", tuple(range(1, 15)), 2800, 5.0, 0),
    "figure": Shipped(weights.SHIPPED_FIGURE, recording.FIGURE, tuple(range(1, 17)), 3500, 6.0, 16),
}
"""Procgen's bigfish (code MIT, art CC0 and CC-BY), and our own figure."""
AS_LONG_ON_A_CPU = 96


def shipped(recipe: str, out: Path, minutes: float | None = None) -> Path:
    """Records and learns one of SHIPPED; gives its file.

    A few minutes on a large GPU, where one is; else as many hours and more. ValueError if the game
    is not there to be recorded.
    """
    made = SHIPPED[recipe]
    folders = [out / "recordings" / str(seed) for seed in made.seeds]
    for seed, folder in zip(made.seeds, folders, strict=True):
        if not folder.exists():
            recording.record(made.game, folder, made.num_frames, 128, seed, lambda: None)
    loaded = [recording.load(folder) for folder in folders]
    longer = 1 if torch.cuda.is_available() else AS_LONG_ON_A_CPU
    how = Course(minutes or made.minutes * longer, ways=made.ways)
    learned = learn([played for played, _ in loaded], how, out)
    about = told(loaded[0][1])
    card = {"name": made.name, "recipe": f"{__name__}.{recipe}", **about, **learned.numbers}
    path = out / f"{made.name}.safetensors"
    weights.save(learned.world, path, card, small=True)
    return path


def stage_folder(out: Path, number: int) -> Path:
    """Where the run of a stage is, counted from 0."""
    return out / f"stage-{number + 1}"


def _stage(
    model: Studied, played: Episodes, watched: HeldOut, how: Course, number: int, out: Path
) -> FitResult:
    stage = how.taken[number]
    windows = Windows(
        played,
        model.world.shape.num_past,
        stage.num_steps,
        stage.batch_size,
        how.seed + number,
        num_workers=2 if how.place == "cpu" else 6,
    )
    options = FitOptions(
        steps=STEPS,
        minutes=how.minutes * stage.share,
        timed=True,
        learning_rate=stage.learning_rate,
        warmup_steps=60,
        ema_decay=0.998,
        held_out_every=200,
        checkpoint_every=200,
        keep=1,
        device=how.place,
        seed=how.seed,
    )
    return fit(
        model,
        Study(judged=False),
        windows,
        options,
        out,
        held_out=watched,
        optimizer=lambda m: dreaming.optimizer(m, stage.learning_rate),
    )


def _mean_of(out: Path) -> dict[str, Tensor]:
    saved = checkpoint.load_latest(out / "checkpoints")
    assert saved is not None
    return saved.ema


def parted(played: Episodes) -> tuple[Episodes, Episodes]:
    """The first four fifths of the episodes, and the rest. ValueError for fewer than two."""
    spans = played.spans()
    if len(spans) < 2:
        raise ValueError(
            f"A world is learned from 2 episodes or more, one of them held out; got {len(spans)}."
        )
    at = spans[min(len(spans) - 1, int(np.ceil(len(spans) * (1 - HELD_OUT_SHARE))))][0]
    return _cut(played, slice(0, at)), _cut(played, slice(at, None))


def _cut(played: Episodes, part: slice) -> Episodes:
    return Episodes(
        played.frames[part],
        played.actions[part],
        played.rewards[part],
        played.ends[part],
        played.num_actions,
        None if played.cuts is None else played.cuts[part],
    )


def watched_on(held: Episodes, shape: WorldShape) -> HeldOut:
    """Windows of what is held out, spread over it."""
    windows = Windows(held, shape.num_past, 1, NUM_WATCHED, seed=5, num_workers=0)
    return HeldOut([next(iter(windows(0)))], {"next": dreaming.next_frame}, _said)


def _said(numbers: Any) -> str:
    return f"next frame {-numbers['next']:.2f} dB"


def numbers_of(
    model: nn.Module, held: Episodes, learned: Episodes, results: Sequence[FitResult]
) -> dict[str, Any]:
    """What the card says."""
    assert isinstance(model, Studied)
    batch = watched_on(held, model.world.shape).batches[0]
    copied = copy_last(batch, model.world.shape.num_past)
    with torch.no_grad():
        next_frame = -dreaming.next_frame(model.eval(), batch, torch.Generator())[0]
    return {
        "data": f"{len(learned)} frames of {len(learned.spans())} episodes; held out: "
        f"{len(held)} of {len(held.spans())}",
        "steps": [result.step for result in results],
        "seconds": round(sum(result.seconds for result in results), 1),
        "loss": round(results[-1].loss, 3),
        "next_frame_db": round(float(next_frame), 2),
        "copy_last_db": round(float(copied), 2),
    }


def copy_last(batch: Batch, num_past: int) -> Tensor:
    """The dB of the last frame as it is."""
    frames = from_levels(batch.frames)
    there = batch.extra["there"][:, 0]
    return dreaming.decibels(frames[:, num_past - 1], frames[:, num_past], there)


def with_starts(world: World, played: Episodes) -> World:
    """The world with moments to play from, spread over the episodes: long after their beginnings,
    so that what stands still is known, and not at their ends."""
    num_past, spans = world.shape.num_past, played.spans()
    long = [span for span in spans if span[1] - span[0] > START_AT + num_past] or spans
    chosen = [
        long[n] for n in np.linspace(0, len(long) - 1, min(NUM_STARTS, len(long))).astype(int)
    ]
    ends = [max(a + num_past, min(a + START_AT, (a + b) // 2 + num_past)) for a, b in chosen]
    starts = [played.frames[end - num_past : end] for end in ends]
    plates = [plate_of(played.frames[a:end]) for (a, _), end in zip(chosen, ends, strict=True)]
    made = World(replace(world.shape, num_starts=len(starts)))
    made.load_state_dict(
        {k: v for k, v in world.state_dict().items() if k not in KEPT}, strict=False
    )
    made.starts = torch.from_numpy(np.moveaxis(np.stack(starts), -1, 2).copy())
    made.plates = torch.from_numpy(np.stack(plates))
    return made.eval()


def lively(world: World, watched: Batch) -> float:
    """With how much luck dreams are as full of things as the game is: what comes now and then is
    far from the likeliest, so that at 1 too little comes."""
    plates, frames = watched.extra["plate"], watched.frames[:, world.shape.num_past - 1]
    wanted = fullness(frames.numpy(), plates.numpy())
    dream, starts = Dream(world), starts_of(world)[:NUM_DREAMED]
    found = {luck: np.mean([dreamed(dream, start, luck) for start in starts]) for luck in LUCKS}
    return min(found, key=lambda luck: abs(found[luck] - wanted))


def dreamed(dream: Dream, start: Start, luck: float) -> float:
    """How full a dream is from then on, played by chance."""
    rng, dream.luck, seen = np.random.default_rng(0), luck, []
    dream.begin(start)
    for number in range(DREAMED_FRAMES):
        if number % HELD_FRAMES == 0:
            action = int(rng.integers(dream.shape.num_actions))
        seen.append(dream.step(action).frame)
    return fullness(np.stack(seen[DREAMED_FRAMES // 3 :]), dream.plate)


def fullness(frames: UInt8[np.ndarray, "*n 3 h w"], plates: UInt8[np.ndarray, "*m 3 h w"]) -> float:
    """The share of pixels that are not what stands there all along."""
    apart = np.abs(frames.astype(np.int16) - plates.astype(np.int16))
    return float((apart.max(-3) > APART_LEVELS).mean())
