"""`python -m kineograph.train` rebuilds shipped weights; stopped, it goes on where it was."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import tyro

from kineograph.models import weights
from kineograph.train import (
    lessons,
    machine,
    recipes,
    recipes_latent,
    restoring,
    transfer,
    worlds,
)
from kineograph.train.loop import FitResult

FAULTS = {
    "small": "samples move but paint nothing new where something comes into view; long "
    "continuations come to rest; dissolves are carried on too far",
    "vae": "pictures come back softer: about 32 dB",
    "latent": "known and still parts are no longer exact; far behind the predictor in pixels",
}
NAMES = {"small": weights.SHIPPED, "vae": recipes_latent.CODEC.stem, "latent": "kineo-vae"}


def main(
    recipe: tyro.conf.Positional[
        Literal[
            "small",
            "next",
            "vae",
            "latent",
            "clean",
            "enlarge",
            "between",
            "fill",
            "colour",
            "edges",
            "fish",
            "figure",
        ]
    ] = "small",
    out: Path | None = None,
    minutes: float | None = None,
    ship: bool = True,
    codec: Path = recipes_latent.CODEC,
    further: bool = False,
    steps: int | None = None,
    learning_rate: float | None = None,
) -> None:
    """Trains a recipe in `out`, and writes its weights when it is done.

    `small` goes into the package, and the restorers join it there. `edges` makes a map from
    drawings to pictures, for `kineo transfer --map`; `vae` the codec that `latent` is given as
    `codec`; `fish` the world of a game (after `make .venv/.games`), `figure` that of a walking
    figure. These stay in `out`, which is out/train for `small` and out/train-RECIPE else.
    `further` trains a shipped restorer on, on other clips: gently, or as steps and rate say.
    """
    machine.settle()
    if further and recipe not in restoring.SHIPPED:
        raise ValueError(f"{recipe} is not trained further: give one of {restoring.SHIPPED}.")
    named = f"out/train-{recipe}" + ("-further" if further else "")
    out = out or Path("out/train" if recipe == "small" else named)
    if recipe in worlds.SHIPPED:
        print(f"Wrote {worlds.shipped(recipe, out, minutes)}")
        return
    if further:
        result = restoring.train(
            recipe, out, minutes, steps, further=True, learning_rate=learning_rate
        )
    else:
        result = _trained(recipe, out, minutes, codec)
    if not (ship and result.finished):
        print(f"Stopped at step {result.step}; run it again to go on.")
        return
    if recipe in lessons.LESSONS:
        restorer = partial(restoring.ship, recipe, further=further)
        ship_it = transfer.ship_edges if recipe == "edges" else restorer
        print(f"Wrote {ship_it(out, result)}")
        return
    print(f"Wrote {_shipped(recipe, out, _card(recipe, result, out))}")


def _trained(recipe: str, out: Path, minutes: float | None, codec: Path) -> FitResult:
    if recipe == "vae":
        return recipes_latent.vae(out, minutes)
    if recipe == "latent":
        return recipes_latent.latent(out, minutes, codec=codec)
    if recipe in lessons.LESSONS:
        return restoring.train(recipe, out, minutes)
    return recipes.small(out, minutes)


def _shipped(recipe: str, out: Path, card: dict[str, Any]) -> Path:
    if recipe == "vae":
        return recipes_latent.ship_codec(out, card)
    if recipe == "latent":
        return recipes_latent.ship_latent(out, card, out)
    return recipes.ship(out, weights.SHIPPED, card, weights.ASSETS)


def _card(recipe: str, result: FitResult, out: Path) -> dict[str, Any]:
    module = recipes if recipe == "small" else recipes_latent
    weigher = out / recipes.WEIGHER_LOG
    told = {"weigher": json.loads(weigher.read_text())} if weigher.is_file() else {}
    return {
        "name": NAMES[recipe],
        "recipe": f"{module.__name__}.{recipe}",
        "data": "Big Buck Bunny (CC-BY 3.0, Blender Foundation), training shots, with simulated "
        "camera moves, parallax and deformation over its frames; last fifth of shots held out",
        **told,
        "faults": FAULTS[recipe],
        "loss": result.loss,
        "seconds": result.seconds,
        "precision": asdict(result.precision),
    }


if __name__ == "__main__":
    tyro.cli(main)
