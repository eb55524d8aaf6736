"""The bench tells better from worse, names the best baseline and the worst shot, and repeats."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from kineograph.evaluate.baselines import copy_last
from kineograph.evaluate.bench import BenchOptions, bench_predict
from kineograph.evaluate.clips import EvalClip
from kineograph.evaluate.scores import MEASURES, Scores, psnr_of_mean_error, verdict
from kineograph.evaluate.sheet import contact_sheet, side_by_side

QUICK = BenchOptions(
    num_frames=3, num_samples=3, measures=("psnr", "ssim"), spans=((1, 1), (1, 3), (1, 16)),
    sheet_at=(1, 3), num_sheets=1,
)  # fmt: skip


def film(seed: int, num_frames: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(num_frames, 3, 16, 20, generator=generator) * 2 - 1


def clips() -> list[EvalClip]:
    names = [("a 1", "a"), ("a 2", "a"), ("b/1", "b")]
    return [EvalClip(n, s, film(i)[:2], film(i)[2:]) for i, (n, s) in enumerate(names)]


def prophet(context: torch.Tensor, num_frames: int) -> torch.Tensor:
    """Knows the films, but for a small error."""
    whole = next(f for f in map(film, range(3)) if torch.equal(f[:2], context))
    return (whole[2 : 2 + num_frames] + 0.02).clamp(-1, 1)


def guess(context: torch.Tensor, num_frames: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(num_frames, *context.shape[1:], generator=generator) * 2 - 1


def run(out_dir: Path, **changes) -> Scores:
    given = {
        "baselines": {"copy": copy_last, "grey": lambda c, n: torch.zeros(n, *c.shape[1:])},
        "predictors": {"ours": prophet},
        "draws": {"dice": guess},
        "options": QUICK,
        "console": Console(quiet=True),
    }
    return bench_predict(clips(), out_dir, **(given | changes))


def test_rows_files_and_ranking(tmp_path: Path) -> None:
    scores = run(tmp_path)
    assert scores.ours == ("ours", "dice sample", "dice mean of 3", "dice best of 3")
    assert scores.baselines == ("copy", "grey")
    found = verdict(scores, "ours", MEASURES["psnr"], range(1, 4))
    assert found is not None
    assert found.best_baseline == "grey", "grey has the best average against noise"
    assert found.margin > 20
    assert found.worst_margin <= found.margin
    assert found.worst_shot in {"a", "b"}
    text = (tmp_path / "bench.md").read_text()
    assert "| ours |" in text
    assert "mean 1..3" in text
    assert "1..16" not in text, "a span longer than the bench is left out"
    whole = json.loads((tmp_path / "bench.json").read_text())
    assert len(whole["per_horizon"]["ours"]["psnr"]) == 3
    assert sorted(p.name for p in (tmp_path / "clips").iterdir()) == [
        "a_1.json", "a_2.json", "b_1.json",
    ]  # fmt: skip
    assert len(list((tmp_path / "sheets").iterdir())) == 1
    lines = list(csv.DictReader((tmp_path / "bench.csv").read_text().splitlines()))
    assert len(lines) == 6 * 3 * 3 * 3  # rows, measures with squared error, clips, horizons


def test_mean_and_best_of_samples_are_rows_of_their_own(tmp_path: Path) -> None:
    values = run(tmp_path).values
    mean = {row: tables["psnr"].mean() for row, tables in values.items()}
    assert mean["dice mean of 3"] > mean["dice best of 3"] > mean["dice sample"]


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(tmp_path / name)
    first = {p.relative_to(tmp_path / "one"): p.read_bytes() for p in _files(tmp_path / "one")}
    again = {p.relative_to(tmp_path / "two"): p.read_bytes() for p in _files(tmp_path / "two")}
    assert first == again


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_wrong_answers_are_refused_in_a_sentence(tmp_path: Path) -> None:
    short = {"short": lambda c, n: c[:1]}
    with pytest.raises(ValueError, match=r"short answered \(1, 3, 16, 20\) on clip a 1"):
        run(tmp_path, predictors=short)
    rude = {"rude": lambda c, n: torch.full((n, *c.shape[1:]), torch.nan)}
    with pytest.raises(ValueError, match="rude answered NaN"):
        run(tmp_path, predictors=rude)
    with pytest.raises(ValueError, match="same name: copy"):
        run(tmp_path, predictors={"copy": copy_last})
    with pytest.raises(ValueError, match="has 3 next frames"):
        run(tmp_path, options=BenchOptions(num_frames=9, measures=("psnr",)))
    with pytest.raises(ValueError, match="0 clips"):
        bench_predict([], tmp_path, {"copy": copy_last})
    with pytest.raises(ValueError, match="Unknown measures"):
        BenchOptions(measures=("beauty",))


def by_hand(**rows: list[float]) -> Scores:
    values = {
        name: {"st_lpips": np.array(v)[:, None], "squared_error": np.array(v)[:, None]}
        for name, v in rows.items()
    }
    return Scores(("1", "2", "3"), ("a", "a", "b"), ("ours",), ("p", "q"), values)


def test_verdict_by_hand_where_less_is_better() -> None:
    scores = by_hand(ours=[0.2, 0.4, 0.5], p=[0.3, 0.3, 0.6], q=[0.9, 0.1, 0.9])
    v = verdict(scores, "ours", MEASURES["st_lpips"], range(1, 2))
    assert v is not None
    assert (v.best_baseline, v.worst_shot) == ("p", "a")
    assert v.margin == pytest.approx((0.1 - 0.1 + 0.1) / 3)
    assert v.worst_margin == pytest.approx(0.0)
    assert v.per_clip_best == pytest.approx((0.3 + 0.1 + 0.6) / 3)
    assert v.per_clip_margin == pytest.approx((0.1 - 0.3 + 0.1) / 3)


def test_psnr_of_mean_error_is_not_the_mean_of_psnr() -> None:
    error = np.array([[4e-1], [4e-5]])
    assert psnr_of_mean_error(error, range(1, 2)) == pytest.approx(10 * np.log10(4 / 0.20002))


def test_sheet_and_side_by_side_keep_every_pixel() -> None:
    rows = {"truth": film(0), "a rather long name": film(1)}
    sheet = contact_sheet(rows, [("+1", 0), ("+3", 2)])
    shown = ((film(1)[2] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    corner = sheet[-16:, -20:]
    assert np.array_equal(corner, shown)
    video = side_by_side(rows | {"short": film(2)[:3]}, border=2)
    assert video.shape[0] == 5
    assert video.shape[2] % 2 == video.shape[3] % 2 == 0
    assert video.abs().max() <= 1
