"""The loop learns, guards itself, and leaves a record; its parts hold what they say."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import torch
from torch import Tensor, nn

import tiny_run
from kineograph import scale
from kineograph.data.loader import Batch
from kineograph.models.layers import smoothed
from kineograph.train import checkpoint, ema, log, loop, machine, optimise, precision, scoring


def test_the_loss_falls(tmp_path: Path) -> None:
    tiny_run.run(tmp_path)
    losses = [line["loss"] for line in log.read(tmp_path) if "loss" in line]
    assert len(losses) == tiny_run.OPTIONS.steps
    assert losses[-1] < 0.7 * losses[0]


def test_a_settled_machine_trains_the_same(tmp_path: Path) -> None:
    plain = tiny_run.run(tmp_path / "a").loss
    threads = cv2.getNumThreads()
    try:
        machine.settle()
        assert cv2.getNumThreads() == 1
        assert tiny_run.run(tmp_path / "b").loss == plain
    finally:
        cv2.setNumThreads(threads)


def test_the_record_is_whole(tmp_path: Path) -> None:
    options = dataclasses.replace(tiny_run.OPTIONS, flops_per_clip=1e3)
    result = loop.fit(
        tiny_run.tiny_model(), tiny_run.objective, tiny_run.BATCHES, options, tmp_path,
        pictures=lambda model: {"strip": torch.rand(3, 4, 8)},
    )  # fmt: skip
    assert result.finished
    assert result.gemm_share is not None
    assert 0 <= result.wait_share <= 1
    assert (tmp_path / "strip-00000020.png").exists()
    assert [p.name for p in checkpoint.steps_in(tmp_path / "checkpoints")] == [
        "step-00000020", "step-00000018",
    ]  # fmt: skip
    assert sum("gemm_share" in line for line in log.read(tmp_path)) == 4


def bad_at(positions: set[int]) -> loop.BatchesFrom:
    """Batches some of which make the loss not finite."""

    def batches(position: int) -> Iterator[Batch]:
        for number, batch in enumerate(tiny_run.BATCHES(position), start=position):
            flag = torch.full((3,), math.nan if number in positions else 1.0)
            yield batch._replace(extra={"flag": flag})

    return batches


def flagged(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    loss, parts = tiny_run.objective(model, batch, generator)
    return loss * batch.extra["flag"].mean(), parts


def test_a_bad_step_is_skipped(tmp_path: Path) -> None:
    model = tiny_run.tiny_model()
    result = loop.fit(model, flagged, bad_at({4, 9, 10}), tiny_run.OPTIONS, tmp_path)
    assert result.finished
    assert all(p.isfinite().all() for p in model.parameters())


def test_many_bad_steps_bring_the_last_checkpoint_back(tmp_path: Path) -> None:
    options = dataclasses.replace(tiny_run.OPTIONS, steps=9, checkpoint_every=5, bad_steps=2)
    model = tiny_run.tiny_model()
    loop.fit(model, flagged, bad_at({7, 8}), options, tmp_path)
    saved = checkpoint.load(tmp_path / "checkpoints" / "step-00000005")
    for name, tensor in checkpoint.tensors_of(model).items():
        assert torch.equal(tensor, saved.model[name])


def test_a_loss_that_stays_bad_ends_the_run(tmp_path: Path) -> None:
    options = dataclasses.replace(tiny_run.OPTIONS, bad_steps=2)
    with pytest.raises(ValueError, match="loss is nan at step 8"):
        loop.fit(tiny_run.tiny_model(), flagged, bad_at(set(range(99))), options, tmp_path)


def plain_objective(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    return model(batch.frames.flatten(2).float() / 255).square().mean(), {}


def test_accumulated_batches_equal_one_large_batch(tmp_path: Path) -> None:
    small = dataclasses.replace(tiny_run.BATCHES, batch_size=2)
    large = dataclasses.replace(tiny_run.BATCHES, batch_size=4)
    options = dataclasses.replace(tiny_run.OPTIONS, steps=3)
    models = [tiny_run.tiny_model().eval() for _ in range(2)]
    for model in models:
        model.get_submodule("1").p = 0.0  # type: ignore[assignment]
    twice = dataclasses.replace(options, accumulate=2)
    loop.fit(models[0], plain_objective, small, twice, tmp_path / "small")
    loop.fit(models[1], plain_objective, large, options, tmp_path / "large")
    for one, other in zip(*(m.parameters() for m in models), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_time_may_end_a_run_early_and_it_goes_on_later(tmp_path: Path) -> None:
    short = dataclasses.replace(tiny_run.OPTIONS, minutes=0.0)
    assert tiny_run.run(tmp_path, options=short).step == 0
    assert tiny_run.run(tmp_path).finished


@pytest.mark.parametrize("shape", ["cosine", "wsd"])
def test_the_rate_warms_up_and_falls_to_zero(shape: optimise.RateShape) -> None:
    rates = [optimise.rate_at(step, 100, shape, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0, abs=1e-6)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_applying_the_mean_changes_nothing_for_good() -> None:
    model = tiny_run.tiny_model()
    mean = ema.started(model)
    ema.update(mean, model, 0.5)
    for tensor in mean.values():
        tensor.add_(0.1)
    before = {k: v.clone() for k, v in checkpoint.tensors_of(model).items()}
    kept = {k: v.clone() for k, v in mean.items()}
    with ema.applied(mean, model):
        for name, tensor in checkpoint.tensors_of(model).items():
            assert torch.equal(tensor, kept[name])
    for name, tensor in checkpoint.tensors_of(model).items():
        assert torch.equal(tensor, before[name])
        assert torch.equal(mean[name], kept[name])
    assert model.training


def test_a_checkpoint_of_another_model_is_refused() -> None:
    ours = checkpoint.tensors_of(nn.Linear(2, 3))
    with pytest.raises(ValueError, match=r"\(3, 2\) in the model but \(4, 2\)"):
        checkpoint.restore(ours, {"weight": torch.zeros(4, 2), "bias": torch.zeros(3)})
    with pytest.raises(ValueError, match="Only the model has 'bias'"):
        checkpoint.restore(ours, {"weight": torch.zeros(3, 2)})


def test_precision_is_as_asked_or_as_measured() -> None:
    cpu = torch.device("cpu")
    assert precision.choose(cpu, "bf16").name == "bf16"
    auto = precision.choose(cpu)
    assert auto.rate == max(auto.rate, 0.7 * auto.fp32_rate, 0.7 * auto.bf16_rate)
    with precision.autocast(cpu, "bf16"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_one_process_needs_no_ranks() -> None:
    model = nn.Linear(1, 1)
    assert scale.data_parallel(model, scale.Ranks()) is model
    assert scale.any_of(True, scale.Ranks(), torch.device("cpu"))


@pytest.mark.parametrize(
    ("names", "cached"),
    [
        (("memory.max", "memory.current"), "inactive_file"),
        (("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_inactive_file"),
    ],
)
def test_what_a_container_was_given_bounds_free_memory(
    tmp_path: Path, names: tuple[str, str], cached: str
) -> None:
    for name, value in zip(names, ("3000000000", "1000000000"), strict=True):
        (tmp_path / name).write_text(value)
    (tmp_path / "memory.stat").write_text(f"anon 5\n{cached} 250000000\n")
    assert machine.left_mb(tmp_path) == pytest.approx(2250.0)
    (tmp_path / names[0]).write_text("max")
    assert machine.left_mb(tmp_path) is None


def test_texture_counts_what_is_drawn_out_and_not_what_is_a_little_elsewhere() -> None:
    generator = torch.Generator().manual_seed(0)
    film = smoothed(torch.rand(1, 3, 64, 64, generator=generator), 3)
    elsewhere, drawn_out = film.roll(1, -1), film[..., 32:33, :].expand(-1, -1, 64, -1)
    assert float(scoring.texture_error(film, film)) == 0
    near, far = (float(scoring.texture_error(x, film)) for x in (elsewhere, drawn_out))
    assert near < 0.5 * far
    assert float(scoring.edge_error(elsewhere, film)) > float(scoring.edge_error(film, film))
