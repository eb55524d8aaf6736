"""The predictor in latents begins at the decoded guess, keeps what is known, and travels whole."""

import pytest
import torch
from torch import Tensor

from kineograph import Writer, predict, read, read_recipe
from kineograph.answer import Sampling
from kineograph.cli import main
from kineograph.models import weights
from kineograph.models.codec import Codec, Pixels, Vae
from kineograph.models.guess import guess_of
from kineograph.models.latent import LatentKineo, LatentShape
from kineograph.models.net import answered
from kineograph.models.window import opened
from kineograph.shapes import Grid
from kineograph.train import recipes_latent
from kineograph.train.loop import FitOptions, fit
from kineograph.video.levels import from_levels
from tests_support import TINY_LATENT, TINY_VAE, panning, sliding_noise


def tiny(codec: Codec | None = None, awake: bool = False) -> LatentKineo:
    """An untrained model; awake, its head answers something."""
    torch.manual_seed(0)
    model = LatentKineo(codec or Vae(TINY_VAE), TINY_LATENT)
    if awake:
        head = model.decode[-1]
        assert isinstance(head, torch.nn.Conv2d)
        torch.nn.init.normal_(head.weight, std=0.05)
    return model.eval().requires_grad_(False)


def as_held(frames: Tensor) -> Tensor:
    return ((frames.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("size", [(48, 48), (37, 50)])
def test_untrained_it_answers_the_decoded_guess(steps: int, size: tuple[int, int]) -> None:
    model, known = tiny(), as_held(panning(8, 1.0, 50)[..., : size[0], : size[1]])
    grid = Grid(*size, 16)
    padded = grid.pad(known)[None]
    said = answered(model.weigh, padded[:, -3:], guess_of(padded), range(1, 9)).blend
    told = grid.crop(model.codec.decode(model.codec.encode(said)))[0]
    answer = predict(known, 8, model, Sampling(steps))
    torch.testing.assert_close(answer, as_held(told), atol=1.01 / 127.5, rtol=0)


def test_untrained_and_in_pixels_it_answers_the_guess_itself() -> None:
    known = panning(8, 1.0)[None]
    model, guess = tiny(Pixels()), guess_of(known)
    latents = torch.cat([known, torch.randn(known.shape)], 1)
    sigma = torch.zeros_like(latents[:, :, :1])
    sigma[:, 8:] = 1
    answer = model(latents, sigma, model.guidance(known, guess))
    assert torch.equal(answer, answered(model.weigh, known[:, -3:], guess, range(1, 9)).blend)


def test_known_latents_stay_as_they_are() -> None:
    window = opened(tiny(awake=True), panning(8, 1.0))
    latents = torch.randn(window.question.frames.shape)
    sigma = torch.full_like(window.question.sigma, 0.5)
    clean = window.clean(latents, sigma)
    assert torch.equal(clean[:, :8], latents[:, :8])
    assert not torch.equal(clean[:, 8:], latents[:, 8:])


def test_the_mean_does_not_see_the_unknown_frames() -> None:
    model, known = tiny(awake=True), panning(8, 0.5)[None]
    guidance = model.guidance(known, guess_of(known))
    clean = model.codec.encode(known)
    sigma = torch.cat([torch.zeros_like(clean[:, :, :1]), torch.ones_like(clean[:, :, :1])], 1)
    noise = torch.randn(torch.cat([clean, clean], 1).shape)
    answers = [
        model(torch.lerp(torch.cat([clean, future], 1), noise, sigma), sigma, guidance)
        for future in (clean, -clean)
    ]
    assert torch.equal(*answers)


def test_every_weight_gets_a_gradient_once_the_heads_move_and_the_codec_none() -> None:
    model, batch = tiny().requires_grad_(True), next(sliding_noise(16)(0))
    model.codec.requires_grad_(False)  # pyright: ignore[reportAttributeAccessIssue]
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 4 and not weight.any():
                torch.nn.init.normal_(weight, std=0.02)
    recipes_latent.latent_objective(model, batch, torch.Generator().manual_seed(0))[0].backward()
    taught = ("codec.", "weigh.")  # by runs of their own
    named = [(n, p) for n, p in model.named_parameters() if not n.startswith(taught)]
    assert not [n for n, p in named if p.grad is None or not p.grad.any()]
    assert all(p.grad is None for p in model.codec.parameters())  # pyright: ignore[reportAttributeAccessIssue]


def test_a_short_training_lowers_the_error_and_ships_with_its_codec(tmp_path) -> None:
    model, batches = tiny().train(), sliding_noise(16)
    codec = model.codec
    assert isinstance(codec, Vae)
    codec.standardise(from_levels(next(batches(50)).frames).flatten(0, 1))
    model.requires_grad_(True)
    codec.requires_grad_(False)
    before_codec = {name: value.clone() for name, value in codec.state_dict().items()}
    fixed = next(batches(100))

    def error() -> float:
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            return float(recipes_latent.latent_held_out(model, fixed, generator, 0.5)[0])

    before = error()
    options = FitOptions(
        steps=30, learning_rate=3e-3, warmup_steps=1, quiet=True, tensorboard=False,
        precision="fp32",
    )  # fmt: skip
    fit(model, recipes_latent.latent_objective, batches, options, tmp_path)
    assert error() < before
    for name, value in codec.state_dict().items():
        assert torch.equal(value, before_codec[name]), name
    path = recipes_latent.ship_latent(tmp_path, {"name": "m"}, tmp_path, tiny())
    shipped = weights.load(str(path))
    assert isinstance(shipped, LatentKineo)
    assert weights.card(str(path)) == {"name": "m", "steps": 30}


def test_codec_and_predictor_travel_as_one_file(tmp_path) -> None:
    model, path = tiny(awake=True), tmp_path / "m.safetensors"
    weights.save(model, path, {"steps": 7})
    loaded, codec = weights.load(str(path)), weights.load_codec(str(path))
    assert isinstance(loaded, LatentKineo)
    assert loaded.shape == TINY_LATENT
    assert codec.shape == TINY_VAE
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float()), name


def test_the_shipped_widths_are_small() -> None:
    codec = Vae()
    ours = LatentKineo(codec, LatentShape())
    assert sum(p.numel() for p in ours.parameters()) < 1.2e6 + 3.5e6


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("size", [(2, 2), (17, 33), (200, 150)])
def test_any_size_and_the_same_seed_the_same_frames(size: tuple[int, int], steps: int) -> None:
    model, known = tiny(awake=True), torch.rand(3, 3, *size) * 2 - 1
    one, same = (predict(known, 9, model, Sampling(steps, seed=5)) for _ in range(2))
    assert one.shape == (9, 3, *size)
    assert torch.equal(one, same)
    assert torch.equal(one[:4], predict(known, 4, model, Sampling(steps, seed=5)))


def test_the_command_continues_a_film_with_it(tmp_path) -> None:
    film, path, out = (tmp_path / name for name in ("in.mkv", "m.safetensors", "out.mkv"))
    with Writer(film, width=50, height=38, fps=25) as writer:
        writer.write(panning(9, 1.0, 50)[..., :38, :])
    weights.save(tiny(awake=True), path, {})
    main(["predict", str(film), "--seconds", "0.2", "--out", str(out), "--model", str(path)])
    assert torch.equal(read(out).frames[:9], read(film).frames)
    assert read(out).num_frames == 14
    assert read_recipe(out)["model"]["sha256"] == weights.digest(str(path))
