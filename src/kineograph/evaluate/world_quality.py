"""How good a world is: at the next frame of levels that it never saw, at obeying, and at lasting.

What cannot be measured is a sentence that says why.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import UInt8

from kineograph.answer.beside import psnr_db
from kineograph.answer.dream import Dream, Moment, Start, starts_of
from kineograph.data import recording
from kineograph.data.episodes import Episodes, Windows
from kineograph.evaluate.obeying import Found, Obeyed, figure, fish, obeyed
from kineograph.models.world import World
from kineograph.train.worlds import fullness

HELD_OUT_SEED, HELD_OUT_FRAMES, NUM_WINDOWS = 101, 2000, 300
"""No shipped world was learned from levels of this seed."""
MOST_DB = 56.0
"""What a frame counts for that is foretold to the byte."""
NUM_DREAMS, DREAMED_FRAMES, HELD_FRAMES, LOOKED_AT = 4, 1000, 7, 100
SEEDS = (0, 1, 2)
SCRIPTS: dict[str, Found] = {"procgen:bigfish": fish, recording.FIGURE: figure}
"""How to find what is played, in games where it can be told from the rest."""


@dataclass(frozen=True)
class Foretold:
    """The next frame with true actions and the likeliest luck, in dB, beside a copy of the last.

    still, full: of the game itself, what `Lasting` says of dreams of it.
    """

    num_frames: int
    next_db: float
    copy_db: float
    still: float
    full: float


@dataclass(frozen=True)
class Lasting:
    """Of the first and of the last of 1,000 dreamed frames, and of the worst dream's last.

    still: the share of pixels that are to the byte what stands there all along. full: the share
    that are clearly something else.
    """

    num_dreams: int
    still: tuple[float, float]
    worst_still: float
    full: tuple[float, float]


@dataclass(frozen=True)
class Quality:
    """All of it, or why it could not be measured. seed: of the episodes that it never saw."""

    game: str
    seed: int
    foretold: Foretold | str
    obeyed: Obeyed | str
    lasting: Lasting | str


def quality_of(world: World, card: dict[str, Any], luck: float) -> Quality:
    """Plays it by the fastest backend that answers as torch does, with that much luck."""
    game, starts = game_of(card), starts_of(world)
    dream = Dream(world)
    held = recorded(game, world)
    told = held if isinstance(held, str) else foretold(dream, held)
    dream.luck = luck
    lasts = lasting(dream, starts) if starts else "This world keeps no moments to begin at."
    return Quality(game, HELD_OUT_SEED, told, scripted(dream, starts, card, game), lasts)


def game_of(card: dict[str, Any]) -> str:
    """What can be recorded, of what a card calls its game ("procgen bigfish, easy")."""
    game = str(card.get("game", ""))
    procgen = re.match(r"procgen[ :]([a-z]+)", game)
    return f"procgen:{procgen[1]}" if procgen else game


def recorded(game: str, world: World, num_frames: int = HELD_OUT_FRAMES) -> Episodes | str:
    """Episodes of levels that it never saw, or why there are none."""
    shape = world.shape
    if not game:
        return "The world's card names no game."
    if shape.height_px != shape.width_px:
        return f"Only squares are recorded, and the world is {shape.width_px}x{shape.height_px} px."
    with TemporaryDirectory() as folder:
        out, size_px = Path(folder) / "held", shape.width_px
        try:
            held = recording.record(game, out, num_frames, size_px, HELD_OUT_SEED, lambda: None)
        except ValueError as error:
            return str(error)
    if held.num_actions != shape.num_actions:
        return f"{game} has {held.num_actions} actions, and the world {shape.num_actions}."
    return held


def foretold(dream: Dream, held: Episodes, num_windows: int = NUM_WINDOWS) -> Foretold:
    """Over random moments of the episodes."""
    windows = Windows(held, dream.shape.num_past, 1, 1, seed=HELD_OUT_SEED)
    found = [windows.one(n) for n in range(num_windows)]
    there = [window for window in found if window["there"][0]]
    dream.luck = 0.0
    scores = np.array([next_and_copy(dream, window) for window in there])
    frames = np.stack([window["frames"][-1] for window in there])
    plates = np.stack([window["plate"] for window in there])
    next_db, copy_db = scores.mean(0)
    still = float((frames == plates).all(1).mean())
    return Foretold(len(there), float(next_db), float(copy_db), still, fullness(frames, plates))


def next_and_copy(dream: Dream, window: dict[str, np.ndarray]) -> tuple[float, float]:
    """How near the frame that is foretold comes to the true one, and how near the last is."""
    *past, true = window["frames"]
    dream.past, dream.plate = np.stack(past), window["plate"]
    made = dream.step(int(window["actions"][0])).frame
    return decibels(true, made), decibels(true, past[-1])


def decibels(true: UInt8[np.ndarray, "3 h w"], made: UInt8[np.ndarray, "3 h w"]) -> float:
    """At most MOST_DB, so that what is the same to the byte does not outweigh all."""
    return min(psnr_db(true, made), MOST_DB)


def scripted(
    dream: Dream, starts: Sequence[Start], card: dict[str, Any], game: str
) -> Obeyed | str:
    """The checks that there are for this game."""
    if game not in SCRIPTS:
        return f"There is no script for {game or 'a game without a name'}."
    return obeyed(dream, starts, card.get("actions", ()), SCRIPTS[game], SEEDS)


def lasting(dream: Dream, starts: Sequence[Start], num_frames: int = DREAMED_FRAMES) -> Lasting:
    """Dreams that go on for that long, played by chance."""
    chosen = starts[:NUM_DREAMS]
    whole = np.array([worn(dream, start, n, num_frames) for n, start in enumerate(chosen)])
    first, last = whole[:, :LOOKED_AT].mean((0, 1)), whole[:, -LOOKED_AT:].mean((0, 1))
    (still, full), (still_last, full_last) = first.tolist(), last.tolist()
    worst = float(whole[:, -LOOKED_AT:, 0].mean(1).min())
    return Lasting(len(chosen), (still, still_last), worst, (full, full_last))


def worn(dream: Dream, start: Start, seed: int, num_frames: int) -> list[tuple[float, float]]:
    """Of each frame, how much of it stands still and how much does not."""
    return [
        (still_of(moment.frame, dream.plate), fullness(moment.frame, dream.plate))
        for moment in wandering(dream, start, seed, num_frames)
    ]


def still_of(frame: UInt8[np.ndarray, "3 h w"], plate: UInt8[np.ndarray, "3 h w"]) -> float:
    """The share of pixels that are the plate's to the byte."""
    return float((frame == plate).all(0).mean())


def wandering(dream: Dream, start: Start, seed: int, num_frames: int) -> Iterator[Moment]:
    """A dream that is played by chance, each action held for a while."""
    rng = np.random.default_rng(seed)
    dream.begin(start, seed)
    for number in range(num_frames):
        if number % HELD_FRAMES == 0:
            action = int(rng.integers(dream.shape.num_actions))
        yield dream.step(action)


def lines(quality: Quality) -> list[str]:
    """For people, one for each."""
    return [
        f"the next frame: {_foretold(quality)}",
        f"obeyed: {_obeyed(quality.obeyed)}",
        f"{DREAMED_FRAMES:,} dreamed frames: {_lasting(quality)}",
    ]


def _foretold(quality: Quality) -> str:
    found = quality.foretold
    if isinstance(found, str):
        return f"not measured. {found}"
    return (
        f"{found.next_db:.2f} dB with true actions and the likeliest luck, a copy of the last one "
        f"{found.copy_db:.2f} dB ({found.num_frames} frames of {quality.game}, seed {quality.seed})"
    )


def _obeyed(found: Obeyed | str) -> str:
    if isinstance(found, str):
        return f"not measured. {found}"
    return f"{found.num_obeyed} of {found.num_checks} scripted checks"


def _lasting(quality: Quality) -> str:
    found, game = quality.lasting, quality.foretold
    if isinstance(found, str):
        return f"not measured. {found}"
    (first, last), (full, full_last) = found.still, found.full
    beside = "" if isinstance(game, str) else f", game {game.still:.1%}"
    beside_full = "" if isinstance(game, str) else f", game {game.full:.1%}"
    return (
        f"to the byte what stands there are {first:.1%} of pixels in the first {LOOKED_AT}, "
        f"{last:.1%} in the last (worst of {found.num_dreams} dreams {found.worst_still:.1%}"
        f"{beside}); clearly something else {full:.1%}, then {full_last:.1%}{beside_full}"
    )
