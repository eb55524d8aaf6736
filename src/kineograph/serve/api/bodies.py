"""What a request holds, whether it comes as JSON or as a form: fields, and files that are kept."""

import base64
import binascii
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kineograph.serve.api import errors
from kineograph.serve.api.errors import Refused
from kineograph.serve.api.fields import FILES, Create, Edit, Reference
from kineograph.serve.api.limits import MOST_FIELDS, MOST_FILES, TEXT_BYTES, Limits

Body = TypeVar("Body", bound=BaseModel)
_INSIDE = re.compile(r"(\w+)\[(\w*)\]")
_DATA = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,")
ROOM = 2**20
"""Beyond its files, a form may have so many bytes."""


@dataclass(frozen=True, eq=False)
class Bounded:
    """Stops reading a request once it has more bytes than any may have."""

    app: ASGIApp
    limits: Limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app, which hears no more than the limit."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        is_form = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        most = self.limits.upload_bytes + ROOM if is_form else self.limits.json_bytes
        said, heard = headers.get(b"content-length", b"0"), 0
        refusal = Refused(413, f"The request has more than {most:,} bytes.", None, "too_large")
        if not said.isdigit() or int(said) > most:
            await errors.answer(refusal)(scope, receive, send)
            return

        async def bounded() -> Message:
            nonlocal heard
            message = await receive()
            heard += len(message.get("body", b""))
            if heard > most:
                raise refusal
            return message

        await self.app(scope, bounded, send)


async def parsed(
    request: Request, kind: type[Body], keep: Callable[[IO[bytes]], str]
) -> tuple[Body, dict[str, str]]:
    """The body as that kind, and the ids of the files in it; `keep` takes a file and gives its id.

    Nothing is kept before all of the fields are sound.
    """
    content = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content in ("multipart/form-data", "application/x-www-form-urlencoded"):
        try:
            form = request.form(
                max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=TEXT_BYTES
            )
            async with form as found:
                body = validated(kind, unfolded(found))
                files = {
                    name: value for name, value in found.items() if isinstance(value, UploadFile)
                }
                return body, await run_in_threadpool(_kept, body, files, keep)
        except OSError as error:
            told = "There is no room on the disk for what is sent."
            raise Refused(507, told, None, "no_room") from error
        except HTTPException as error:
            told = f"The form cannot be read: {error.detail}"
            raise Refused(400, told, None, "bad_form") from error
    if content in ("application/json", ""):
        body = validated(kind, await _json(request))
        return body, await run_in_threadpool(_kept, body, {}, keep)
    told = f"The body is {content[:80]!r}: send multipart/form-data or application/json."
    raise Refused(415, told, None, "bad_type")


async def _json(request: Request) -> Any:
    try:
        text = await request.body()
        return json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise Refused(400, "The body is no JSON.", None, "bad_json") from error


def validated(kind: type[Body], found: Any) -> Body:
    """The body, if it is of that kind. Refused else."""
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        raise errors.of_pydantic(list(error.errors())) from error


def unfolded(form: FormData) -> dict[str, Any]:
    """The fields of a form: `a[b]` is b in a, `a[]` and what comes twice are lists."""
    found: dict[str, Any] = {}
    for key, value in form.multi_items():
        if isinstance(value, UploadFile):
            if key not in FILES or not isinstance(found.setdefault(key, _here(key)), dict):
                raise Refused(
                    400, f"There is no file {key[:40]!r} here.", key[:40], "unknown_field"
                )
            continue
        inside = _INSIDE.fullmatch(key)
        if inside is None:
            found[key] = value if key not in found else [found[key], value]
        elif inside[2]:
            within = found.setdefault(inside[1], {})
            if isinstance(within, dict):
                within[inside[2]] = value
        else:
            listed = found.setdefault(inside[1], [])
            if isinstance(listed, list):
                listed.append(value)
    return found


def _here(key: str) -> dict[str, str]:
    """What stands in for a file that is part of the form."""
    return {"id": ""} if key == "video" else {}


def _kept(
    body: BaseModel, files: dict[str, UploadFile], keep: Callable[[IO[bytes]], str]
) -> dict[str, str]:
    """The id of each file: of those in the form, those named, and those written out."""
    found: dict[str, str] = {}
    for name in FILES:
        said = getattr(body, name, None)
        if name in files:
            found[name] = _refusing(name, lambda file=files[name].file: keep(file))
        elif isinstance(said, Reference):
            found[name] = _refusing(name, lambda said=said: _named(said, keep))
    return found


def _named(said: Reference, keep: Callable[[IO[bytes]], str]) -> str:
    if (said.file_id is None) == (said.image_url is None):
        raise ValueError("Give a file, or one of file_id and image_url.")
    if said.file_id is not None:
        return said.file_id
    text = said.image_url or ""
    begins = _DATA.match(text)
    if begins is None:
        raise ValueError("No address is opened: give a file, a file_id or a data: URL in base64.")
    try:
        return keep(io.BytesIO(base64.b64decode(text[begins.end() :], validate=True)))
    except binascii.Error as error:
        raise ValueError("The data: URL is not in base64.") from error


def _refusing(name: str, keep: Callable[[], str]) -> str:
    try:
        return keep()
    except ValueError as error:
        raise Refused(400, str(error), name, "bad_file") from error


def fields_of(body: Create | Edit) -> set[str]:
    """The names of all fields that were given."""
    return {name for name in body.model_fields_set if getattr(body, name) is not None}
