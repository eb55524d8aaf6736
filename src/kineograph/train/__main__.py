"""`python -m kineograph.train` rebuilds the shipped weights; stopped, it goes on where it was."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import tyro

from kineograph.models import weights
from kineograph.train import recipes


def main(out: Path = Path("out/train"), minutes: float | None = None, ship: bool = True) -> None:
    """Trains `recipes.small` in `out`, and puts the weights into the package when it is done."""
    result = recipes.small(out, minutes)
    if not (ship and result.finished):
        print(f"Stopped at step {result.step}; run it again to go on.")
        return
    card: dict[str, Any] = {
        "name": weights.SHIPPED,
        "recipe": "kineograph.train.recipes.small",
        "data": "Big Buck Bunny (CC-BY 3.0, Blender Foundation), training shots, with simulated "
        "camera moves, parallax and deformation over its frames; last fifth of shots held out",
        "loss": result.loss,
        "seconds": result.seconds,
        "clips_per_second": result.clips_per_second,
        "precision": asdict(result.precision),
    }
    assets = Path(weights.__file__).parents[1] / "assets"
    print(f"Wrote {recipes.ship(out, weights.SHIPPED, card, assets)}")


if __name__ == "__main__":
    tyro.cli(main)
