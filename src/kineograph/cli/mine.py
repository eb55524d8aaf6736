"""The verbs about what is a person's own: models."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kineograph.cli import commands
from kineograph.models import store, weights


def models(asked: commands.Models, console: Console) -> None:
    """Lists models, or does to one what is asked."""
    if asked.action == "list":
        _listed(console)
        return
    if asked.name is None:
        raise ValueError(f"kineo models {asked.action} wants the name of a model.")
    if asked.action == "show":
        card = weights.card(asked.name)
        Console().print_json(json.dumps({"file": weights.path_of(asked.name).name, **card}))
    elif asked.action == "remove":
        if not asked.yes:
            store.existing(asked.name)
            raise ValueError(f"{asked.name} will be gone for good: say --yes to remove it.")
        console.print(f"{store.remove(asked.name)}: removed.")
    else:
        made = _moved(asked.action, asked.name, asked.path)
        console.print(f"{made}: the model {asked.name}.")


def _moved(action: str, name: str, path: Path | None) -> Path:
    if path is None:
        raise ValueError(f"kineo models {action} wants a .safetensors file after the name.")
    return (
        store.export(name, path)
        if action == "export"
        else store.take_in(weights.checked(path), name)
    )


def _listed(console: Console) -> None:
    table = Table("model", "MB", "recipe", "learned from", box=None)
    for name in (weights.SHIPPED, *store.names()):
        size = weights.path_of(name).stat().st_size / 1e6
        try:
            card = weights.card(name)
        except ValueError as error:  # one broken file must not hide the others
            card = {"data": str(error)}
        table.add_row(name, f"{size:.1f}", str(card.get("recipe", "")), str(card.get("data", "")))
    Console().print(table)
    console.print(f"Yours are in {store.folder()}.")
