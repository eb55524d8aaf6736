"""Recorded games: films with what was done at each frame, and what came of it.

A recording is a folder of a film that any player shows, exact to the byte, and one file of numbers.
"""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from kineograph.data.actions import MOST_ACTIONS
from kineograph.data.clips import rng_for
from kineograph.data.loader import Arrays, Batch, handed_out

FILM, NUMBERS = "frames.mkv", "played.safetensors"
AT_THE_END = 0.1
"""How often a window lies at an episode's end, which is rare and must be learned."""
PLATE_AT = (0, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""After how many frames of an episode what stands still in it is looked for again."""
EARLIER = 0.3
"""How often a window is shown an older plate than it could be."""
NUM_LOOKED_AT = 15


@dataclass(frozen=True, eq=False)
class Episodes:
    """Games one after the other: at each frame, what was done, and what came of that.

    ends: whether the game was over with that action; cuts: whether it was broken off there, though
    it would have gone on. After either the next frame belongs to another episode.
    """

    frames: UInt8[np.ndarray, "t h w 3"]
    actions: Int64[np.ndarray, " t"]
    rewards: Float[np.ndarray, " t"]
    ends: Bool[np.ndarray, " t"]
    num_actions: int
    cuts: Bool[np.ndarray, " t"] | None = None

    def __post_init__(self) -> None:
        parts = (self.frames, self.actions, self.rewards, self.ends, self.last)
        lengths = {len(part) for part in parts}
        if len(lengths) > 1:
            raise ValueError(f"A recording's parts differ in length: {sorted(lengths)}.")
        if not 1 <= self.num_actions <= MOST_ACTIONS:
            raise ValueError(f"A game has 1 to {MOST_ACTIONS} actions; got {self.num_actions}.")
        if len(self.actions) and not 0 <= self.actions.min() <= self.actions.max() < (
            self.num_actions
        ):
            raise ValueError(
                f"Actions are 0 to {self.num_actions - 1}; the recording has "
                f"{self.actions.min()} to {self.actions.max()}."
            )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def last(self) -> Bool[np.ndarray, " t"]:
        """Whether an episode's last frame is there, for whatever reason."""
        return self.ends if self.cuts is None else self.ends | self.cuts

    def spans(self) -> list[tuple[int, int]]:
        """Each episode as a half-open range of frames; the last may be cut off."""
        stops = [int(n) + 1 for n in np.flatnonzero(self.last)]
        stops += [] if stops and stops[-1] == len(self) else [len(self)]
        return [(a, b) for a, b in zip([0, *stops], stops, strict=False) if b > a]


def joined(recordings: Sequence[Episodes]) -> Episodes:
    """Several recordings of the same game as one. ValueError if they are of different ones."""
    if not recordings:
        raise ValueError("There is no recording to learn from: record one first.")
    kinds = {(r.num_actions, r.frames.shape[1:]) for r in recordings}
    if len(kinds) > 1:
        raise ValueError(f"These recordings are of different games or sizes: {sorted(kinds)}.")
    cuts = [np.append(r.last[:-1], True) & ~r.ends for r in recordings]
    return Episodes(
        np.concatenate([r.frames for r in recordings]),
        np.concatenate([r.actions for r in recordings]),
        np.concatenate([r.rewards for r in recordings]),
        np.concatenate([r.ends for r in recordings]),
        recordings[0].num_actions,
        np.concatenate(cuts),
    )


def save_numbers(folder: Path, played: Episodes, about: dict[str, str]) -> None:
    """What was done and what came of it, written aside and then renamed."""
    numbers = {
        "actions": played.actions.astype(np.int64),
        "rewards": played.rewards.astype(np.float32),
        "ends": played.ends.astype(np.bool_),
        "cuts": played.last & ~played.ends,
    }
    aside = folder / f".{NUMBERS}.part"
    save_file(numbers, aside, {**about, "num_actions": str(played.num_actions)})
    aside.replace(folder / NUMBERS)


def load_numbers(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The numbers of a recording, and what is said about it. ValueError if it is none."""
    path = folder / NUMBERS
    try:
        with safe_open(path, "numpy") as file:
            held = {name: file.get_tensor(name) for name in ("actions", "rewards", "ends")}
            held["cuts"] = (
                file.get_tensor("cuts") if "cuts" in file.keys() else np.zeros_like(held["ends"])  # noqa: SIM118
            )
            about = dict(file.metadata() or {})
        int(about["num_actions"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{folder} holds no recording of a game: {path.name}: {error}") from error
    return held, about


@dataclass(frozen=True)
class Windows:
    """Random windows of episodes: `num_past` frames, then what came of `num_steps` actions.

    Window `i` is always the same one. Where an episode ends within a window, frames after it are
    not there (`there` is 0), but its reward and its end are.
    """

    played: Episodes
    num_past: int
    num_steps: int
    batch_size: int
    seed: int = 0
    num_workers: int = 2
    num_ahead: int = 3

    def __post_init__(self) -> None:
        if not self.usable:
            raise ValueError(
                f"No episode is as long as {self.num_past + self.num_steps} frames: record longer "
                "ones."
            )

    @cached_property
    def usable(self) -> list[tuple[int, int]]:
        """The episodes that are long enough."""
        long = self.num_past + self.num_steps
        return [span for span in self.played.spans() if span[1] - span[0] >= long]

    def __call__(self, position: int = 0) -> Generator[Batch, None, None]:
        return handed_out(self, position)

    def arrays(self, position: int) -> Arrays:
        """One batch as arrays."""
        first = position * self.batch_size
        windows = [self.one(index) for index in range(first, first + self.batch_size)]
        return {name: np.stack([w[name] for w in windows]) for name in windows[0]}

    def one(self, index: int) -> Arrays:
        rng = rng_for(self.seed, index)
        spans = self.usable
        lengths = np.array([b - a for a, b in spans], dtype=np.float64)
        start, stop = spans[int(rng.choice(len(spans), p=lengths / lengths.sum()))]
        latest = stop - self.num_past - self.num_steps + 1
        at_the_end = rng.random() < AT_THE_END and self.played.ends[stop - 1]
        at = latest if at_the_end else int(rng.integers(start, latest + 1))
        seen = [plate for since, plate in self.plates[start] if start + since <= at]
        which = int(rng.integers(len(seen))) if rng.random() < EARLIER else len(seen) - 1
        return {**window(self.played, at, stop, self), "plate": seen[which]}

    @cached_property
    def plates(self) -> dict[int, list[tuple[int, UInt8[np.ndarray, "3 h w"]]]]:
        """For the first frame of each episode: its plates, and after how many frames they are."""
        return {
            start: [
                (since, plate_of(self.played.frames[start : start + since + 1]))
                for since in PLATE_AT
                if start + since < stop
            ]
            for start, stop in self.usable
        }


def plate_of(frames: UInt8[np.ndarray, "t h w 3"]) -> UInt8[np.ndarray, "3 h w"]:
    """The clean plate: what stood there all along, as far as these frames show it."""
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), NUM_LOOKED_AT)).round().astype(int)
    middle = len(chosen) // 2
    plate = np.partition(frames[chosen], middle, axis=0)[middle]
    return np.ascontiguousarray(np.moveaxis(plate, -1, 0))


def window(played: Episodes, at: int, stop: int, shape: Windows) -> Arrays:
    """The window from a frame on, of an episode that stops there."""
    frames = np.arange(at, at + shape.num_past + shape.num_steps)
    done = slice(at + shape.num_past - 1, at + shape.num_past - 1 + shape.num_steps)
    shown = played.frames[np.minimum(frames, stop - 1)]
    return {
        "frames": np.ascontiguousarray(np.moveaxis(shown, -1, 1)),
        "indices": np.array(at),
        "actions": played.actions[done],
        "rewards": played.rewards[done].astype(np.float32),
        "ends": played.ends[done].astype(np.float32),
        "there": (frames[shape.num_past :] < stop).astype(np.float32),
    }


def described(about: dict[str, object]) -> dict[str, str]:
    """What a recording says of itself, as its file holds it."""
    return {"about": json.dumps(about)}


def told(about: dict[str, str]) -> dict[str, Any]:
    """The same, read back; nothing where it says nothing."""
    return json.loads(about.get("about", "{}"))
