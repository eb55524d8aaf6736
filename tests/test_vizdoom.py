"""Doom is recorded and played as any game is, and leaves nothing behind."""

import json
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from kineograph.data import live, recording
from kineograph.data.vizdoom import is_vizdoom

pytestmark = pytest.mark.skipif(not find_spec("vizdoom"), reason="ViZDoom is not installed")
GAME, NAMES = "vizdoom:Basic", ["none", "attack", "move right", "move left"]
MOST_FRAMES = 150


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def nothing() -> None:
    """Nobody watches."""


def test_doom_is_recorded_under_its_buttons_names(folder: Path) -> None:
    kept = recording.record(GAME, folder / "one", 160, 32, 3, nothing)
    again = recording.record("VizdoomBasic-v1", folder / "two", 160, 32, 3, nothing)
    assert {path.name for path in folder.iterdir()} == {"one", "two"}
    assert (kept.frames == again.frames).all()
    assert (kept.actions == again.actions).all()
    _, about = recording.load(folder / "one")
    said = json.loads(about["about"])
    assert (said["actions"], said["fps"]) == (NAMES, 17.5)
    assert (kept.frames[1:] != kept.frames[:-1]).any((1, 2, 3)).mean() > 0.5
    assert kept.rewards.min() < 0


def test_time_that_is_up_is_no_end(folder: Path) -> None:
    kept = recording.record(GAME, folder / "one", 280, 32, 3, nothing)
    lasted = [stop - start for start, stop in kept.spans()][:-1]  # the last is cut off by us
    cuts = kept.last & ~kept.ends
    assert [bool(cuts[n]) for n in np.flatnonzero(kept.last)] == [t == MOST_FRAMES for t in lasted]
    assert cuts.sum() == kept.ends.sum() == 1
    assert (kept.ends == (kept.rewards > 50)).all()


def test_doom_played_live_does_what_it_is_told() -> None:
    with closing(live.opened(GAME, 32, 32)) as game:
        assert list(game.names) == NAMES
        first = game.reset(5)
        came = [game.step(NAMES.index("move left")) for _ in range(8)]
        assert (game.reset(5) == first).all()
        back = [game.step(NAMES.index("move right")) for _ in range(8)]
        assert np.abs(came[-1].frame.astype(int) - back[-1].frame).mean() > 2
        assert all(one.reward == -2 for one in came)


def test_a_recording_that_is_broken_off_leaves_nothing(folder: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recording.record(GAME, folder / "one", 5, 32, 0, stop)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("game", "message"),
    [
        ("vizdoom:None", r"vizdoom:None cannot be played: .*doesn't exist"),
        ("vizdoom:Deathmatch", r"comes to 0 actions"),
    ],
)
def test_what_cannot_be_played_is_said(folder: Path, game: str, message: str) -> None:
    assert is_vizdoom(game)
    with pytest.raises(ValueError, match=message):
        recording.record(game, folder / "one", 5, 32, 0, nothing)
    assert list(folder.iterdir()) == []
