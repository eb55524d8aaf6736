"""Every kind of action becomes a numbered one that its game takes."""

from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium import spaces

from kineograph.data.actions import MOST_ACTIONS, NOTHING, actions_of

SPACES = {
    "numbered": (spaces.Discrete(5, start=2), 5),
    "scaled": (spaces.Box(-1, 1, (4,), np.float32), 9),
    "scaled from above 0": (
        spaces.Box(np.array([1.0, -2]), np.array([3.0, 2]), dtype=np.float64),
        4,
    ),
    "switched": (spaces.MultiBinary([2, 3]), 7),
    "chosen": (spaces.MultiDiscrete([3, 2, 4]), 7),
}


def environment(space: spaces.Space, meanings: list[str] | None = None) -> SimpleNamespace:
    inner = SimpleNamespace(
        **({} if meanings is None else {"get_action_meanings": lambda: meanings})
    )
    return SimpleNamespace(action_space=space, unwrapped=inner)


@pytest.mark.parametrize("name", SPACES)
def test_each_is_in_the_games_space_and_no_two_are_the_same(name: str) -> None:
    space, count = SPACES[name]
    actions = actions_of(environment(space), "game")
    assert len(actions) == len(set(actions.names)) == len(actions.given) == count
    assert all(space.contains(given) for given in actions.given)
    assert len({np.asarray(given).tobytes() for given in actions.given}) == count


@pytest.mark.parametrize("name", ["scaled", "switched", "chosen"])
def test_the_first_of_several_does_nothing_and_each_other_moves_one(name: str) -> None:
    actions = actions_of(environment(SPACES[name][0]), "game")
    given = np.stack([np.ravel(g) for g in actions.given]).astype(float)
    assert actions.names[0] == NOTHING
    assert (given[0] == 0).all()
    assert ((given[1:] != 0).sum(1) == 1).all()


def test_what_cannot_rest_at_0_rests_as_near_as_it_can() -> None:
    actions = actions_of(environment(SPACES["scaled from above 0"][0]), "game")
    np.testing.assert_array_equal(actions.given[0], [1, 0])


def test_a_games_own_names_are_taken_where_there_are_as_many() -> None:
    space = spaces.Discrete(2)
    assert actions_of(environment(space, ["UP", "Down"]), "game").names == ("up", "down")
    assert actions_of(environment(space, ["UP"]), "game").names == ("0", "1")


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(MOST_ACTIONS + 1),
        spaces.Box(-np.inf, np.inf, (2,)),
        spaces.Box(-1, 1, (MOST_ACTIONS,)),
        spaces.MultiBinary(MOST_ACTIONS),
        spaces.MultiDiscrete([MOST_ACTIONS, 3]),
        spaces.Text(4),
    ],
)
def test_what_cannot_be_numbered_is_said(space: spaces.Space) -> None:
    with pytest.raises(ValueError, match=r"game takes .*only games of 1 to"):
        actions_of(environment(space), "game")
