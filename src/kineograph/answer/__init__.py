"""The only meeting point of question, model and kernel: what is known goes in, frames come out."""

from kineograph.answer.continuing import (
    Sampling,
    answered_window,
    continued,
    foretold,
    num_recent_of,
)
from kineograph.answer.instant import cleaned_at_once, enlarged_at_once
from kineograph.answer.recalling import filled_at_once
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
    "cleaned_at_once",
    "coloured",
    "continued",
    "deblurred",
    "enlarged",
    "enlarged_at_once",
    "filled",
    "filled_at_once",
    "foretold",
    "in_between",
    "num_recent_of",
    "restored",
    "restorer",
    "translated",
]
