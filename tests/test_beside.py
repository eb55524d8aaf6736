"""A real game is played beside its dream: both begin at the same frames and do the same."""

import math
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import accumulate, islice
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from kineograph.answer.beside import NUM_WARM, check_fits, psnr_db, start_at, warmed
from kineograph.answer.dream import Dream
from kineograph.cli.games import seat
from kineograph.data import live
from kineograph.data.clips import rng_for
from kineograph.data.recording import held
from kineograph.serve.play import HEADER, MOST_UNSEEN, REAL, Table, app
from test_episodes import interpreter
from test_play import ACTIONS, TestClient, WebSocketTestSession, address, played
from tiny_world import tiny_world

__all__ = ["interpreter"]
GAME, QUICK, FEW = "KineographSum-v0", "KineographQuickSum-v0", "KineographFewSum-v0"
CALLED, OTHER = "KineographCalledSum-v0", "KineographOtherSum-v0"
WIDTH_PX, HEIGHT_PX = 48, 32
IDLE = ACTIONS.index("none")


class Sum(gymnasium.Env):
    """Shows the seed, and the sum of what was done; over at `most` steps."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, render_mode: str | None = None, most: int = 100, count: int = 4) -> None:
        self.render_mode, self.most = render_mode, most
        self.action_space = spaces.Discrete(count)
        self.observation_space = spaces.Discrete(256)
        self.seed, self.sum, self.steps = 0, 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.seed, self.sum, self.steps = seed or 0, 0, 0
        return 0, {}

    def step(self, action: int) -> Any:
        self.sum, self.steps = self.sum + int(action), self.steps + 1
        return 0, action / 2, self.steps >= self.most, False, {}

    def render(self) -> Any:
        return picture(self.seed, self.sum)


def picture(seed: int, total: int) -> np.ndarray:
    return np.full((HEIGHT_PX, WIDTH_PX, 3), (seed, total, 7), np.uint8)


def registered(name: str, kind: type, **more: Any) -> None:
    gymnasium.register(name, kind, disable_env_checker=True, kwargs=more)


class Called(Sum):
    """The same, whose actions have names."""

    def get_action_meanings(self) -> list[str]:
        return [name.upper() for name in ACTIONS]


class Other(Sum):
    """As many actions, of which one means something else."""

    def get_action_meanings(self) -> list[str]:
        return ["left", "none", "right", "jump"]


registered(GAME, Sum)
registered(CALLED, Called)
registered(OTHER, Other)
registered(QUICK, Sum, most=9)
registered(FEW, Sum, count=3)


@pytest.fixture
def table() -> Table:
    world = tiny_world()
    found = Table(world, "tiny", ACTIONS, partial(Dream, world, "eager"), pace=240.0)
    seat(found, GAME)
    return found


@pytest.fixture
def client(table: Table) -> Iterator[TestClient]:
    with TestClient(app(table)) as found:
        yield found


def chance(seed: int, count: int) -> list[int]:
    """What is done before the dream begins."""
    return list(islice(held(rng_for(seed, 0), len(ACTIONS)), count))


def both(session: WebSocketTestSession) -> tuple[tuple, tuple, np.ndarray, np.ndarray]:
    """The next message: what is said of the dream and of the game, then the two pictures."""
    packed = session.receive_bytes()
    size = HEIGHT_PX * WIDTH_PX * 3
    assert len(packed) == HEADER.size + REAL.size + 2 * size
    shown = np.frombuffer(packed, np.uint8, offset=HEADER.size + REAL.size)
    real, dreamed = shown.reshape(2, HEIGHT_PX, WIDTH_PX, 3)
    about = HEADER.unpack_from(packed), REAL.unpack_from(packed, HEADER.size)
    return *about, real, dreamed


def test_the_page_is_told_of_the_game(client: TestClient, table: Table) -> None:
    assert client.get(address(table, "/world")).json()["beside"] == GAME


def test_the_real_half_is_the_games_and_the_dreamed_half_the_dreams(
    client: TestClient, table: Table
) -> None:
    sums = [0, *accumulate(chance(5, NUM_WARM))]
    warm = np.stack([picture(5, total) for total in sums])
    dream, total = Dream(table.world, "eager"), sums[-1]
    dream.begin(start_at(warm, table.world.shape.num_past), 5)
    with played(client, table) as session:
        for _ in range(MOST_UNSEEN):
            number = both(session)[0][0]
        session.send_json({"reset": 5})
        _, about, real, dreamed = both(session)
        assert about == (0.0, 0.0, math.inf)
        assert (real == dreamed).all()
        assert (real == warm[-1]).all()
        for action in (3, 0, 2, 2, 1, 3):
            session.send_json({"action": action, "seen": number})
            (number_now, _, _, _), (reward, ended, psnr), real, dreamed = both(session)
            moment, total, number = dream.step(action), total + action, number + 1
            assert number_now == number + 1
            assert (real == picture(5, total)).all()
            assert (dreamed == np.moveaxis(moment.frame, 0, -1)).all()
            assert (reward, ended) == (action / 2, 0)
            assert psnr == pytest.approx(psnr_db(np.moveaxis(real, -1, 0), moment.frame), rel=1e-6)


def test_a_real_game_that_is_over_stands_still(client: TestClient, table: Table) -> None:
    table.real = partial(live.opened, QUICK, WIDTH_PX, HEIGHT_PX)
    with played(client, table) as session:
        told = [both(session)]
        while len(told) < 10:
            session.send_json({"seen": told[-1][0][0]})
            told.append(both(session))
    assert IDLE == 1  # so each step that does nothing adds one
    # Nine steps are the whole game, so the dream begins after the fourth.
    begun = sum(chance(0, 4))
    sums = [begun + min(n, 5) for n in range(10)]
    assert [int(real[0, 0, 1]) for _, _, real, _ in told] == sums
    assert [bool(about[1]) for _, about, _, _ in told] == [False] * 5 + [True] * 5
    assert math.isnan(told[-1][1][2])
    assert told[-1][1][0] == 0


def test_a_game_that_ends_at_once_is_said() -> None:
    with (
        closing(live.opened(QUICK, WIDTH_PX, HEIGHT_PX)) as game,
        pytest.raises(ValueError, match=r"seed 3 is over before there are 6 frames"),
    ):
        warmed(game, 3, 6)


def test_a_game_that_breaks_off_says_why(
    client: TestClient, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = live.opened(GAME, WIDTH_PX, HEIGHT_PX)

    def broken(action: int) -> live.Came:
        raise ValueError(f"The game broke off at {action}.")

    monkeypatch.setattr(game, "step", broken)
    table.real = lambda: game
    with played(client, table) as session:
        message = session.receive()
        assert message["code"] == 1011
        assert message["reason"] == f"The game broke off at {chance(0, 1)[0]}."


@pytest.mark.parametrize(
    ("game", "message"),
    [
        (FEW, r"has 3 actions, and the world 4"),
        (OTHER, r"calls its actions left, none, right, jump, and the world left, none, right, up"),
        ("procgen:bigfish", r"shows squares, and the world 48x32 px"),
        ("KineographNone-v0", r"cannot be played"),
    ],
)
def test_a_game_that_does_not_fit_is_refused(table: Table, game: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seat(table, game)


def test_names_must_be_the_same_only_where_both_have_some(table: Table) -> None:
    seat(table, CALLED)
    seat(table, GAME)
    table.actions = ["0", "1", "2", "3"]
    seat(table, OTHER)
    assert table.beside == OTHER


def test_a_picture_of_another_shape_is_refused(table: Table) -> None:
    with (
        closing(live.opened(GAME, 32, 48)) as game,
        pytest.raises(ValueError, match=r"shows 48x32 px, and the world 32x48"),
    ):
        check_fits(game, table.world.shape, GAME)


@pytest.mark.usefixtures("interpreter")
def test_a_game_of_procgen_does_what_it_is_told() -> None:
    with closing(live.opened("procgen:counting", 16, 16)) as game:
        for seed in (0, 3):
            assert (game.reset(seed) == (0, 7, 9)).all()
            count = 0
            for action in (4, 8, 0) * 7:
                came, count = game.step(action), count + action + 1
                assert came.ended == (count >= 100)
                assert came.reward == action / 2
                if came.ended:  # it still shows how the game ended
                    break
                assert (came.frame == (count, 7, 9)).all()
            assert came.ended
            assert (came.frame == (count - action - 1, 7, 9)).all()


@pytest.mark.usefixtures("interpreter")
def test_a_game_that_procgen_does_not_have_is_said_and_ends() -> None:
    with closing(live.opened("procgen:maze", 16, 16)) as game:
        with pytest.raises(ValueError, match=r"Procgen has no game 'maze'"):
            game.reset(0)
        game.close()
