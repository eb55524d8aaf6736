"""A codec gives back what it took, in a shape that its stride foretells; a VAE learns to."""

import pytest
import torch
from torch import Tensor

from kineograph.models import weights
from kineograph.models.codec import Codec, Pixels, Vae, VaeShape, lowest_frequencies
from kineograph.shapes import Grid
from kineograph.train import recipes_latent
from kineograph.train.loop import FitOptions, fit
from tests_support import TINY_VAE, sliding_noise

CODECS = [Pixels(), Vae(TINY_VAE)]


def film(height: int = 32, width: int = 48) -> Tensor:
    return torch.rand(1, 3, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: type(codec).__name__)
@pytest.mark.parametrize("size", [(1, 1), (17, 30), (32, 48)])
def test_any_size_goes_in_and_comes_out(codec: Codec, size: tuple[int, int]) -> None:
    frames, grid = film(*size), Grid(*size, codec.stride_px)
    with torch.no_grad():
        latents = codec.encode(grid.pad(frames))
        back = grid.crop(codec.decode(latents))
    assert latents.shape == (1, 3, codec.channels, grid.num_rows, grid.num_columns)
    assert back.shape == frames.shape
    assert isinstance(codec, Codec)


def test_pixels_are_exact() -> None:
    codec = Pixels()
    assert torch.equal(codec.decode(codec.encode(film())), film())


@torch.no_grad()
def test_untrained_it_keeps_the_lowest_frequencies() -> None:
    basis = lowest_frequencies(16).flatten(1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(16))
    codec, flat = Vae(TINY_VAE), torch.rand(1, 1, 3, 1, 1).expand(1, 1, 3, 16, 24)
    torch.testing.assert_close(codec.decode(codec.encode(flat)), flat, atol=1e-5, rtol=0)


@torch.no_grad()
def test_frames_are_encoded_each_by_itself_and_the_same_every_time() -> None:
    codec = Vae(TINY_VAE)
    whole = codec.encode(film())
    assert torch.equal(whole, codec.encode(film()))
    torch.testing.assert_close(codec.encode(film()[:, 1:2]), whole[:, 1:2])


@torch.no_grad()
def test_standard_latents_have_variance_1_and_decode_to_the_same_pictures() -> None:
    codec = Vae(TINY_VAE)
    before = codec.decode(codec.encode(film()))
    codec.standardise(film().flatten(0, 1))
    latents = codec.encode(film())
    torch.testing.assert_close(latents.mean((0, 1, 3, 4)), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.square().mean((0, 1, 3, 4)), torch.ones(8))
    torch.testing.assert_close(codec.decode(latents), before)


def test_a_short_training_paints_better(tmp_path) -> None:
    torch.manual_seed(0)
    model, batches = Vae(TINY_VAE), sliding_noise(num_frames=8)
    fixed = next(batches(100))

    def error() -> float:
        with torch.no_grad():
            return float(recipes_latent.codec_held_out(model, fixed, torch.Generator())[0])

    before = error()
    options = FitOptions(
        steps=40, learning_rate=3e-3, warmup_steps=1, quiet=True, tensorboard=False,
        precision="fp32",
    )  # fmt: skip
    fit(model, recipes_latent.codec_objective, batches, options, tmp_path)
    assert error() < before


def test_the_objective_of_the_codec_is_a_function_of_its_generator() -> None:
    model, batch = Vae(TINY_VAE), next(sliding_noise(num_frames=8)(0))
    losses = [
        recipes_latent.codec_objective(model, batch, torch.Generator().manual_seed(seed))[0].item()
        for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_a_codec_of_the_recipe_is_small() -> None:
    assert sum(p.numel() for p in Vae(VaeShape()).parameters()) < 1.2e6


def test_a_codec_alone_predicts_nothing(tmp_path) -> None:
    path = tmp_path / "codec.safetensors"
    weights.save(Vae(TINY_VAE), path, {})
    with pytest.raises(ValueError, match="codec alone"):
        weights.load(str(path))
