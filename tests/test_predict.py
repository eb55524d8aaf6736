"""`kineo predict` keeps what it was given, repeats itself to the byte, and says what is wrong."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from kineograph import Writer, predict, read, read_recipe
from kineograph.answer import Sampling
from kineograph.cli import main
from kineograph.models import weights
from kineograph.tasks import frames_in, predicting
from kineograph.video import source_frames
from tests_support import TINY_SHAPE, panning

CLIP = Path(weights.__file__).parents[1] / "assets" / "clip.mp4"


@pytest.fixture(scope="module")
def model() -> weights.Kineo:
    torch.manual_seed(0)
    return weights.Kineo(TINY_SHAPE).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """Twelve frames of an odd-sized moving picture."""
    path = tmp_path_factory.mktemp("film") / "in.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 50, 38, "yuv444p"
        for t in range(12):
            y, x = np.mgrid[0:38, 0:50]
            grey = (127 + 90 * np.sin((x - t) / 4) * np.cos(y / 6)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.dstack([grey] * 3), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("size", [(2, 2), (17, 33), (48, 64), (200, 150)])
@pytest.mark.parametrize("num_known", [1, 3, 8, 11])
def test_any_size_and_any_number_of_known_frames(model, size, num_known) -> None:
    frames = torch.rand(num_known, 3, *size) * 2 - 1
    answer = predict(frames, 3, model)
    assert answer.shape == (3, 3, *size)
    assert answer.abs().max() <= 1


def test_frames_are_levels_that_a_file_can_hold(model) -> None:
    answer = predict(torch.rand(8, 3, 32, 32) * 2 - 1, 2, model)
    levels = (answer + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_same_seed_gives_the_same_frames(model, steps) -> None:
    frames = torch.rand(8, 3, 32, 32) * 2 - 1
    one, same = (predict(frames, 10, model, Sampling(steps, seed=5)) for _ in range(2))
    assert torch.equal(one, same)


def test_a_longer_answer_begins_like_a_shorter_one(model) -> None:
    frames = torch.rand(8, 3, 32, 32) * 2 - 1
    assert torch.equal(predict(frames, 20, model)[:5], predict(frames, 5, model))


def test_a_still_picture_stays(model) -> None:
    still = (torch.full((8, 3, 32, 32), 100.0) / 127.5) - 1
    assert (predict(still, 30, model) - still[0]).abs().max() < 3 / 255


def test_frames_come_as_they_are_made(model) -> None:
    stream = predicting(torch.zeros(8, 3, 32, 32), 10_000_000, model)
    assert next(stream).shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("frames", "num", "said"),
    [
        (torch.zeros(0, 3, 8, 8), 2, "t >= 1"),
        (torch.zeros(4, 1, 8, 8), 2, "RGB"),
        (torch.zeros(4, 3, 1, 1), 2, "too small"),
        (torch.full((4, 3, 8, 8), float("nan")), 2, "NaN"),
        (torch.zeros(4, 3, 8, 8), 0, "ask for 1"),
    ],
)
def test_bad_arrays_are_refused(model, frames, num, said) -> None:
    with pytest.raises(ValueError, match=said):
        predict(frames, num, model)


def test_seconds_become_frames() -> None:
    assert frames_in(1.0, Fraction(24000, 1001)) == 24
    assert frames_in(0.001, Fraction(25)) == 1
    with pytest.raises(ValueError, match="more than 0"):
        frames_in(float("nan"), Fraction(25))


def test_the_command_keeps_the_given_frames_exactly(film, tmp_path) -> None:
    out, picture = tmp_path / "out.mkv", tmp_path / "c.png"
    main(["predict", str(film), "--seconds", "0.2", "--out", str(out), "--compare", str(picture)])
    given = [f.to_ndarray() for f in source_frames(film)]
    kept = [f.to_ndarray() for f in source_frames(out)]
    assert len(kept) == len(given) + 5
    assert all(np.array_equal(a, b) for a, b in zip(given, kept, strict=False))
    clip = read(out)
    assert clip.fps == 25
    torch.testing.assert_close(clip.pts_seconds.diff(), torch.full((16,), 0.04).double())
    recipe = read_recipe(out)
    assert recipe["model"]["sha256"] == weights.digest()
    assert recipe["num_frames"] == 5
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    assert drawn.shape[0] > 4 * 38


def test_the_command_writes_the_same_bytes_twice(film, tmp_path) -> None:
    outs = [tmp_path / "a.mkv", tmp_path / "b.mkv"]
    for out in outs:
        main(["predict", str(film), "--seconds", "0.2", "--steps", "2", "--out", str(out)])
    frames = [read(out).frames for out in outs]
    assert torch.equal(frames[0], frames[1])


def test_a_film_of_one_frame_is_continued(film, tmp_path) -> None:
    one, out = tmp_path / "one.mkv", tmp_path / "out.mkv"
    with Writer(one, width=50, height=38, fps=25) as writer:
        writer.write(read(film, num_frames=1).frames)
    main(["predict", str(one), "--seconds", "0.1", "--out", str(out)])
    assert read(out).num_frames == 3


def bad_films(folder: Path) -> dict[str, Path]:
    made = {name: folder / f"{name}.mp4" for name in ("missing", "empty", "text", "cut")}
    made["empty"].write_bytes(b"")
    made["text"].write_text("this is no film\n" * 50)
    made["cut"].write_bytes(CLIP.read_bytes()[:3000])
    return made


@pytest.mark.parametrize("which", ["missing", "empty", "text", "cut"])
def test_bad_films_end_in_one_sentence_and_code_2(which, tmp_path, capsys) -> None:
    path = bad_films(tmp_path)[which]
    before = set(tmp_path.iterdir())
    with pytest.raises(SystemExit) as stop:
        main(["predict", str(path), "--out", str(tmp_path / "o.mp4")])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert path.name in said.replace("\n", "")
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "more", [["--seconds", "-1"], ["--steps", "0"], ["--seed", "-3"], ["--model", "none"]]
)
def test_bad_options_end_in_code_2_and_no_file(film, tmp_path, capsys, more) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["predict", str(film), "--out", str(tmp_path / "o.mp4"), *more])
    assert stop.value.code == 2
    assert not list(tmp_path.iterdir())


def test_the_film_itself_is_never_written_over(film, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["predict", str(film), "--out", str(film)])
    assert stop.value.code == 2
    assert "another --out" in capsys.readouterr().err.replace("\n", " ")


def test_samples_of_the_large_network_differ_by_seed_and_not_by_steps() -> None:
    torch.manual_seed(0)
    model = weights.Kineo(TINY_SHAPE).eval().requires_grad_(False)
    for layer in (model.move_coarse, model.move_fine, model.paint[-1]):
        for weight in list(layer.parameters())[:1]:
            torch.nn.init.normal_(weight, std=0.05)
    known = panning(8, 1.5)
    one = predict(known, 3, model, Sampling(2, seed=1))
    assert torch.equal(one, predict(known, 3, model, Sampling(4, seed=1)))
    assert not torch.equal(one, predict(known, 3, model, Sampling(2, seed=2)))
