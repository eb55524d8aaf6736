"""Whom a verb tells how far it is."""

from collections.abc import Callable
from dataclasses import dataclass

from kineograph.answer import Frame


@dataclass(frozen=True)
class Told:
    """say: a sentence for people. begun: what is made, and of how many frames where that is known.

    made: one more frame, as it goes into the film. What any of them raises ends the verb, and no
    film is written.
    """

    say: Callable[[str], None]
    begun: Callable[[str, int | None], None]
    made: Callable[[Frame], None]
