"""Games are played by chance and recorded: whole, exact to the byte, or not at all."""

import importlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from kineograph import video
from kineograph.data import procgen_player, vizdoom
from kineograph.data.actions import Actions, actions_of
from kineograph.data.clips import rng_for
from kineograph.data.episodes import (
    FILM,
    Episodes,
    described,
    load_numbers,
    save_numbers,
)
from kineograph.data.procgen import MOST_SEED, Running, is_procgen
from kineograph.data.vizdoom import is_vizdoom
from kineograph.video.levels import frames_of, in_bytes

MOST_FRAMES = 1_000_000
MOST_BYTES = 8 * 2**30
"""A recording is learned from memory, so this is the most that its frames may take."""
SIZES_PX = (16, 1024)
HELD = (2, 10)
USUAL_FPS = 15.0
FIGURE = "kineograph/Figure-v0"
"""Our own game, which is made known to Gymnasium where it is asked for."""


@dataclass(frozen=True)
class Asked:
    """What is to be recorded. ValueError if that cannot be."""

    game: str
    num_frames: int
    size_px: int
    seed: int

    def __post_init__(self) -> None:
        low, high = SIZES_PX
        if not low <= self.size_px <= high or self.size_px % 16:
            raise ValueError(
                f"A side is a multiple of 16, of {low} to {high} pixels; got {self.size_px}."
            )
        if not 1 <= self.num_frames <= MOST_FRAMES:
            raise ValueError(f"A recording has 1 to {MOST_FRAMES} frames; got {self.num_frames}.")
        if not 0 <= self.seed <= MOST_SEED:
            raise ValueError(f"A seed is 0 to {MOST_SEED}; got {self.seed}.")
        check_memory(self.game, self.num_frames, self.size_px, self.size_px)


@dataclass(frozen=True, eq=False)
class Moment:
    """A frame, what was done at it, and what came of that; cut: broken off, and not over."""

    frame: UInt8[np.ndarray, "h w 3"]
    action: int
    reward: float
    end: bool
    cut: bool = False


@dataclass(frozen=True)
class Player:
    """A game that is being played."""

    actions: tuple[str, ...]
    fps: float
    moments: Iterator[Moment]


def record(
    game: str, out: Path, num_frames: int, size_px: int, seed: int, told: Callable[[], None]
) -> Episodes:
    """Plays a game by chance and writes the folder `out`; `told` is called at every frame.

    `game` is a Gymnasium id, procgen:NAME or vizdoom:NAME. ValueError if it cannot be played or
    written.
    """
    asked = Asked(game, num_frames, size_px, seed)
    with whole_folder(out) as folder, opened(asked) as player:
        played = filmed(player, asked, folder / FILM, told)
        about = {"game": game, "actions": player.actions, "fps": player.fps, "seed": seed}
        save_numbers(folder, played, described(about))
    return played


def load(folder: Path) -> tuple[Episodes, dict[str, str]]:
    """A recording, and what it says of itself. ValueError if it is none, broken or too large."""
    numbers, about = load_numbers(folder)
    path = folder / FILM
    num_frames, info = video.count_frames(path), video.probe(path)
    shapes = {name: part.shape for name, part in numbers.items()}
    if set(shapes.values()) != {(num_frames,)}:
        raise ValueError(f"{folder} has {num_frames} frames, and its numbers are {shapes}.")
    check_memory(str(folder), num_frames, info.height, info.width)
    episodes = Episodes(
        pictures(path, num_frames, info),
        numbers["actions"].astype(np.int64),
        numbers["rewards"].astype(np.float32),
        numbers["ends"].astype(np.bool_),
        int(about["num_actions"]),
        numbers["cuts"].astype(np.bool_),
    )
    return episodes, about


def check_memory(what: str, num_frames: int, height: int, width: int) -> None:
    needed = num_frames * height * width * 3
    if needed > MOST_BYTES:
        raise ValueError(
            f"{num_frames} frames of {width}x{height} of {what} need {needed / 2**30:.1f} GiB, "
            f"and the limit is {MOST_BYTES / 2**30:g}: record fewer, or smaller ones."
        )


def pictures(path: Path, num_frames: int, info: video.VideoInfo) -> UInt8[np.ndarray, "t h w 3"]:
    """All frames of a film, as bytes."""
    frames = np.empty((num_frames, info.height, info.width, 3), np.uint8)
    with video.open_stream(path) as film:
        num_read = 0
        for frame, (rgb, _) in zip(frames, film.rgb(), strict=False):
            frame[:] = in_bytes(rgb).permute(1, 2, 0).numpy()
            num_read += 1
    if num_read < num_frames:
        raise ValueError(f"{path} promises {num_frames} frames, and {num_read} can be read.")
    return frames


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which gets its name when all is written; else nothing is left."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ValueError(f"{out} is there already: give another folder, or remove it first.")
    aside = out.with_name(f".{out.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        aside.replace(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def filmed(player: Player, asked: Asked, path: Path, told: Callable[[], None]) -> Episodes:
    """Plays to the end; each frame goes into the film as it comes."""
    size = asked.size_px
    frames = np.empty((asked.num_frames, size, size, 3), np.uint8)
    moments = []
    with video.Writer(path, width=size, height=size, fps=player.fps, quality="exact") as writer:
        for t, moment in enumerate(player.moments):
            frames[t] = moment.frame
            writer.write(frames_of(frames[t : t + 1]))
            moments.append((moment.action, moment.reward, moment.end, moment.cut))
            told()
    actions, rewards, ends, cuts = zip(*moments, strict=True)
    return Episodes(
        frames,
        np.array(actions, np.int64),
        np.array(rewards, np.float32),
        np.array(ends, np.bool_),
        len(player.actions),
        np.array(cuts, np.bool_),
    )


def opened(asked: Asked) -> AbstractContextManager[Player]:
    return procgen_game(asked) if is_procgen(asked.game) else gymnasium_game(asked)


@contextmanager
def gymnasium_game(asked: Asked) -> Iterator[Player]:
    """A Gymnasium environment, played by actions that are drawn by chance and held."""
    with environment(asked.game) as env:
        actions = actions_of(env, asked.game)
        fps = float(env.metadata.get("render_fps") or USUAL_FPS)
        yield Player(actions.names, fps, moments_of(env, actions, asked))


@contextmanager
def environment(game: str) -> Iterator[Any]:
    """A Gymnasium environment that shows pictures. ValueError if it cannot be played."""
    try:
        import gymnasium
    except ImportError as error:
        raise ValueError(f"{game} needs Gymnasium: pip install 'kineograph[games]'.") from error
    try:
        if game == FIGURE:
            importlib.import_module("kineograph.data.figure").register()
        with (
            vizdoom.opened(game)
            if is_vizdoom(game)
            else closing(gymnasium.make(game, render_mode="rgb_array"))
        ) as env:
            yield env
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(f"{game} cannot be played: {error}") from error


def moments_of(env: Any, actions: Actions, asked: Asked) -> Iterator[Moment]:
    env.reset(seed=asked.seed)
    for action in islice(held(rng_for(asked.seed, 0), len(actions)), asked.num_frames):
        frame = sized(env.render(), asked.game, asked.size_px)
        _, reward, terminated, truncated, _ = env.step(actions.given[action])
        end = bool(terminated)
        yield Moment(frame, action, float(reward), end, bool(truncated) and not end)
        if end or truncated:
            env.reset()


def held(rng: np.random.Generator, count: int) -> Iterator[int]:
    """Actions by chance, each for a while: new ones at every frame would only tremble."""
    while True:
        action = int(rng.integers(count))
        yield from [action] * int(rng.integers(HELD[0], HELD[1] + 1))


def sized(picture: Any, game: str, size_px: int) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of what a game shows, as a square of that size."""
    check_picture(picture, game)
    how = cv2.INTER_LINEAR if min(picture.shape[:2]) < size_px else cv2.INTER_AREA
    size = (size_px, size_px)
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=how))


def check_picture(picture: Any, game: str) -> None:
    shape, kind = getattr(picture, "shape", ()), getattr(picture, "dtype", type(picture))
    if len(shape) != 3 or shape[2] != 3 or kind != np.uint8:
        raise ValueError(f"{game} shows {kind} of {shape}, not RGB pictures of bytes.")


@contextmanager
def procgen_game(asked: Asked) -> Iterator[Player]:
    """A Procgen game, played by `procgen_player`."""
    with closing(Running(asked.game, asked.size_px, asked.seed, asked.num_frames)) as running:
        yield Player(procgen_player.ACTIONS, USUAL_FPS, received(running, asked.num_frames))


def received(running: Running, num_frames: int) -> Iterator[Moment]:
    """What the player writes. ValueError with the last that it said if it breaks off."""
    for _ in range(num_frames):
        one = running.moment()
        yield Moment(one["frame"], int(one["action"]), float(one["reward"]), bool(one["end"]))
