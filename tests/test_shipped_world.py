"""The shipped world obeys, and does not wear out."""

import numpy as np
import pytest

from kineograph.answer.dream import Dream, Start, starts_of
from kineograph.models import weights

NUM_FRAMES, NEAR_EDGE_PX, LEAST_PX = 12, 14, 6


@pytest.fixture(scope="module")
def dream() -> Dream:
    return Dream(weights.load_world(), "eager")


@pytest.fixture(scope="module")
def starts() -> list[Start]:
    world = weights.load_world()
    return starts_of(world)


def fish(dream: Dream) -> np.ndarray | None:
    """Where the green fish is that is played, as (x, y); None where it is not to be seen."""
    frame, plate = dream.past[-1].astype(int), dream.plate.astype(int)
    changed = np.abs(frame - plate).max(0) > 24
    green = changed & (frame[1] > frame[0] + 30) & (frame[1] > frame[2] + 10)
    y, x = np.nonzero(green)
    return np.array([np.median(x), np.median(y)]) if len(x) >= LEAST_PX else None


def test_the_fish_goes_where_it_is_told(dream: Dream, starts: list[Start]) -> None:
    ways = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
    names, right, checks = weights.card(weights.SHIPPED_WORLD)["actions"], 0, 0
    for start in starts[::2]:
        for word, way in ways.items():
            dream.begin(start, 0)
            before = fish(dream)
            assert before is not None
            for _ in range(NUM_FRAMES):
                dream.step(names.index(word))
            after = fish(dream)
            ahead = float(before @ way) if sum(way) < 0 else 127 - float(before @ way)
            if after is None or abs(ahead) < NEAR_EDGE_PX:
                continue
            checks += 1
            right += float((after - before) @ way) >= 2
    assert checks >= 12
    assert right >= 0.95 * checks


def test_what_stands_still_stands_after_hundreds_of_frames(
    dream: Dream, starts: list[Start]
) -> None:
    dream.luck = 1.5
    dream.begin(starts[1], 0)
    rng, shares = np.random.default_rng(0), []
    for number in range(240):
        if number % 7 == 0:
            action = int(rng.integers(9))
        moment = dream.step(action)
        shares.append(np.mean(moment.frame == dream.plate))
    assert np.mean(shares[-60:]) > 0.8
    assert np.mean(shares[-60:]) < 0.999  # and something is still going on
    assert np.isfinite([moment.reward, moment.end]).all()
