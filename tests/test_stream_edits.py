"""`kineo stream` takes away, restyles and translates as frames come; all else passes as it is."""

from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

from films import film as film_of
from films import stored, textured
from kineograph import regions, tasks, video
from kineograph.cli import stream_making
from kineograph.cli.stream_commands import Stream
from kineograph.cli.streams import stream
from kineograph.models import weights
from kineograph.models.window import Predictor
from kineograph.regions import Pointed, box
from kineograph.train import transfer
from tests_support import panning

WIDTH, HEIGHT, NUM = 64, 48, 4
BOX = "16,16,16,16"
INSIDE = (..., slice(16, 32), slice(16, 32))


@pytest.fixture(scope="module")
def model() -> Predictor:
    return weights.load()


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [stored(picture, "yuv444p") for picture in textured(NUM, WIDTH, HEIGHT)]
    return film_of(tmp_path_factory.mktemp("given") / "film.mkv", frames)


def red(path: Path) -> Path:
    with video.Writer(path, width=32, height=32, fps=Fraction(24), quality="exact") as writer:
        writer.write(torch.tensor([0.9, -0.8, -0.8])[None, :, None, None].expand(2, 3, 32, 32))
    return path


def quiet() -> Console:
    return Console(file=StringIO(), width=200)


def made(given: Path, out: Path, **asked: Any) -> Tensor:
    stream(Stream(str(given), out, fast=True, quality="exact", **asked), quiet())
    return video.read(out).frames


def outside_stays(before: Tensor, after: Tensor) -> bool:
    away = (before - after).abs().amax((0, 1))
    away[INSIDE] = 0
    return float(away.max()) <= 1.01 / 127.5  # a film is written in luma and chroma


def test_a_region_is_taken_away(given: Path, tmp_path: Path, model: Predictor) -> None:
    before = video.read(given).frames
    answer = made(given, tmp_path / "out.mkv", inpaint=BOX)
    holes = regions.named(BOX, before)
    task = torch.stack(list(tasks.inpaint_live(before, holes, model)))
    assert (answer - task).abs().max() < 2.01 / 127.5
    assert outside_stays(before, answer)
    assert (answer - before)[INSIDE].abs().max() > 0.1


def test_a_region_is_restyled(given: Path, tmp_path: Path) -> None:
    before, look = video.read(given).frames, red(tmp_path / "red.mkv")
    answer = made(given, tmp_path / "out.mkv", edit=look, strength=0.9, region=BOX)
    assert outside_stays(before, answer)
    redder = (answer - before)[INSIDE].mean((0, 2, 3))
    assert redder[0] > 0.2
    assert redder[1:].max() < -0.2


def test_edits_go_together_with_what_makes_it_better(given: Path, tmp_path: Path) -> None:
    look = red(tmp_path / "red.mkv")
    asked = {"inpaint": BOX, "edit": look, "denoise": 0.5, "scale": 2}
    assert made(given, tmp_path / "out.mkv", **asked).shape == (NUM, 3, 2 * HEIGHT, 2 * WIDTH)


def test_it_is_shown_in_another_domain(given: Path, tmp_path: Path) -> None:
    target = textured(3, WIDTH, HEIGHT)
    net, result = transfer.learn(255 - target, target, tmp_path / "run", 1.0, steps=2)
    path = tmp_path / "map.safetensors"
    transfer.save(net, path, result, ("negative", "film"))
    answer = made(given, tmp_path / "out.mkv", transfer=path)
    task = torch.stack(list(tasks.transfer(video.read(given).frames, weights.load_map(str(path)))))
    assert (answer - task).abs().max() < 2.01 / 127.5


def test_what_is_pointed_at_is_taken_away_from_then_on() -> None:
    pointed, frames = Pointed(), panning(6, 1.0)
    asked = Stream("film.mkv", inpaint="point")
    make = stream_making.make_of(asked, Fraction(24), pointed, lambda number, why: None)
    assert make is not None
    answers = make(iter(frames))
    assert torch.equal(next(answers), frames[0])
    pointed.add(box("25%,25%,25%,25%"), follow=False)
    apart = (next(answers) - frames[1]).abs()
    assert apart[:, 12:24, 12:24].max() > 0.02
    apart[:, 12:24, 12:24] = 0
    assert apart.max() == 0
    pointed.clear()
    assert torch.equal(next(answers), frames[2])


def test_what_is_lost_is_said_and_the_stream_goes_on(tmp_path: Path) -> None:
    pictures = np.full((6, HEIGHT, WIDTH, 3), (30, 120, 30), np.uint8)
    pictures[:3, 18:30, 18:30] = 230, 40, 40
    pictures[3:, 18:30, 18:30] = 40, 40, 230
    given = film_of(tmp_path / "film.mkv", [stored(one, "yuv444p") for one in pictures])
    said = StringIO()
    asked = Stream(str(given), tmp_path / "out.mkv", fast=True, inpaint=f"track:{BOX}")
    stream(asked, Console(file=said, width=200))
    assert video.count_frames(tmp_path / "out.mkv") == 6
    assert "lost at frame 3" in said.getvalue()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"inpaint": "point"}, "must be a page"),
        ({"inpaint": "point", "edit": Path("a.png"), "region": "point"}, "not both"),
        ({"region": BOX}, "give --edit a look"),
        ({"edit": Path("a.png"), "strength": 2.0}, "--strength is 2"),
        ({"edit": Path("a.png"), "predict": 0.5}, "ask --edit by itself"),
        ({"inpaint": BOX, "predict": 0.5}, "ask --inpaint by itself"),
        ({"inpaint": "0,0,100,100"}, "reaches to 100,100"),
        ({"edit": Path("no-such-look.png")}, "does not exist"),
    ],
)
def test_what_cannot_be_asked_is_told(given: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stream(Stream(str(given), Path("-"), fast=True, **asked), quiet())


def test_masks_for_each_frame_need_each_frame(given: Path, tmp_path: Path) -> None:
    masks, out = tmp_path / "masks.mkv", tmp_path / "out.mkv"
    before = video.read(given).frames
    inside = torch.full((NUM, 3, HEIGHT, WIDTH), -1.0)
    inside[INSIDE] = 1
    with video.Writer(masks, like=video.probe(given), quality="exact") as writer:
        writer.write(inside)
    with pytest.raises(ValueError, match="--late wait"):
        stream(Stream(str(given), out, inpaint=str(masks)), quiet())
    assert outside_stays(before, made(given, out, inpaint=str(masks)))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"inpaint": BOX}, "without a region"),
        ({"inpaint": "point"}, "without what is pointed at"),
        ({"edit": Path("far/look.png"), "denoise": 0.5}, "denoised, restyled as look.png"),
        ({"transfer": Path("far/night.safetensors")}, "shown by night.safetensors"),
        ({}, "as it is"),
    ],
)
def test_what_is_done_is_said_without_folders(asked: dict[str, Any], said: str) -> None:
    assert stream_making.doing(Stream("film.mkv", **asked)) == said
