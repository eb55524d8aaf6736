"""An evaluation clip is a piece of one held-out shot, cut into known frames and next ones."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class EvalClip:
    """Frames are float32 RGB in [-1, 1]; `shot` groups clips for the worst-shot column."""

    name: str
    shot: str
    context: Float[Tensor, "t c h w"]
    future: Float[Tensor, "n c h w"]

    def __post_init__(self) -> None:
        if self.context.shape[1:] != self.future.shape[1:]:
            raise ValueError(
                f"Clip {self.name}: known frames are {tuple(self.context.shape[1:])} but the "
                f"next ones are {tuple(self.future.shape[1:])}; cut both from one film."
            )
