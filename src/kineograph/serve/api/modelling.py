"""The models that may be named: those that are shipped, and those of the one who serves."""

import json
from typing import Any

from safetensors import SafetensorError, safe_open

from kineograph.models import store, weights
from kineograph.serve.api.errors import Refused

KINDS = {"plan": "film", "latent": "film", "world": "world", "restorer": "map", "vae": "codec"}


def names() -> list[str]:
    """All names, the shipped ones first."""
    return [*weights.ALL_SHIPPED, *store.names()]


def kind_of(name: str) -> str:
    """What a model of that name makes: film, world, map or codec; unknown where it does not say."""
    try:
        with safe_open(weights.path_of(name), "pt") as file:
            said = (file.metadata() or {}).get("kind", "plan")
    except (SafetensorError, OSError, ValueError):
        return "unknown"
    return KINDS.get(said, "unknown")


def model_for(task: str, name: str | None) -> str:
    """The model that answers a task: a map for `transfer`, one that makes films for all others.

    Refused where none of that name does. Names only: no path is looked at.
    """
    kind = "map" if task == "transfer" else "film"
    found = [one for one in names() if kind_of(one) == kind]
    if name is None and kind == "map":
        raise Refused(400, f"transfer needs a map: give model, {_of(found)}.", "model",
                      "missing_field")  # fmt: skip
    name = name or weights.SHIPPED
    if name not in found:
        what = "map" if kind == "map" else "model"
        told = f"There is no {what} {name[:64]!r}: there are {', '.join(found) or 'none here'}."
        raise Refused(400, told, "model", "model_not_found")
    return name


def _of(found: list[str]) -> str:
    return f"one of {', '.join(found)}" if found else "and `kineo models import` one first"


def shown(name: str) -> dict[str, Any]:
    """A model as OpenAI's clients read it, with its kind and card."""
    try:
        card = json.loads(json.dumps(weights.card(name), default=str))
    except ValueError as error:
        card = {"error": type(error).__name__}
    is_shipped = name in weights.ALL_SHIPPED
    return {
        "id": name,
        "object": "model",
        "created": int(weights.path_of(name).stat().st_mtime),
        "owned_by": "kineograph" if is_shipped else "you",
        "kind": kind_of(name),
        "card": card,
    }
