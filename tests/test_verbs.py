"""The verbs by themselves: what is known, and whom they tell."""

from pathlib import Path

import pytest
import torch

from films import samples, simple, times
from kineograph import tasks, video
from kineograph.verbs import running
from kineograph.verbs.asked import Enhance, Predict
from kineograph.verbs.predicting import Span, span_of
from kineograph.verbs.told import Told


def silent(frame: torch.Tensor) -> None:
    """Hears of a frame."""


@pytest.fixture
def quiet() -> Told:
    return Told(lambda said: None, lambda name, total: None, silent)


def test_only_what_is_known_is_kept_and_continued(tmp_path: Path, quiet: Told) -> None:
    film, out = simple(tmp_path / "film.mp4", num_frames=12, sound_seconds=0.5), tmp_path / "o.mp4"
    asked = Predict(film, out, seconds=0.125, steps=1, known="2-7")
    running.run(asked, quiet)
    assert samples(out)[:6] == samples(film)[2:8]
    assert len(samples(out)) == 9
    assert times(out)[0] == 0
    truth = tasks.predict(video.read(film, 2, 6).frames, 3)
    rgb = video.read(out, last=3).frames
    assert (rgb - truth).abs().mean() < 0.1  # chroma has a quarter of the pixels
    other = tasks.predict(video.read(film).frames[-8:], 3)
    assert (rgb - truth).abs().mean() < 0.5 * (rgb - other).abs().mean()
    assert video.read_recipe(out)["known_frames"] == "2-7"


def test_all_known_is_as_if_nothing_were_said(tmp_path: Path, quiet: Told) -> None:
    film = simple(tmp_path / "film.mp4", num_frames=9)
    outs = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for out, known in zip(outs, (None, "0-8"), strict=True):
        running.run(Predict(film, out, seconds=0.1, known=known), quiet)
    assert samples(outs[0]) == samples(outs[1])


@pytest.mark.parametrize(
    "known", ["", "a", "3-2", "0-9", "9", "-1", "0-1,4", "1e3", "0-99999999999"]
)
def test_what_is_not_in_the_film_is_not_known(known: str) -> None:
    with pytest.raises(ValueError, match="known frames"):
        span_of(known, 9)


def test_runs_of_known_frames() -> None:
    assert span_of(None, 9) == Span(0, 9)
    assert span_of("0-8", 9) == Span(0, 9)
    assert span_of(" 3 ", 9) == Span(3, 4)


def test_before_goes_with_a_film_that_is_known_from_its_start(tmp_path: Path, quiet: Told) -> None:
    film = simple(tmp_path / "film.mp4", num_frames=9)
    with pytest.raises(ValueError, match="begins after frame 0"):
        running.run(Predict(film, tmp_path / "o.mp4", known="1-8", before=0.1), quiet)


def test_every_frame_is_told_and_whoever_hears_may_end_it(tmp_path: Path) -> None:
    film, out = simple(tmp_path / "film.mp4", num_frames=6), tmp_path / "out.mp4"
    heard: list[object] = []
    told = Told(heard.append, lambda *about: heard.append(about), lambda frame: heard.append(1))
    running.run(Enhance(video=film, out=out, deflicker=1.0), told)
    assert heard == [("enhance", 6), *[1] * 6, f"{out}: 6 frames."]
    out.unlink()

    def enough(frame: torch.Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        running.run(Enhance(video=film, out=out), Told(heard.append, lambda *about: None, enough))
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
