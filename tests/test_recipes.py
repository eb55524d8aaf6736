"""The objective is a fair question: it scores the unknown frames, and training lowers it."""

import numpy as np
import torch

from kineograph.data.loader import Batches
from kineograph.models import weights
from kineograph.models.net import Kineo
from kineograph.train import checkpoint, recipes
from kineograph.train.loop import FitOptions, fit
from tests_support import TINY_SHAPE, footage, sliding_noise


def batches(size: int = 2) -> Batches:
    return sliding_noise(16, size)


def tiny() -> Kineo:
    torch.manual_seed(0)
    return Kineo(TINY_SHAPE)


def test_the_objective_is_a_function_of_its_generator() -> None:
    model, batch = tiny(), next(batches()(0))
    losses = [
        recipes.predict_objective(model, batch, torch.Generator().manual_seed(seed))[0].item()
        for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_the_objective_falls_where_the_answer_is_right() -> None:
    truth = torch.rand(1, 2, 3, 8, 8)
    right, near = recipes.log_error(truth, truth), recipes.log_error(truth + 0.1, truth)
    assert torch.allclose(right, torch.tensor(recipes.FLOOR).log())
    assert (near > right + 4).all()


def test_levels_are_1_for_the_asked_share() -> None:
    generator = torch.Generator().manual_seed(0)
    levels = recipes.random_levels(4000, 0.7, generator, torch.device("cpu"))
    assert abs(float((levels == 1).float().mean()) - 0.7) < 0.03
    assert 0 < levels.min() < levels.max() <= 1


def test_held_out_error_rises_with_the_noise_level() -> None:
    model, batch = tiny(), next(batches()(0))
    head = model.paint[-1]
    assert isinstance(head, torch.nn.Conv2d)
    assert head.bias is not None
    with torch.no_grad():
        head.bias.view(-1, 16)[5] = 20  # its own picture alone
        low, high = (
            recipes.held_out_objective(model, batch, torch.Generator().manual_seed(0), s)[0]
            for s in (0.02, 0.9)
        )
    assert low < high


def test_rolled_on_clips_know_the_models_own_frames() -> None:
    model, batch = tiny().eval(), next(batches()(0))
    rolled = recipes.rolled_on(model, batch, torch.Generator().manual_seed(0))
    assert rolled.frames.shape == batch.frames.shape
    assert torch.equal(rolled.frames[:, :4], batch.frames[:, 4:8])
    assert torch.equal(rolled.frames[:, 8:12], batch.frames[:, 12:])
    own = rolled.frames[:, 4:8].float() - batch.frames[:, 8:12].float()
    copied = batch.frames[:, 7:8].float() - batch.frames[:, 8:12].float()
    assert 0 < own.square().mean() < copied.square().mean()
    assert rolled.extra["flows"].shape == batch.extra["flows"].shape


def test_the_work_of_a_clip_is_counted_and_leaves_no_gradient() -> None:
    model = tiny()
    one, two = (recipes.flops_a_clip(model, next(batches(n)(0))) for n in (1, 2))
    assert one == two > 1e6
    assert all(p.grad is None for p in model.parameters())


def test_wear_changes_known_frames_alone() -> None:
    clip = footage()[:16]
    kinds = set()
    for seed in range(60):
        made = recipes.worn(clip, np.random.default_rng(seed))
        assert np.array_equal(made[8:], clip[8:])
        still, same = np.array_equal(made[0], made[1]), np.array_equal(made, clip)
        kinds.add("same" if same else "still" if still else "grain")
    assert kinds == {"same", "still", "grain"}


def test_a_run_learns_and_ships_its_mean_weights(tmp_path) -> None:
    options = FitOptions(
        steps=40,
        learning_rate=1e-3,
        warmup_steps=1,
        quiet=True,
        tensorboard=False,
        precision="fp32",
    )
    fixed = next(batches(4)(100))
    model = tiny()

    def error() -> float:
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            return float(recipes.held_out_objective(model, fixed, generator, 1.0)[0])

    before = error()
    result = fit(model, recipes.predict_objective, batches(), options, tmp_path / "run")
    assert result.finished
    assert error() < before
    saved = checkpoint.load_latest(tmp_path / "run" / "checkpoints")
    assert saved is not None
    path = recipes.ship(tmp_path / "run", "m", {"a": 1}, tmp_path, TINY_SHAPE)
    shipped = weights.load(str(path)).state_dict()
    for name, value in saved.ema.items():
        step = value.flatten(1).abs().amax() / 127 if value.ndim > 1 else value.new_zeros(())
        assert torch.allclose(shipped[name], value, rtol=1e-3, atol=1e-6 + 0.51 * float(step)), name
    assert weights.card(str(path)) == {"a": 1, "steps": 40}
