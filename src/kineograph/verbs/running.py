"""The one way in which a film is made of what was asked."""

from collections.abc import Callable
from typing import Any

from kineograph.verbs import filmed, made
from kineograph.verbs.asked import Animate, Asked, Edit, Generate, Predict
from kineograph.verbs.predicting import predict
from kineograph.verbs.told import Told


def run(asked: Asked, told: Told) -> None:
    """Makes the film, whole or not at all. ValueError or OSError, a sentence, where it cannot."""
    verbs: dict[type, Callable[[Any, Told], None]] = {
        Animate: made.animate,
        Edit: made.edit,
        Generate: made.generate,
        Predict: predict,
    }
    verbs.get(type(asked), filmed.run)(asked, told)
