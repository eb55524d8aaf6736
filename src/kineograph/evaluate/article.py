"""The article's model: three frames are encoded, a dense layer foretells the fourth one's code."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from kineograph.evaluate.baselines import Baseline
from kineograph.models import weights
from kineograph.train import precision

SHIPPED = weights.ASSETS / "article.safetensors"
SIZE_PX = 128
NUM_KNOWN = 3
CODE = 96  # keeps the half-precision weights under 8 MB
CHANNELS = (16, 32, 64)


class ArticleModel(nn.Module):
    """v4 = D(P(E(v1), E(v2), E(v3))) on 128x128x3 in [0, 1]; see docs/article.md."""

    def __init__(self) -> None:
        super().__init__()
        side = SIZE_PX // 2 ** len(CHANNELS)
        self.encoder = nn.Sequential(*_down(3, *CHANNELS), nn.Flatten())
        self.encoder.append(nn.Linear(CHANNELS[-1] * side**2, CODE))
        self.predictor = nn.Sequential(
            nn.Linear(NUM_KNOWN * CODE, 256), nn.ReLU(), nn.Linear(256, CODE)
        )
        self.decoder = nn.Sequential(
            nn.Linear(CODE, CHANNELS[-1] * side**2),
            nn.ReLU(),
            nn.Unflatten(1, (CHANNELS[-1], side, side)),
            *_up(*reversed(CHANNELS), 3),
        )

    def forward(self, known: Float[Tensor, "b 3 3 128 128"]) -> Float[Tensor, "b 3 128 128"]:
        """The next frame as logits; sigmoid gives it in [0, 1]."""
        codes = self.encoder(rearrange(known, "b t c h w -> (b t) c h w"))
        return self.decoder(self.predictor(rearrange(codes, "(b t) d -> b (t d)", t=NUM_KNOWN)))


def _down(*channels: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return layers


def _up(*channels: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
    return layers[:-1]


def new_article(generator: torch.Generator) -> ArticleModel:
    """Untrained; Glorot uniform weights, as the article's library draws, from the generator."""
    model = ArticleModel()
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def train_article(
    windows: Sequence[Float[Tensor, "4 3 128 128"]],
    generator: torch.Generator,
    epochs: int = 10,
    batch: int = 32,
    progress: Callable[[int, float], None] | None = None,
    number_format: precision.Format = "fp32",
) -> ArticleModel:
    """Adam at 1e-4 on binary cross-entropy; each window is v1, v2, v3 and the v4 to foretell.

    Windows run over [-1, 1] like all frames here and may be read lazily. After each epoch
    `progress` hears its number and mean loss. The loss is fp32 in either number format.
    """
    if len(windows) == 0:
        raise ValueError("The article's model was given 0 windows to train on; give at least 1.")
    # The layout changes no value; convolutions on CPUs are faster in it.
    model = new_article(generator).train()
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(windows), generator=generator).split(batch):
            frames = (torch.stack([windows[int(i)] for i in chosen]) + 1) / 2
            with precision.autocast(frames.device, number_format):
                logits = model(frames[:, :NUM_KNOWN])
            loss = F.binary_cross_entropy_with_logits(logits.float(), frames[:, NUM_KNOWN])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(chosen)
        if progress is not None:
            progress(epoch + 1, total / len(windows))
    return model.eval()


def article_baseline(model: ArticleModel) -> Baseline:
    """Rolls the model out: each predicted frame becomes known. Other sizes pass through 128x128."""

    @torch.no_grad()
    def predict(context: Float[Tensor, "t c h w"], num_frames: int) -> Float[Tensor, "n c h w"]:
        if len(context) == 0 or context.shape[1] != 3:
            raise ValueError(
                f"The article's model needs RGB frames; got a shape of {tuple(context.shape)}."
            )
        parameter = next(model.parameters())
        known = [(_resized(f[None].to(parameter), (SIZE_PX, SIZE_PX))[0] + 1) / 2 for f in context]
        known = [known[0]] * (NUM_KNOWN - len(known)) + known[-NUM_KNOWN:]
        for _ in range(num_frames):
            known.append(model(torch.stack(known[-NUM_KNOWN:])[None])[0].sigmoid())
        frames = torch.stack(known[-num_frames:]) * 2 - 1
        return _resized(frames, context.shape[-2:]).to(context)

    return predict


def _resized(frames: Float[Tensor, "t c h w"], size: Sequence[int]) -> Float[Tensor, "t c h2 w2"]:
    if tuple(frames.shape[-2:]) == tuple(size):
        return frames
    return F.interpolate(frames, tuple(size), mode="bilinear", antialias=True).clamp(-1, 1)


def save_article(model: ArticleModel, path: Path, card: Mapping[str, Any] | None = None) -> None:
    """Safetensors of under 4 MB, with the card inside; aside and then in place."""
    weights.write(model, path, {"card": json.dumps(dict(card or {}))}, small=True)


def load_article(path: Path = SHIPPED) -> ArticleModel:
    """The model of `save_article`, in float32."""
    model = ArticleModel()
    model.load_state_dict(weights.in_floats(load_file(_found(path))))
    return model.eval()


def article_card(path: Path = SHIPPED) -> dict[str, Any]:
    """What the model was made from, as its file says."""
    return weights.card(str(_found(path)))


def _found(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"No weights of the article's model at {path}; train it first.")
    return path
