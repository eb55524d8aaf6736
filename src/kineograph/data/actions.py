"""Any game's actions, numbered: a world is told one of a few, as a person has a few keys."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_ACTIONS = 1024
NOTHING = "none"


@dataclass(frozen=True, eq=False)
class Actions:
    """What they are called, and what the game takes for each."""

    names: tuple[str, ...]
    given: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.names)


def actions_of(env: Any, game: str) -> Actions:
    """Those of a Gymnasium environment.

    Where actions are numbers on a scale (torques, say) or several switches at once, they are to do
    nothing, and to move one of them all the way. ValueError if there are none or too many of them.
    """
    space = env.action_space
    kinds: dict[str, Callable[[Any], Actions]] = {
        "Discrete": _numbered,
        "Box": _scaled,
        "MultiBinary": _switched,
        "MultiDiscrete": _chosen,
    }
    made = kinds.get(type(space).__name__, _none)(space)
    if not 1 <= len(made) <= MOST_ACTIONS:
        raise ValueError(
            f"{game} takes {space}, which comes to {len(made)} actions: only games of 1 to "
            f"{MOST_ACTIONS} numbered, scaled or switched actions can be recorded."
        )
    return Actions(_names(env, made.names), made.given)


def _names(env: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    """What the game calls them itself, where it does."""
    said = getattr(env.unwrapped, "get_action_meanings", list)()
    return tuple(str(name).lower() for name in said) if len(said) == len(names) else names


def _none(space: Any) -> Actions:
    return Actions((), ())


def _numbered(space: Any) -> Actions:
    count, start = int(space.n), int(space.start)
    if count > MOST_ACTIONS:
        return Actions(("",) * count, ())
    return Actions(tuple(map(str, range(count))), tuple(range(start, start + count)))


def _scaled(space: Any) -> Actions:
    low, high = (np.asarray(end, np.float64).ravel() for end in (space.low, space.high))
    if not (np.isfinite(low) & np.isfinite(high)).all() or 2 * low.size >= MOST_ACTIONS:
        return Actions((), ())
    rest = np.clip(0.0, low, high)
    names, given = [NOTHING], [rest]
    for n in range(low.size):
        for end, sign in ((low, "-"), (high, "+")):
            if end[n] == rest[n]:
                continue
            names.append(f"{n + 1}{sign}")
            given.append(np.where(np.arange(low.size) == n, end, rest))
    shaped = (value.reshape(space.shape).astype(space.dtype) for value in given)
    return Actions(tuple(names), tuple(shaped))


def _switched(space: Any) -> Actions:
    size = int(np.prod(space.shape))
    if size >= MOST_ACTIONS:
        return Actions((), ())
    on = np.concatenate([np.zeros((1, size)), np.eye(size)]).reshape(-1, *space.shape)
    return Actions((NOTHING, *map(str, range(1, size + 1))), tuple(on.astype(space.dtype)))


def _chosen(space: Any) -> Actions:
    counts, first = space.nvec.ravel(), np.asarray(space.start).ravel()
    if counts.sum() - counts.size >= MOST_ACTIONS:
        return Actions((), ())
    names, given = [NOTHING], [first]
    for n, count in enumerate(counts):
        for value in range(1, int(count)):
            names.append(f"{n + 1}:{value}")
            given.append(first + value * (np.arange(first.size) == n))
    shaped = (value.reshape(space.shape).astype(space.dtype) for value in given)
    return Actions(tuple(names), tuple(shaped))
