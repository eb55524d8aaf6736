"""What was made of known frames is kept for the next question about them, and then let go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

Made = TypeVar("Made")


@dataclass(eq=False)
class Kept:
    """names: of the frames in question, oldest first: numbers that tell frames apart and rise.

    Frames of the same name must be the same, whatever question they come with.
    """

    names: Sequence[int]
    made: dict[tuple[str, tuple[int, ...]], Any] = field(default_factory=dict)

    def goes_on(self, names: Sequence[int]) -> None:
        """On to the next question: what needed an older frame than its oldest is let go."""
        self.names = names
        self.made = {k: made for k, made in self.made.items() if min(k[1]) >= names[0]}

    def once(self, what: str, at: Sequence[int], make: Callable[[], Made]) -> Made:
        """What is made of the frames at these places, counted from the oldest; made once."""
        key = what, tuple(self.names[place] for place in at)
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]
