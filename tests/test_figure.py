"""The figure does what it is told, falls as things fall, and is drawn where it is."""

import gymnasium
import numpy as np
import pytest

pytest.importorskip("mujoco")

from kineograph.data import recording
from kineograph.data.figure import MOST_FRAMES, STARS_M, FigureGame, register
from kineograph.data.figure.moving import ACTIONS, FPS, STAGE_M, Figure, standing

GRAVITY_M_S2 = 9.81


def figure(seed: int = 0) -> Figure:
    made = standing(np.random.default_rng(seed))
    made.data.joint("x").qpos[0] = 0.0
    for _ in range(5):
        made.act(ACTIONS.index("none"))
    return made


def place(made: Figure) -> tuple[float, float]:
    return float(made.data.joint("x").qpos[0]), float(made.data.joint("z").qpos[0])


@pytest.mark.parametrize(("action", "way"), [("left", -1), ("right", 1)])
def test_it_walks_where_it_is_told_and_faces_there(action: str, way: int) -> None:
    made = figure()
    for _ in range(FPS):
        made.act(ACTIONS.index(action))
    assert 0.8 < way * place(made)[0] < 2.0
    assert made.facing == way
    assert abs(place(made)[1]) < 0.15, "it walks upright"


def test_it_stands_where_it_is_told_nothing() -> None:
    made = figure()
    before = place(made)
    for _ in range(2 * FPS):
        made.act(0)
    np.testing.assert_allclose(place(made), before, atol=0.08)


def test_it_jumps_comes_down_and_in_the_air_falls_by_gravity() -> None:
    made, rises, heights = figure(), [], []
    for _ in range(24):
        made.act(ACTIONS.index("up") if len(rises) < 3 else 0)
        rises.append(float(made.data.joint("z").qvel[0]))
        heights.append(place(made)[1])
    top = int(np.argmax(heights))
    assert heights[top] > 0.4
    fall = np.diff(rises[top - 3 : top + 3]) * FPS
    assert abs(-fall.mean() - GRAVITY_M_S2) < 3, "limbs that move take some part of it"
    assert abs(heights[-1]) < 0.12


def test_a_crouch_is_lower_and_a_kick_moves_the_ball() -> None:
    made = figure()
    for _ in range(6):
        made.act(ACTIONS.index("down"))
    assert place(made)[1] < -0.15
    made = figure()
    made.data.joint("ball_x").qpos[0] = 0.45 * made.facing
    made.data.joint("ball_z").qpos[0] = 0.0
    ball = float(made.data.joint("ball_x").qpos[0])
    for _ in range(6):
        made.act(ACTIONS.index("space"))
    assert (float(made.data.joint("ball_x").qpos[0]) - ball) * made.facing > 0.2


def test_whatever_it_is_told_it_stays_on_the_stage() -> None:
    rng, env = np.random.default_rng(1), FigureGame()
    env.reset(seed=1)
    for _ in range(MOST_FRAMES):
        env.step(rng.integers(len(ACTIONS)))
        assert np.isfinite(env.figure.data.qpos).all()
        assert abs(place(env.figure)[0]) < STAGE_M
        assert -0.6 < place(env.figure)[1] < 1.5


def test_a_star_that_is_reached_is_worth_1_and_moves_on() -> None:
    env = FigureGame()
    env.reset(seed=0)
    x, z = STARS_M[env.star]
    env.figure.data.joint("x").qpos[0] = x
    env.figure.data.joint("z").qpos[0] = z - 1.2
    star = env.star
    _, reward, over, cut, _ = env.step(np.int64(0))
    assert (reward, over, cut) == (1.0, False, False)
    assert env.star == (star + 1) % len(STARS_M)


def test_a_seed_is_a_look_and_a_game_and_what_stands_still_is_drawn_the_same() -> None:
    one, two, other = (FigureGame() for _ in range(3))
    first, second, third = one.reset(seed=4)[0], two.reset(seed=4)[0], other.reset(seed=5)[0]
    np.testing.assert_array_equal(first, second)
    assert (first[:10] != third[:10]).any(-1).mean() > 0.5
    for action in (2, 2, 3, 0, 1):
        a, b = one.step(np.int64(action))[0], two.step(np.int64(action))[0]
        np.testing.assert_array_equal(a, b)
    changed = (a != first).any(-1)
    assert 0.002 < changed.mean() < 0.2
    assert not changed[:, :2].any()


def test_it_is_an_environment_of_gymnasium_that_is_cut_and_never_over() -> None:
    register()
    with recording.environment(recording.FIGURE) as env:
        env.reset(seed=0)
        seen = [env.step(0) for _ in range(MOST_FRAMES)]
    assert [cut for _, _, _, cut, _ in seen] == [False] * (MOST_FRAMES - 1) + [True]
    assert not any(over for _, _, over, _, _ in seen)
    assert gymnasium.spec(recording.FIGURE).id == recording.FIGURE
