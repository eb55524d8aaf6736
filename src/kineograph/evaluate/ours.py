"""Our answers to the questions of `kineo bench all`: the tasks, asked as users ask them."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor

from kineograph import tasks
from kineograph.answer import restorer
from kineograph.evaluate.questions import UPSCALE, Answer, Question
from kineograph.models import weights
from kineograph.models.window import Predictor

LIVE = "kineo, live"
"""Each frame from those up to it alone, as `kineo stream` answers."""


def ours(model: Predictor) -> Mapping[str, Mapping[str, Answer]]:
    """Row -> name -> answer."""

    def enhance(what: tasks.Enhancement, live: bool) -> Answer:
        return lambda question: together(tasks.enhance(question.given, what, model, live))

    def interpolate(question: Question) -> Float[Tensor, "n 3 H W"]:
        timed = [(Fraction(2 * n), frame) for n, frame in enumerate(question.given)]
        made = list(tasks.interpolate(timed, Fraction(1), model))
        return torch.stack([frame for _, frame in made[1::2]])

    def inpaint(question: Question) -> Float[Tensor, "n 3 H W"]:
        assert question.hole is not None
        return together(tasks.inpaint(question.given, question.hole, model))

    def inpaint_live(question: Question) -> Float[Tensor, "n 3 H W"]:
        assert question.hole is not None
        return together(tasks.inpaint_live(question.given, question.hole, model))

    denoise, upscale = (
        {"kineo": enhance(what, live=False), LIVE: enhance(what, live=True)}
        for what in (tasks.Enhancement(denoise=1.0), tasks.Enhancement(scale=UPSCALE))
    )
    fill = {"kineo": inpaint, LIVE: inpaint_live}
    return {
        "interpolate": {"kineo": interpolate},
        "denoise": denoise,
        "upscale": upscale,
        "inpaint": fill,
        "still": fill,
    }


RESTORERS = {
    "interpolate": "between",
    "denoise": "clean",
    "upscale": "enlarge",
    "inpaint": "fill",
    "still": "fill",
}


def made_by(model: Predictor) -> dict[str, str]:
    """The hash of what answers each row."""
    return {row: weights.digest_of(restorer(model, name)) for row, name in RESTORERS.items()}


def together(frames: Iterator[Float[Tensor, "3 h w"]]) -> Float[Tensor, "n 3 h w"]:
    """A stream of frames as one film."""
    return torch.stack(list(frames))
