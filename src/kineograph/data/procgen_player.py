"""Plays a Procgen game, as a program of its own that writes what it saw to standard output.

Procgen needs an older NumPy than Kineograph, so this runs under another interpreter: nothing of
Kineograph may be imported here. Arguments: NAME SIZE_PX SEED NUM_FRAMES, or --live in place of the
last: then each byte of standard input is an action, until there are no more.
"""

import os
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

ACTIONS = ("left down", "left", "left up", "down", "none", "up", "right down", "right", "right up")
"""The first of Procgen's fifteen; the others are buttons that few games have."""
CAREFUL = 0.7
"""How many episodes are played by looking ahead: chance alone ends most games at once."""
NUM_TRIED, NUM_AHEAD = 5, 14
DISCOUNT = 0.97
LOSS = 3.0
"""What losing costs, in the game's own points."""
HELD = (2, 9)
LEVELS_APART = 100_000


def moment_type(size_px: int) -> np.dtype:
    """One frame, what was done at it, and what came of that, as the bytes that are written."""
    return np.dtype(
        [
            ("frame", "u1", (size_px, size_px, 3)),
            ("action", "u1"),
            ("reward", "<f4"),
            ("end", "u1"),
        ]
    )


def opened(name: str, seed: int) -> Any:
    """The game; the program ends where Procgen has none of this name, which would abort it."""
    from procgen import ProcgenGym3Env  # pyright: ignore[reportMissingImports]
    from procgen.env import ENV_NAMES  # pyright: ignore[reportMissingImports]

    if name not in ENV_NAMES:
        sys.exit(f"Procgen has no game {name!r}: take one of {', '.join(ENV_NAMES)}.")
    return ProcgenGym3Env(
        num=1,
        env_name=name,
        render_mode="rgb_array",
        start_level=seed * LEVELS_APART,
        num_levels=0,
        distribution_mode="easy",
        rand_seed=seed,
    )


def played(env: Any, num_frames: int, size_px: int, seed: int) -> Iterator[np.ndarray]:
    """Each moment of the game, with actions that are held for a while."""
    rng = np.random.default_rng(seed)
    moment = np.zeros(1, moment_type(size_px))
    first, careful, action, left = True, False, 0, 0
    for _ in range(num_frames):
        if first:
            careful, left = rng.random() < CAREFUL, 0
        moment["frame"] = shown(env, size_px)
        if left == 0:
            action = best(env, rng) if careful else int(rng.integers(len(ACTIONS)))
            left = int(rng.integers(HELD[0], HELD[1] + 1))
        left -= 1
        reward, first = done(env, action)
        # A new episode's first frame comes with the action that ended the one before.
        moment["action"], moment["reward"], moment["end"] = action, reward, first
        yield moment


def shown(env: Any, size_px: int) -> np.ndarray:
    """What is seen now."""
    picture = env.get_info()[0]["rgb"]
    how = cv2.INTER_AREA if size_px <= len(picture) else cv2.INTER_LINEAR
    return cv2.resize(picture, (size_px, size_px), interpolation=how)


def best(env: Any, rng: np.random.Generator) -> int:
    """Of a few actions the one that brings most when it is held; the game stays as it was."""
    state, tried = env.get_state(), []
    for action in rng.permutation(len(ACTIONS))[:NUM_TRIED]:
        env.set_state(state)
        # A little chance, so that actions that bring the same are all taken.
        tried.append((worth(env, int(action)) + 0.01 * rng.random(), int(action)))
    env.set_state(state)
    return max(tried)[1]


def worth(env: Any, action: int) -> float:
    """What holding an action brings, by trying it."""
    total = 0.0
    for step in range(NUM_AHEAD):
        reward, end = done(env, action)
        total += reward * DISCOUNT**step
        if end:
            return total - (LOSS if reward <= 0 else 0)
    return total


def done(env: Any, action: int) -> tuple[float, bool]:
    """The reward of an action, and whether the episode ended with it."""
    env.act(np.array([action]))
    rewards, _, firsts = env.observe()
    return float(rewards[0]), bool(firsts[0])


def lived(env: Any, size_px: int) -> Iterator[np.ndarray]:
    """The first frame, then for each action that is read the frame that came of it."""
    moment = np.zeros(1, moment_type(size_px))
    moment["frame"] = shown(env, size_px)
    yield moment
    while read := sys.stdin.buffer.read(1):
        moment["action"] = read[0]
        moment["reward"], moment["end"] = done(env, read[0])
        moment["frame"] = shown(env, size_px)
        yield moment


def main() -> None:
    name, size_px, seed, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the frames
    env, live = opened(name, seed), how == "--live"
    with out:
        for moment in lived(env, size_px) if live else played(env, int(how), size_px, seed):
            out.write(moment.tobytes())
            if live:
                out.flush()


if __name__ == "__main__":
    main()
