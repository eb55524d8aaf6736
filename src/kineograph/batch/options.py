"""A verb's question out of names and values: the command's own flags, of the same types."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from kineograph import regions
from kineograph.verbs import asked as verbs
from kineograph.video.info import local_file

VERBS: dict[str, type[verbs.Asked]] = {
    "predict": verbs.Predict,
    "interpolate": verbs.Interpolate,
    "enhance": verbs.Enhance,
    "inpaint": verbs.Inpaint,
    "outpaint": verbs.Outpaint,
    "repair": verbs.Repair,
    "transfer": verbs.Transfer,
    "generate": verbs.Generate,
    "edit": verbs.Edit,
    "animate": verbs.Animate,
}
NOT_HERE = {"out", "compare", "debug", "pair", "minutes"}
"""Flags of the command that a line has not: a batch writes its films, and nothing else."""
GIVEN = {"generate": "like", "animate": "picture"}
"""What `input` is called in a verb's flags; `video` in all others."""
SHOWN = 60
"""Of a bad value, so many characters are shown."""
_PARTS = re.compile(r"[,\s]+")


def taken(verb: str) -> list[str]:
    """The names of a verb's flags that a line may say."""
    return [one.name for one in fields(VERBS[verb]) if one.name not in NOT_HERE]


def question(verb: str, said: Mapping[str, Any], folder: Path, out: Path) -> verbs.Asked:
    """The verb's question; paths are from `folder`. ValueError for what it does not take."""
    given = GIVEN.get(verb, "video")
    renamed = {given if name == "input" else name: value for name, value in said.items()}
    if "input" in said and given in said:
        raise ValueError(f"input and {given} are the same: say one")
    for name in renamed:
        if name not in taken(verb):
            known = ", ".join(["input", *taken(verb)])
            raise ValueError(f"{verb} takes no {name!r:.{SHOWN}}; it takes {known}")
    hints = get_type_hints(VERBS[verb])
    found = {name: _value(name, hints[name], value) for name, value in renamed.items()}
    found = {name: _placed(name, value, folder) for name, value in found.items()}
    try:
        return VERBS[verb](**found, out=out)
    except TypeError:
        missing = [name for name in _needed(verb) if name not in found]
        raise ValueError(f"{verb} needs {' and '.join(missing)}") from None


@cache
def _typed(hint: Any) -> Callable[[Any], Any]:
    return TypeAdapter(hint, config=ConfigDict(coerce_numbers_to_str=True)).validate_python


def _value(name: str, hint: Any, value: Any) -> Any:
    """The value in the flag's type; several are parted by commas or spaces."""
    text = isinstance(value, str)
    if text and "://" in value:
        local_file(value)  # says that it is an address
    if text and any(getattr(one, "__origin__", None) is tuple for one in (hint, *get_args(hint))):
        value = [part for part in _PARTS.split(value) if part]
    try:
        return _typed(hint)(value)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ").rstrip(".")
        raise ValueError(f"{name} is {shown(value)}: {why[:1].lower() + why[1:]}") from error


def shown(value: Any) -> str:
    """A value as a sentence has it: not longer than one can read."""
    found = repr(value)
    return found if len(found) <= SHOWN else found[:SHOWN] + "…"


def _placed(name: str, value: Any, folder: Path) -> Any:
    """Paths from the folder: the line's own, and the one that a region may be."""
    if isinstance(value, Path):
        return _local(value, folder)
    if name == "model" and value.endswith(".safetensors"):
        return str(_local(Path(value), folder))
    if name == "region" and not value.startswith(regions.FOLLOWED):
        place = folder / value
        is_box = value.count(",") == 3 and not place.exists()
        return value if is_box else str(_local(Path(value), folder))
    return value


def _local(path: Path, folder: Path) -> Path:
    """A file that is there. ValueError else, and for addresses and standard input."""
    local_file(path if str(path) == "-" else folder / path)
    return (folder / path).resolve()


def _needed(verb: str) -> list[str]:
    return [
        one.name
        for one in fields(VERBS[verb])
        if one.default is MISSING and one.default_factory is MISSING
    ]


def inputs_of(asked: verbs.Asked) -> list[Path]:
    """Every file that the question reads, beside a model that has a name."""
    said = {name: value for name, value in vars(asked).items() if name != "out"}
    found = [value for value in said.values() if isinstance(value, Path)]
    for name in ("region", "model"):
        value = said.get(name)
        if value is not None and Path(value).is_absolute():
            found.append(Path(value))
    return found
