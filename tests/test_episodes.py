"""Games are recorded as they were played, and their windows keep to one episode."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from kineograph.data import episodes, procgen_player, recording
from kineograph.data.episodes import Episodes, Windows, joined, load_numbers, plate_of

SIDE_PX, DOT_PX, START = 64, 4, (30, 30)
MOVES = ((0, -4), (-4, 0), (4, 0), (0, 4))
NAMES = ["left", "go up", "down", "right"]
MOST_STEPS = 20
GAME, LENGTH = "KineographDot-v0", 240


def background() -> np.ndarray:
    down, across = np.mgrid[:SIDE_PX, :SIDE_PX]
    return np.stack([down * 4, across * 3, (down + across) * 2], -1).astype(np.uint8)


def picture(at: tuple[int, int]) -> np.ndarray:
    shown = background()
    shown[at[0] : at[0] + DOT_PX, at[1] : at[1] + DOT_PX] = (255, 240, 1)
    return shown


def moved(at: tuple[int, int], action: int) -> tuple[int, int]:
    return at[0] + MOVES[action][0], at[1] + MOVES[action][1]


def outside(at: tuple[int, int]) -> bool:
    return min(at) <= 0 or max(at) >= SIDE_PX - DOT_PX


class Dot(gymnasium.Env):
    """A dot that is moved over a still picture until it touches an edge, or time is up."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, first_action: int = 0) -> None:
        self.render_mode = render_mode
        self.first = first_action
        self.observation_space = spaces.Box(0, SIDE_PX, (2,), np.int64)
        self.action_space = spaces.Discrete(len(MOVES), start=first_action)
        self.at, self.screen = START, background()

    def get_action_meanings(self) -> list[str]:
        return [name.upper() for name in NAMES]

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at = START
        return np.array(self.at), {}

    def step(self, action: int) -> Any:
        self.at = moved(self.at, action - self.first)
        return np.array(self.at), float(self.at[1]), outside(self.at), False, {}

    def render(self) -> Any:
        self.screen[:] = picture(self.at)  # one screen for all frames, as emulators have it
        return self.screen


class Written(Dot):
    """The same, by words."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.action_space = spaces.Text(9)


def registered(name: str, kind: type, **more: Any) -> None:
    gymnasium.register(name, kind, disable_env_checker=True, max_episode_steps=MOST_STEPS, **more)


registered(GAME, Dot)
registered("KineographWritten-v0", Written)
registered("KineographFromOne-v0", Dot, kwargs={"first_action": 1})


def nothing() -> None:
    """For a caller who need not be told."""


@dataclass(frozen=True)
class Recorded:
    folder: Path
    kept: Episodes
    num_told: int


@pytest.fixture(scope="module")
def dot(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder, told = tmp_path_factory.mktemp("games") / "deep" / "dot", []
    kept = recording.record(GAME, folder, LENGTH, SIDE_PX, 0, lambda: told.append(1))
    return Recorded(folder, kept, len(told))


@pytest.fixture
def copied(dot: Recorded, tmp_path: Path) -> Path:
    """The recording, to be broken."""
    return Path(shutil.copytree(dot.folder, tmp_path / "copied"))


def assert_equal(a: Episodes, b: Episodes) -> None:
    for name in ("frames", "actions", "rewards", "ends", "last"):
        assert getattr(a, name).dtype == getattr(b, name).dtype
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.num_actions == b.num_actions


def test_what_is_read_is_what_was_recorded(dot: Recorded) -> None:
    loaded, about = recording.load(dot.folder)
    assert_equal(loaded, dot.kept)
    assert len(loaded) == dot.num_told == LENGTH
    said = json.loads(about["about"])
    assert said == {"game": GAME, "actions": NAMES, "fps": 12, "seed": 0}
    assert sorted(p.name for p in dot.folder.parent.iterdir()) == ["dot"]


@pytest.mark.parametrize("game", [GAME, "KineographFromOne-v0"])
def test_each_frame_is_what_the_actions_made_by_the_games_own_rule(
    game: str, tmp_path: Path
) -> None:
    kept = recording.record(game, tmp_path / "out", LENGTH, SIDE_PX, 3, nothing)
    at, since, late = START, 0, 0
    for t in range(LENGTH):
        np.testing.assert_array_equal(kept.frames[t], picture(at))
        at, since = moved(at, int(kept.actions[t])), since + 1
        assert kept.rewards[t] == at[1]
        assert kept.ends[t] == outside(at), "that time is up is no end of the game"
        assert kept.last[t] == (outside(at) or since == MOST_STEPS)
        late += kept.last[t] and not outside(at)
        at, since = (START, 0) if kept.last[t] else (at, since)
    assert 0 < late < kept.last.sum(), "both ways to end must have been seen"
    assert set(kept.actions) == set(range(len(MOVES)))


def test_actions_are_held_for_some_frames(dot: Recorded) -> None:
    changes = np.flatnonzero(np.diff(dot.kept.actions)) + 1
    changes = np.flatnonzero(np.diff(dot.kept.actions)) + 1
    assert np.diff(changes, prepend=0).min() >= recording.HELD[0]


def test_a_seed_is_a_recording(dot: Recorded, tmp_path: Path) -> None:
    again = recording.record(GAME, tmp_path / "again", LENGTH, SIDE_PX, 0, nothing)
    assert_equal(again, dot.kept)
    other = recording.record(GAME, tmp_path / "other", LENGTH, SIDE_PX, 1, nothing)
    assert (other.actions != dot.kept.actions).any()


def test_a_smaller_frame_is_the_mean_of_what_it_covers(dot: Recorded, tmp_path: Path) -> None:
    small = recording.record(GAME, tmp_path / "small", 40, 16, 0, nothing)
    blocks = dot.kept.frames[:40].reshape(40, 16, 4, 16, 4, 3).mean((2, 4))
    assert np.abs(small.frames - blocks).max() <= 0.5


def test_a_larger_frame_lies_between_its_neighbours(dot: Recorded, tmp_path: Path) -> None:
    large = recording.record(GAME, tmp_path / "large", 8, 128, 0, nothing)
    assert large.frames.shape == (8, 128, 128, 3)
    for t, frame in enumerate(large.frames):
        near = np.kron(dot.kept.frames[t], np.ones((2, 2, 1), np.uint8))
        low, high = cv2.erode(near, np.ones((5, 5))), cv2.dilate(near, np.ones((5, 5)))
        assert (frame != near).any()
        assert (low <= frame).all()
        assert (frame <= high).all()


def test_what_is_there_is_not_written_over(dot: Recorded) -> None:
    before = sorted((p.name, p.read_bytes()) for p in dot.folder.iterdir())
    with pytest.raises(ValueError, match=r"is there already"):
        recording.record(GAME, dot.folder, 20, SIDE_PX, 0, nothing)
    with pytest.raises(ValueError, match=r"is there already"):
        recording.record(GAME, dot.folder / episodes.FILM, 20, SIDE_PX, 0, nothing)
    assert sorted((p.name, p.read_bytes()) for p in dot.folder.iterdir()) == before


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    kept = recording.record(GAME, tmp_path, 20, SIDE_PX, 0, nothing)
    assert_equal(recording.load(tmp_path)[0], kept)


def test_a_recording_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recording.record(GAME, tmp_path / "out", 20, SIDE_PX, 0, stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("game", "num_frames", "size_px", "seed", "message"),
    [
        (GAME, 10, 24, 0, "multiple of 16, of 16 to 1024 pixels; got 24"),
        (GAME, 10, 0, 0, "got 0"),
        (GAME, 10, 1040, 0, "got 1040"),
        (GAME, 0, 32, 0, "1 to 1000000 frames; got 0"),
        (GAME, 1_000_001, 32, 0, "got 1000001"),
        (GAME, 1_000_000, 1024, 0, r"need 2929\.7 GiB, and the limit is 8"),
        (GAME, 10, 32, -1, "A seed is 0 to 20000; got -1"),
        ("KineographNone-v0", 10, 32, 0, "KineographNone-v0 cannot be played: .*exist"),
        ("KineographWritten-v0", 10, 32, 0, r"takes Text.*0 actions: only games of 1 to"),
        ("procgen:../evil", 10, 32, 0, r"got 'procgen:\.\./evil'"),
    ],
)
def test_what_cannot_be_recorded_is_said(
    game: str, num_frames: int, size_px: int, seed: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        recording.record(game, tmp_path / "out", num_frames, size_px, seed, nothing)
    assert not list(tmp_path.iterdir())


def test_a_broken_recording_is_said(copied: Path) -> None:
    path = copied / episodes.NUMBERS
    whole = path.read_bytes()
    for broken in (b"", b"no numbers", whole[:-5]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"holds no recording of a game"):
            recording.load(copied)
    path.unlink()
    with pytest.raises(ValueError, match=r"holds no recording of a game"):
        load_numbers(copied)


def test_a_recording_without_its_film_is_said(copied: Path) -> None:
    (copied / episodes.FILM).unlink()
    with pytest.raises(ValueError, match=r"does not exist"):
        recording.load(copied)


def test_a_film_and_numbers_of_different_lengths_are_said(dot: Recorded, copied: Path) -> None:
    episodes.save_numbers(copied, shortened(dot.kept, LENGTH - 1), {})
    with pytest.raises(ValueError, match=r"has 240 frames, and its numbers are .*239"):
        recording.load(copied)


def test_a_film_that_memory_cannot_hold_is_said_before_it_is_read(
    dot: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", dot.kept.frames.nbytes)
    recording.load(dot.folder)
    monkeypatch.setattr(recording, "MOST_BYTES", dot.kept.frames.nbytes - 1)
    with pytest.raises(ValueError, match=r"240 frames of 64x64 of .* need"):
        recording.load(dot.folder)


def shortened(played: Episodes, length: int) -> Episodes:
    parts = (played.frames, played.actions, played.rewards, played.ends)
    cut = [part[:length] for part in parts]
    return Episodes(
        *cut, num_actions=played.num_actions, cuts=(played.last & ~played.ends)[:length]
    )


PROCGEN = '''
import numpy as np
from procgen.env import ENV_NAMES
class ProcgenGym3Env:
    """Counts up by what is done; over at 100. Takes back what was tried, as Procgen does."""
    def __init__(self, env_name, rand_seed, start_level, distribution_mode, **more):
        assert (start_level, distribution_mode) == (rand_seed * 100_000, "easy")
        print("a library prints")
        self.count, self.reward, self.first = 0, 0.0, True
    def act(self, actions):
        self.count += int(actions[0]) + 1
        self.reward, self.first = actions[0] / 2, self.count >= 100
        self.count *= not self.first
    def observe(self):
        return np.array([self.reward], np.float32), None, np.array([self.first])
    def get_info(self):
        return [{"rgb": np.full((64, 64, 3), (self.count, 7, 9), np.uint8)}]
    def get_state(self):
        return [self.count]
    def set_state(self, states):
        self.count = states[0]
'''
INTERPRETER = """#!/bin/sh
exec {python} -c 'import runpy, sys; sys.path.insert(0, "{folder}"); sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An environment whose Procgen is a game of counting."""
    python, package = tmp_path / "games" / "bin" / "python", tmp_path / "procgen"
    for folder in (python.parent, package):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text(PROCGEN)
    (package / "env.py").write_text("ENV_NAMES = ['counting']")
    python.write_text(INTERPRETER.format(python=sys.executable, folder=tmp_path))
    python.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "prefix", str(tmp_path))
        yield python


@pytest.mark.usefixtures("interpreter")
def test_a_game_of_procgen_is_played_under_its_own_interpreter(tmp_path: Path) -> None:
    kept = recording.record("procgen:counting", tmp_path / "out", 150, 16, 0, nothing)
    loaded, about = recording.load(tmp_path / "out")
    assert_equal(loaded, kept)
    assert json.loads(about["about"])["actions"] == list(procgen_player.ACTIONS)
    count = 0
    for t in range(150):
        assert (kept.frames[t] == (count, 7, 9)).all()
        count += kept.actions[t] + 1
        assert kept.ends[t] == (count >= 100)
        assert kept.rewards[t] == kept.actions[t] / 2
        count *= not kept.ends[t]
    assert kept.ends.sum() > 3


def test_a_game_of_procgen_that_fails_says_why(interpreter: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Procgen has no game 'maze': take one of counting\."):
        recording.record("procgen:maze", tmp_path / "out", 5, 16, 0, nothing)
    interpreter.unlink()
    with pytest.raises(ValueError, match=r"run `make \.venv/\.games` first"):
        recording.record("procgen:maze", tmp_path / "out", 5, 16, 0, nothing)
    assert not (tmp_path / "out").exists()


def numbered(lengths: list[int], cut_off: int = 0, size_px: int = 4) -> Episodes:
    """Episodes of these lengths, each frame filled with its number; then one without an end."""
    count = sum(lengths) + cut_off
    ends = np.zeros(count, np.bool_)
    ends[np.cumsum(lengths) - 1] = True
    frames = np.broadcast_to(
        np.arange(count, dtype=np.uint8)[:, None, None, None], (count, size_px, size_px, 3)
    )
    actions = np.arange(count, dtype=np.int64) % 5
    return Episodes(frames.copy(), actions, np.arange(count, dtype=np.float32), ends, 5)


def test_spans_part_the_frames_at_the_ends() -> None:
    assert numbered([3, 1, 4]).spans() == [(0, 3), (3, 4), (4, 8)]
    assert numbered([3, 1], cut_off=2).spans() == [(0, 3), (3, 4), (4, 6)]
    assert numbered([5]).spans() == [(0, 5)]


def test_joined_recordings_keep_their_episodes() -> None:
    one, two = numbered([3, 4], cut_off=2), numbered([6])
    both = joined([one, two])
    assert both.spans() == [*one.spans(), (9, 15)]
    np.testing.assert_array_equal(both.frames, np.concatenate([one.frames, two.frames]))


def test_recordings_of_different_games_are_not_joined() -> None:
    one = numbered([6])
    other = Episodes(one.frames, one.actions, one.rewards, one.ends, 6)
    for unlike in (other, numbered([6], size_px=5)):
        with pytest.raises(ValueError, match=r"of different games or sizes"):
            joined([one, unlike])
    with pytest.raises(ValueError, match=r"no recording"):
        joined([])


def test_actions_that_the_game_does_not_have_are_refused() -> None:
    one = numbered([6])
    with pytest.raises(ValueError, match=r"Actions are 0 to 3; the recording has 0 to 4"):
        Episodes(one.frames, one.actions, one.rewards, one.ends, 4)


def test_a_window_is_a_function_of_its_index() -> None:
    played = numbered([30, 20, 40], cut_off=10)
    serial, threads = Windows(played, 3, 5, 4), Windows(played, 3, 5, 4, num_workers=2)
    for number, batch in enumerate(islice(threads(2), 5), start=2):
        for name, array in serial.arrays(number).items():
            got = {"frames": batch.frames, "indices": batch.indices, **batch.extra}[name]
            np.testing.assert_array_equal(got.numpy(), array)
    other = Windows(played, 3, 5, 4, seed=1)
    assert (other.arrays(0)["indices"] != serial.arrays(0)["indices"]).any()


def test_a_window_never_leaves_its_episode() -> None:
    played, past, steps = numbered([30, 8, 5, 40], cut_off=10), 3, 5
    windows, over = Windows(played, past, steps, 1), 0
    for index in range(300):
        got = windows.one(index)
        at = int(got["indices"])
        start, stop = next(span for span in played.spans() if span[0] <= at < span[1])
        assert stop - start >= past + steps
        shown = np.arange(at, at + past + steps)
        there = np.append(np.ones(past), got["there"]) > 0
        np.testing.assert_array_equal(there, shown < stop)
        assert (got["frames"] == np.minimum(shown, stop - 1)[:, None, None, None]).all()
        done = shown[past - 1 : -1]
        np.testing.assert_array_equal(got["actions"], done % 5)
        np.testing.assert_array_equal(got["rewards"], done)
        np.testing.assert_array_equal(got["ends"], played.ends[done])
        # A plate is made of frames up to the window's first: none of what is to be told.
        assert start <= got["plate"].min() <= got["plate"].max() <= at
        over += not there.all()
        if not there.all() and stop < len(played):
            assert list(got["ends"]) == [0] * (steps - 1) + [1]
    assert 15 < over < 150


def test_episodes_that_are_too_short_are_said() -> None:
    with pytest.raises(ValueError, match=r"No episode is as long as 9 frames"):
        Windows(numbered([8, 8, 8]), 4, 5, 1)


def test_the_plate_of_a_dot_that_moves_is_what_it_moves_over() -> None:
    path = [(2 + n, 2 + n) for n in range(0, 52, 4)]
    plate = plate_of(np.stack([picture(at) for at in path]))
    np.testing.assert_array_equal(plate, np.moveaxis(background(), -1, 0))
