"""The shipped worlds obey, and do not wear out."""

import numpy as np
import pytest

from kineograph.answer.dream import Dream, Start, luck_of, starts_of
from kineograph.evaluate.obeying import figure, fish, obeyed
from kineograph.evaluate.world_quality import still_of, wandering
from kineograph.models import weights


@pytest.fixture(scope="module")
def dream() -> Dream:
    return Dream(weights.load_world(), "eager")


@pytest.fixture(scope="module")
def starts() -> list[Start]:
    world = weights.load_world()
    return starts_of(world)


def test_the_fish_goes_where_it_is_told(dream: Dream, starts: list[Start]) -> None:
    names = weights.card(weights.SHIPPED_WORLD)["actions"]
    straight = [name if " " not in name else "" for name in names]
    found = obeyed(dream, starts[::2], straight, fish)
    assert found.num_checks >= 12
    assert found.num_obeyed >= 0.95 * found.num_checks


def test_what_stands_still_stands_after_hundreds_of_frames(
    dream: Dream, starts: list[Start]
) -> None:
    dream.luck = 1.5
    moments = list(wandering(dream, starts[1], 0, 240))
    still = [still_of(moment.frame, dream.plate) for moment in moments[-60:]]
    assert np.mean(still) > 0.8
    assert np.mean(still) < 0.999  # and something is still going on
    assert np.isfinite([moments[-1].reward, moments[-1].end]).all()


def test_the_figure_goes_where_it_is_told_and_is_still_there_after_hundreds_of_frames() -> None:
    name = weights.SHIPPED_FIGURE
    world, names = weights.load_world(name), weights.card(name)["actions"]
    dream = Dream(world, "eager", luck_of(weights.card(name)))
    told = [said if said in ("left", "right", "up") else "" for said in names]
    found = obeyed(dream, starts_of(world)[::3], told, figure)
    assert found.num_checks >= 6
    assert found.num_obeyed >= 0.9 * found.num_checks
    moments = list(wandering(dream, starts_of(world)[1], 0, 240))
    assert figure(dream) is not None
    assert np.mean([still_of(moment.frame, dream.plate) for moment in moments[-60:]]) > 0.8
