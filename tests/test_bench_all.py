"""The bench asks fair questions, hides the truth, measures where it says, and keeps its parts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from kineograph import video
from kineograph.evaluate import peers
from kineograph.evaluate.bench_all import (
    Part,
    answered,
    bench_all,
    margin_table,
    method_table,
    squared_error,
)
from kineograph.evaluate.endure import endure
from kineograph.evaluate.metrics import psnr
from kineograph.evaluate.questions import (
    ROWS,
    Question,
    as_given,
    blind,
    moving_hole,
    questions,
    resized,
    still_hole,
    whole_film,
)
from kineograph.models import weights

SHOTS = [(0, 24), (24, 48), (48, 51)]
QUIET = Console(quiet=True)


def film() -> np.ndarray:
    """Two shots of coloured blocks that slide, and a third too short for anything."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (2, 12, 30, 3)).astype(np.uint8).repeat(6, 1).repeat(6, 2)
    return np.stack([wide[t // 24 % 2, :72, t % 24 : t % 24 + 128] for t in range(51)])


def asked(row: str, size: tuple[int, int] = (64, 36)) -> list[Question]:
    return list(questions(row, film(), SHOTS, size))


@pytest.mark.parametrize("row", list(ROWS))
def test_a_question_a_shot_the_same_every_time(row: str) -> None:
    first, again = asked(row), asked(row)
    assert [q.shot for q in first] == ["bbb-0", "bbb-24"]
    for one, same in zip(first, again, strict=True):
        assert torch.equal(one.given, same.given)
        assert one.truth.shape[-2:] == (36, 64)
        assert len(one.truth) >= 4
        for frames in (one.truth, one.given):
            held = (frames + 1) * 127.5
            kept = held[one.hole.logical_not().expand_as(held)] if one.hole is not None else held
            torch.testing.assert_close(kept, kept.round(), atol=1e-4, rtol=0)
    assert not torch.equal(first[0].given, first[1].given)


def test_few_clips_are_spread_over_the_shots() -> None:
    many = [(t, t + 12) for t in range(0, 36, 3)]
    names = [q.shot for q in questions("denoise", film(), many, (32, 18), most=3)]
    assert names[0] == "bbb-0"
    assert names[-1] == "bbb-33"
    assert len(names) == 3


@pytest.mark.parametrize("num_frames", [9, 10, 33])
def test_interpolation_gives_every_second_frame_and_asks_the_others(num_frames: int) -> None:
    frames = torch.arange(num_frames).float()[:, None, None, None].expand(-1, 3, 2, 2) / 50
    question = ROWS["interpolate"].cut(frames, "a", "a", 0)
    assert torch.equal(whole_film(question, question.truth), frames[: len(question.truth) * 2 + 1])
    assert len(as_given(question)) == 2 * len(question.truth) + 1


def test_noise_has_the_stated_strength_and_another_seed_other_noise() -> None:
    frames = torch.zeros(8, 3, 64, 64)
    noises = [ROWS["denoise"].cut(frames, "a", "a", seed).given * 127.5 for seed in (0, 1)]
    for noise in noises:
        assert noise.std() == pytest.approx(25, rel=0.02)
        assert abs(noise.mean()) < 0.3
    assert abs(float((noises[0] * noises[1]).mean())) < 10


def test_small_frames_are_means_of_blocks() -> None:
    question = asked("upscale")[0]
    block = question.truth[2, 1, 8:12, 20:24].mean()
    assert question.given[2, 1, 2, 5] == pytest.approx(float(block), abs=1 / 250)
    assert as_given(question).shape == question.truth.shape


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([(128, 128), (144, 256), (36, 64)]))
def test_the_hole_is_a_quarter_and_moves_as_stated(seed: int, size: tuple[int, int]) -> None:
    hole = moving_hole(24, *size, seed)
    assert hole.sum(dim=(1, 2, 3)).eq(size[0] * size[1] // 4).all()
    corners = hole[:, 0].flatten(1).int().argmax(dim=1)
    top, left = corners // size[1], corners % size[1]
    steps = torch.hypot(top.diff().float(), left.diff().float()) / size[1]
    rounding = 1.5 / size[1]
    assert steps.max() <= 0.03 + rounding
    assert steps.median() >= 0.015 - rounding


@given(seed=st.integers(0, 10**6), size=st.sampled_from([(128, 128), (144, 256), (36, 64)]))
def test_a_still_hole_is_a_box_that_stays(seed: int, size: tuple[int, int]) -> None:
    hole = still_hole(5, *size, seed)
    assert hole.eq(hole[:1]).all()
    rows, columns = hole[0, 0].any(1), hole[0, 0].any(0)
    assert rows.sum() == round(0.3 * size[0])
    assert columns.sum() == round(0.3 * size[1])
    assert torch.equal(hole[0, 0], rows[:, None] & columns)


@pytest.mark.parametrize("row", ["inpaint", "still"])
def test_the_hole_is_grey_and_the_rest_is_the_film(row: str) -> None:
    question = asked(row)[0]
    assert question.hole is not None
    shown = question.hole.expand_as(question.given)
    assert question.given[shown].eq(0).all()
    assert torch.equal(question.given[~shown], question.truth[~shown])


def test_pictures_are_cut_to_shape_and_not_squeezed() -> None:
    frames = np.zeros((1, 180, 320, 3), np.uint8)
    frames[:, :, 70:250] = 200
    assert (resized(frames, (128, 128)) == 200).all()
    assert resized(frames, (256, 144)).mean() == pytest.approx(200 * 180 / 320, abs=0.5)


def test_the_truth_is_hidden_from_answers() -> None:
    question = asked("denoise")[0]
    assert blind(question).truth.isnan().all()
    with pytest.raises(ValueError, match=r"peeker answered NaN or infinity on denoise of bbb-4"):
        answered("peeker", lambda q: q.truth, question)
    with pytest.raises(ValueError, match=r"short answered \(1, 3, 36, 64\) on denoise"):
        answered("short", lambda q: q.given[:1], question)


def test_error_counts_in_the_hole_alone_and_known_pixels_come_back() -> None:
    question = asked("inpaint")[0]
    assert question.hole is not None
    assert squared_error(question.truth, question).eq(0).all()
    moved = (question.truth + torch.where(question.truth > 0, -20, 20) / 127.5).clamp(-1, 1)
    worse_outside = torch.where(question.hole, moved, 1.0)
    error = squared_error(worse_outside, question)
    torch.testing.assert_close(error, torch.full_like(error, (20 / 127.5) ** 2))
    answer = answered("grey", lambda q: torch.zeros_like(q.truth), question)
    assert torch.equal(torch.where(question.hole, question.truth, answer), question.truth)


def run(out_dir: Path, calls: list[str], **changes) -> list[Part]:
    def nearly(question: Question) -> torch.Tensor:
        calls.append(question.name)
        whole = {q.name: q.truth for q in asked(question.row)}[question.name]
        return (whole * 0.98).clamp(-1, 1)

    options = {"rows": ["upscale"], "sizes": [(64, 36)], "quick": True} | changes
    ours = {"upscale": {"nearly": nearly}}
    return bench_all(
        ours, out_dir, console=QUIET, film=film(), clip_shots=SHOTS, **options
    )  # fmt: skip


def test_a_quick_run_writes_all_and_is_kept_until_fresh(tmp_path: Path) -> None:
    calls: list[str] = []
    part = run(tmp_path, calls)[0]
    assert len(calls) == 3, "two clips, and one call to warm up"
    assert part.values["nearly"]["psnr"][0] > max(part.values["bicubic"]["psnr"][0], 35)
    assert set(part.values["nearly"]) == {"squared_error", "psnr", "flicker"}
    assert all(seconds > 0 for seconds in part.seconds.values())
    text = (tmp_path / "report.md").read_text()
    assert "| ours: nearly |" in text
    assert "| nearly | PSNR (dB) |" in text
    page = (tmp_path / "index.html").read_text()
    for clip in part.shown:
        assert f'src="films/upscale-64x36-{clip}.mp4"' in page
        assert video.count_frames(tmp_path / "films" / f"upscale-64x36-{clip}.mp4") == 16
        assert (tmp_path / "sheets" / f"upscale-64x36-{clip}.png").stat().st_size > 1000
    assert run(tmp_path, calls)[0] == part
    assert len(calls) == 3, "the second run measured nothing"
    run(tmp_path, calls, fresh=True)
    assert len(calls) == 6
    run(tmp_path, calls, about={"model": "another"})
    assert len(calls) == 9, "another model is measured anew"
    whole = json.loads((tmp_path / "report.json").read_text())
    assert whole["about"] == {"model": "another"}
    run(tmp_path, calls, about={"model": "a"}, made_by={"upscale": "x"})
    assert len(calls) == 12
    run(tmp_path, calls, about={"model": "b"}, made_by={"upscale": "x"})
    assert len(calls) == 12, "another model with the same maker of this row"


def test_the_margin_is_against_the_single_best_average() -> None:
    values = {
        "nearly": {"psnr": [30.0, 34.0], "squared_error": [0.004, 0.0016]},
        "p": {"psnr": [31.0, 29.0], "squared_error": [0.003, 0.005]},
        "q": {"psnr": [28.0, 31.0], "squared_error": [0.006, 0.003]},
    }
    part = Part(
        "upscale", "64x36", {"quick": True}, ["1", "2"], ["a", "b"], ["nearly"], ["p", "q"], [],
        [], values, dict.fromkeys(values, 1.0), [],
    )  # fmt: skip
    head, (line,) = margin_table(part)
    cells = dict(zip(head, line, strict=True))
    assert cells["best classical"] == "p"
    assert cells["margin"] == "+2.00"
    assert cells["worst shot"] == "-1.00 (a)"
    assert cells["margin to the best of each clip"] == "+1.00"
    head, lines = method_table(part)
    mean_error = 10 * np.log10(4 / 0.0028)
    assert lines[0][head.index("PSNR of the mean error")] == f"{mean_error:.2f}"


def test_a_full_run_has_every_measure(tmp_path: Path) -> None:
    part = run(tmp_path, [], quick=False)[0]
    mine, theirs = part.values["nearly"], part.values["bicubic"]
    assert set(mine) == {"squared_error", "psnr", "ssim", "st_lpips", "vmaf", "flicker"}
    for kind in ("psnr", "ssim", "vmaf"):
        assert min(mine[kind]) > max(theirs[kind]), kind
    assert max(mine["st_lpips"]) < min(theirs["st_lpips"])


def test_what_cannot_be_run_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no rows \['dance'\]"):
        bench_all({"dance": {}}, tmp_path, console=QUIET)
    with pytest.raises(ValueError, match="Two methods of upscale are called bicubic"):
        bench_all(
            {"upscale": {"bicubic": lambda q: q.truth}}, tmp_path, [(64, 36)], True, QUIET,
            rows=["upscale"], film=film(), clip_shots=SHOTS,
        )  # fmt: skip
    with pytest.raises(ValueError, match="None of 1 shots has the 9 frames"):
        list(questions("interpolate", film(), SHOTS[2:], (64, 36)))


@pytest.mark.parametrize("row", ["interpolate", "upscale"])
def test_peers_answer_or_say_what_is_missing(row: str) -> None:
    answers, missing = peers.peers(row)
    assert len(answers) + len(missing) == 2
    question = asked(row, (128, 72))[0]
    for name, answer in answers.items():
        made = answered(name, answer, question)
        assert psnr(made, question.truth).mean() > psnr(made.flip(-1), question.truth).mean() + 3


def test_endurance_is_measured_for_every_way(tmp_path: Path) -> None:
    endure(weights.load(), tmp_path, QUIET, 6, (64, 48), film()[:4])
    told = json.loads((tmp_path / "720p.json").read_text())
    assert list(told) == ["denoise", "upscale x2", "upscale x4"]
    for went in told.values():
        assert went["fps"] > 0
        assert went["peak_mb_at_end"] >= went["peak_mb_at_first"] > 0
