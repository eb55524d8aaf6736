"""What a body may hold: OpenAI's fields and our own, each bounded, and no other."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Task = Literal[
    "predict",
    "enhance",
    "interpolate",
    "inpaint",
    "outpaint",
    "repair",
    "transfer",
    "generate",
    "animate",
    "edit",
]
TASKS = get_args(Task)
Kind = Literal["dropped", "frozen", "glitch", "scratch", "dust"]
FILES = ("input_reference", "mask", "reference", "like", "video", "file")
"""The fields in which a film or picture may be given."""
OPENAI = ("prompt", "model", *FILES)
"""The fields that are kept apart from the question."""
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _finite(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("give a number")
    return value


Seconds = Annotated[float, BeforeValidator(_finite), Field(gt=0, le=3600, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_finite), Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_finite)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Motion = Annotated[
    list[Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]],
    BeforeValidator(_listed),
    Field(min_length=2, max_length=2),
]
Kinds = Annotated[list[Kind], BeforeValidator(_listed), Field(min_length=1, max_length=5)]


class Reference(BaseModel):
    """A film or picture that was uploaded before, or that is in the body itself."""

    model_config = ConfigDict(extra="forbid")
    file_id: Annotated[str, Field(max_length=64)] | None = None
    image_url: str | None = None
    """A data: address; no other is opened."""


class Made(BaseModel):
    """A film that was made here."""

    model_config = ConfigDict(extra="forbid")
    id: Annotated[str, Field(max_length=64)]


class Question(BaseModel):
    """Our own fields. Which task takes which is in `asking`."""

    model_config = ConfigDict(extra="forbid")
    task: Task | None = None
    seconds: Seconds | None = None
    size: Annotated[str, Field(pattern=_SIZE.pattern.join("^$"))] | None = None
    seed: Annotated[Count, Field(ge=0, lt=2**63)] | None = None
    quality: Literal["exact", "high", "small"] | None = None
    known: Text | None = None
    before: Seconds | None = None
    steps: Annotated[Count, Field(ge=1, le=1000)] | None = None
    denoise: Share | None = None
    deblur: bool | None = None
    scale: Annotated[Count, Field(ge=1, le=4)] | None = None
    deflicker: Share | None = None
    colourise: Share | None = None
    fps: Annotated[str, Field(max_length=32, coerce_numbers_to_str=True)] | None = None
    slower: Annotated[Count, Field(ge=1, le=64)] | None = None
    region: Text | None = None
    aspect: Text | None = None
    only: Kinds | None = None
    frames: Text | None = None
    lines: Text | None = None
    strength: Share | None = None
    flow: Motion | None = None
    zoom: Annotated[float, Field(ge=-0.05, le=0.05, allow_inf_nan=False)] | None = None
    loop: bool | None = None
    variety: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = None


class Remix(Question):
    """What is changed of a question that was asked before."""

    prompt: Annotated[str, Field(max_length=32_000)] | None = None
    model: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class Create(Remix):
    """A question and the films that it is about."""

    input_reference: Reference | None = None
    mask: Reference | None = None
    reference: Reference | None = None
    like: Reference | None = None


class Edit(Remix):
    """A question about a film that was made here, or is given."""

    video: Made | None = None
    mask: Reference | None = None
    reference: Reference | None = None
    like: Reference | None = None


class Move(BaseModel):
    """A place in the queue."""

    model_config = ConfigDict(extra="forbid")
    to: Literal["front", "back"] | None = None
    before: Annotated[str, Field(max_length=64)] | None = None


def asked_in(body: Question) -> dict[str, Any]:
    """The question alone, as it was put."""
    return body.model_dump(exclude_unset=True, exclude_none=True, exclude=set(OPENAI))


def size_in(text: str) -> tuple[int, int]:
    """Width and height of a size."""
    width, height = text.split("x")
    return int(width), int(height)
