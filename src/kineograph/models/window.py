"""A window is one question to a model, put in what that model works on, and answered in frames."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kineograph.known import Known
from kineograph.models import ahead, fade
from kineograph.models.ahead import Ahead
from kineograph.models.candidates import NUM_SOURCES
from kineograph.models.fade import Fade
from kineograph.models.guess import guess_of
from kineograph.models.kept import Kept
from kineograph.models.latent import LatentKineo
from kineograph.models.layers import warped
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.net import STRIDE_PX, Kineo, Plan, answered, coherent, render
from kineograph.shapes import Grid

Predictor = Kineo | LatentKineo


@runtime_checkable
class Window(Protocol):
    """`question` is for the sampler; frames are made of the last clean answer that was given."""

    question: Known

    def clean(
        self, latents: Float[Tensor, "b t c h w"], sigma: Float[Tensor, "b t 1 h w"]
    ) -> Float[Tensor, "b t c h w"]:
        """All frames without noise, the known ones as they are."""
        ...

    def frame(self, index: int, newest: Float[Tensor, "3 3 h w"]) -> Float[Tensor, "3 h w"]:
        """An unknown frame, counted from 0, at the size of the three last known ones."""
        ...


def opened(model: Predictor, known: Float[Tensor, "8 3 h w"], mean: bool = True) -> Window:
    """What follows these frames, as a question to this model: for its mean, or for a sample."""
    found = fade.found(known)
    if found is not None:
        known = found.evened(known)
    window = _Planned(model, known, mean) if isinstance(model, Kineo) else _Decoded(model, known)
    return window if found is None else _Faded(window, found)


def foreseen(
    model: Kineo, known: Float[Tensor, "8 3 h w"], horizon: int | float, kept: Kept
) -> Window:
    """The same for the mean of one frame alone, so far ahead, of a model that is `foreseeing`.

    horizon: 1 is the next frame; it may lie between two.

    kept: what was made of these frames before. In a fade, which changes all of them, it is not
    used.
    """
    found, horizons = fade.found(known), (horizon,)
    if found is None:
        return _Planned(model, known, True, horizons, kept)
    return _Faded(_Planned(model, found.evened(known), True, horizons), found, horizon)


def foreseeing(model: Kineo) -> Ahead | None:
    """What the model has learned to foresee with, if it has."""
    found = dict(model.restorers.items()).get(ahead.NAME)
    return found if isinstance(found, Ahead) else None


class _Faded:
    """A window of frames in one light, put back into the light that they will have."""

    def __init__(self, window: Window, found: Fade, first: int | float = 1) -> None:
        self.window, self.fade, self.first = window, found, first
        self.question, self.clean = window.question, window.clean

    def frame(self, index: int, newest: Tensor) -> Float[Tensor, "3 h w"]:
        return self.fade.shown(
            self.window.frame(index, self.fade.evened(newest)), self.first + index
        )


class _Planned:
    """Asked in pixels; frames are made by the plan, of the last known ones.

    The mean blends what may come; a sample must look like a film, so its plan is `coherent`.
    Where the model has learned to, the mean comes from what it learned, and the sample may, too
    (`ahead`).
    """

    def __init__(
        self,
        model: Kineo,
        known: Float[Tensor, "8 3 h w"],
        mean: bool,
        horizons: Sequence[int | float] | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.model, self.grid, self.mean = model, _grid(known), mean
        self.horizons = horizons or model.horizons
        padded = self.grid.pad(known)[None]
        self.guess = guess_of(padded, kept)
        self.said = answered(model.weigh, padded[:, -NUM_SOURCES:], self.guess, self.horizons)
        self.question = Known.exactly(padded).followed_by(len(self.horizons))
        self.plan: Plan | None = None
        self.answer: tuple[Tensor, Plan] | None = None

    def clean(self, latents: Tensor, sigma: Tensor) -> Float[Tensor, "b t c h w"]:
        unknown, plan = self._answer(latents, sigma)
        self.plan = replace(
            plan,
            gates=self.grid.crop(plan.gates),
            paths=self.grid.crop(plan.paths),
            motions=self.grid.crop(plan.motions),
            added=self.grid.crop(plan.added),
        )
        return torch.cat([latents[:, :NUM_KNOWN], unknown], 1)

    def _answer(self, latents: Tensor, sigma: Tensor) -> tuple[Float[Tensor, "b t c h w"], Plan]:
        """What begins a sample decides its motion, so more steps would say the same again."""
        if self.answer is None:
            learned = foreseeing(self.model)
            if learned is not None and (self.mean or bool(learned.draws)):
                self.answer = self._foreseen(learned, latents)
            else:
                self.answer = self._planned(latents, sigma)
        return self.answer

    def _planned(self, latents: Tensor, sigma: Tensor) -> tuple[Float[Tensor, "b t c h w"], Plan]:
        unknown, plan = self.model(latents, sigma, self.guess, said=self.said)
        if self.mean:
            return unknown, plan
        plan = coherent(plan, latents[0, NUM_KNOWN:])
        last = latents[:, NUM_KNOWN - 1].expand(unknown.shape[1], -1, -1, -1)
        return warped(last, plan.paths[:, 0], "bicubic", plan.beyond)[None], plan

    def _foreseen(self, net: Ahead, latents: Tensor) -> tuple[Float[Tensor, "b t c h w"], Plan]:
        known = latents[:, :NUM_KNOWN]
        coming = ahead.coming_of(known, self.said, self.horizons)
        noise = None if self.mean else latents[0, NUM_KNOWN:]
        plan, newest = net.plan(coming, self.said, noise), known[0, -NUM_SOURCES:]
        made = [render(plan, n, newest) for n in range(len(self.said.steps))]
        return torch.stack(made)[None], plan

    @torch.inference_mode()
    def frame(self, index: int, newest: Tensor) -> Float[Tensor, "3 h w"]:
        assert self.plan is not None
        return render(self.plan, index, newest)


class _Decoded:
    """Asked in the codec's latents; frames are decoded, and enlarged where the film is larger."""

    def __init__(self, model: LatentKineo, known: Float[Tensor, "8 3 h w"]) -> None:
        self.model, self.grid = model, _grid(known)
        padded = self.grid.pad(known)[None]
        self.guidance = model.guidance(padded, guess_of(padded))
        self.question = Known.exactly(model.codec.encode(padded)).followed_by(model.num_unknown)
        self.unknown: Tensor | None = None

    def clean(self, latents: Tensor, sigma: Tensor) -> Float[Tensor, "b t c h w"]:
        unknown = self.model(latents, sigma, self.guidance)
        self.unknown = unknown
        return torch.cat([latents[:, :NUM_KNOWN], unknown], 1)

    @torch.inference_mode()
    def frame(self, index: int, newest: Tensor) -> Float[Tensor, "3 h w"]:
        assert self.unknown is not None
        decoded = self.model.codec.decode(self.unknown[:, index : index + 1])
        picture = self.grid.crop(decoded[:, 0])
        h, w = newest.shape[-2:]
        if picture.shape[-2:] != (h, w):
            picture = F.interpolate(picture, (h, w), mode="bicubic", align_corners=False)
        return picture[0]


def _grid(known: Float[Tensor, "8 3 h w"]) -> Grid:
    """Cells of 16 px suit both models; below two of them there is no motion to measure."""
    h, w = known.shape[-2:]
    return Grid(h, w, STRIDE_PX if min(h, w) > STRIDE_PX else 2 * STRIDE_PX)
