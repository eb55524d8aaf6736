"""The only meeting point of question, model and kernel: what is known goes in, frames come out."""

from kineograph.answer.continuing import Sampling, answered_window, continued
from kineograph.answer.restoring import (
    Frame,
    Measured,
    cleaned,
    coloured,
    deblurred,
    enlarged,
    filled,
    in_between,
    restored,
    restorer,
    translated,
)
from kineograph.sample import Progress

__all__ = [
    "Frame",
    "Measured",
    "Progress",
    "Sampling",
    "answered_window",
    "cleaned",
    "coloured",
    "continued",
    "deblurred",
    "enlarged",
    "filled",
    "in_between",
    "restored",
    "restorer",
    "translated",
]
