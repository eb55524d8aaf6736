"""The two runs that make `kineo-vae`: its codec, then the predictor in that codec's latents."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kineograph.data import footage, shots, simulate
from kineograph.data.clips import ClipOptions, ClipSource
from kineograph.data.loader import Batch, Batches
from kineograph.flow import noised
from kineograph.models import weights
from kineograph.models.codec import Vae
from kineograph.models.guess import fitted
from kineograph.models.latent import Guidance, LatentKineo
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.net import Kineo
from kineograph.train.loop import FitOptions, FitResult, fit
from kineograph.train.recipes import (
    MEAN_SHARE,
    MIX,
    Mixture,
    log_error,
    random_levels,
    ship_model,
    shipped_options,
    take_mean_weights,
    watched,
    with_flows,
)
from kineograph.train.watch import HeldOut
from kineograph.video.levels import from_levels

CODEC = Path("out/train-vae/kineo-codec.safetensors")
"""What the run of the codec leaves if it was given no other folder."""
KL_SHARE = 3e-4
"""Nats a latent, against the distance a colour value: the codec is to paint well first of all."""
LATENT_FLOOR = 5e-3
"""Squared error of latents, weighed, that counts as none: a quarter of the codec's own."""


def codec_objective(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Charbonnier distance of the picture painted from a draw of its cells, and a little KL."""
    assert isinstance(model, Vae)
    pictures = from_levels(batch.frames).flatten(0, 1)
    mean, log_variance = model.posterior(pictures)
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    painted = model.painted(mean + noise * (0.5 * log_variance).exp())
    distance = ((painted - pictures).square() + 1e-6).sqrt().mean()
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    error = (painted - pictures).detach().square().mean((-1, -2, -3))
    parts = {"decibels": 10 * torch.log10(4 / error).mean(), "nats": divergence.detach()}
    return distance + KL_SHARE * divergence, parts


def codec_held_out(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """The log error of pictures that were encoded for use, and decoded."""
    assert isinstance(model, Vae)
    frames = from_levels(batch.frames)
    return log_error(model.decode(model.encode(frames)), frames).mean(), {}


def latent_objective(
    model: nn.Module, batch: Batch, generator: torch.Generator, mean_share: float = MEAN_SHARE
) -> tuple[Tensor, dict[str, Tensor]]:
    """The log of each unknown frame's squared error in latents, for random noise levels."""
    assert isinstance(model, LatentKineo)
    device = batch.frames.device
    level = random_levels(len(batch.frames), mean_share, generator, device)
    truth, question = latents_asked(model, batch, level.view(-1, 1, 1, 1, 1), generator)
    error = latent_error(model, model(*question), truth)
    guessed = latent_error(model, question[2].latents, truth)
    return error.mean(), {"gain": (guessed - error.detach()).mean()}


def latents_asked(
    model: LatentKineo,
    batch: Batch,
    level: float | Float[Tensor, "b 1 1 1 1"],
    generator: torch.Generator,
) -> tuple[Float[Tensor, "b n c h w"], tuple[Tensor, Tensor, Guidance]]:
    """The clean unknown latents, and what the model is given: all noised to `level` after 8."""
    frames = from_levels(batch.frames)
    with torch.no_grad():
        clean = model.codec.encode(frames)
    known = frames[:, :NUM_KNOWN]
    guidance = model.guidance(known, fitted(known, batch.extra["flows"]))
    sigma = torch.zeros_like(clean[:, :, :1])
    sigma[:, NUM_KNOWN:] = level
    noise = torch.randn(clean.shape, generator=generator, device=clean.device)
    return clean[:, NUM_KNOWN:], (noised(clean, noise, sigma), sigma, guidance)


def latent_error(model: LatentKineo, answer: Tensor, truth: Tensor) -> Float[Tensor, "*frames"]:
    """Channels weigh as much as they change the picture, so that this is about its own error."""
    assert isinstance(model.codec, Vae)
    weight = model.codec.scale.square() / model.codec.scale.square().mean()
    error = (weight * (answer - truth).square()).mean((-1, -2, -3))
    return torch.log(error + LATENT_FLOOR)


def latent_held_out(
    model: nn.Module, batch: Batch, generator: torch.Generator, level: float, decoded: bool = False
) -> tuple[Tensor, dict[str, Tensor]]:
    """The same at one noise level; or, decoded, the log error of pictures as in `recipes.small`."""
    assert isinstance(model, LatentKineo)
    truth, question = latents_asked(model, batch, level, generator)
    answer = model(*question)
    if decoded:
        pictures = model.codec.decode(answer)
        return log_error(pictures, from_levels(batch.frames)[:, NUM_KNOWN:]).mean(), {}
    return latent_error(model, answer, truth).mean(), {}


def vae(out: Path, minutes: float | None = None, steps: int = 1_700) -> FitResult:
    """The codec: two frames of each clip of the footage that `recipes.small` trains on."""
    film = footage.fetch("bbb")
    torch.manual_seed(0)
    held_out = HeldOut(watched(film).batches, {"decoded": codec_held_out})
    pictures = partial(simulate.mixed, _clips(film, num_frames=2), weights=MIX)
    batches = Batches(pictures, 16)
    return fit(Vae(), codec_objective, batches, _options(steps, minutes), out, held_out=held_out)


def latent(
    out: Path, minutes: float | None = None, steps: int = 300, codec: Path = CODEC
) -> FitResult:
    """The predictor in the latents of `codec` (what `ship_codec` wrote), which stays as it is."""
    film = footage.fetch("bbb")
    torch.manual_seed(0)
    model = LatentKineo(weights.load_codec(str(codec)))
    shipped = weights.load()
    assert isinstance(shipped, Kineo)
    model.weigh.load_state_dict(shipped.weigh.state_dict())
    objectives = {
        "sigma-1.0": partial(latent_held_out, level=1.0),
        "sigma-0.5": partial(latent_held_out, level=0.5),
        "decoded": partial(latent_held_out, level=1.0, decoded=True),
    }
    held_out = HeldOut(watched(film).batches, objectives)
    mixture = Mixture(_clips(film), tuple(MIX.items()))
    batches = Batches(mixture, 8, prepare=with_flows)
    options = _options(steps, minutes, rate=5e-4)
    return fit(model, latent_objective, batches, options, out, held_out=held_out)


def _clips(film: np.ndarray, num_frames: int = 16) -> ClipSource:
    options = ClipOptions(num_frames=num_frames)
    return ClipSource(film, shots.learnt_shots(), options)


def _options(steps: int, minutes: float | None, rate: float = 1e-3) -> FitOptions:
    options = shipped_options(steps, minutes)
    return replace(options, learning_rate=rate, warmup_steps=50, ema_decay=0.99)


def ship_codec(run: Path, card: dict[str, Any]) -> Path:
    """The codec's mean weights, scaled on the watched frames, beside its run: `latent` needs it."""
    model = Vae()
    steps = take_mean_weights(model, run)
    batches = watched(footage.fetch("bbb")).batches
    model.standardise(torch.cat([from_levels(batch.frames).flatten(0, 1) for batch in batches]))
    path = run / CODEC.name
    weights.save(model, path, {**card, "steps": steps})
    return path


def ship_latent(
    run: Path, card: dict[str, Any], to: Path, model: LatentKineo | None = None
) -> Path:
    """Codec and predictor as one file that `weights.load` reads."""
    path = to / f"{card['name']}.safetensors"
    return ship_model(model or LatentKineo(Vae()), run, path, card)
