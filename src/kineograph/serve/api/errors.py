"""Every error is a sentence in OpenAI's shape."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from kineograph.serve.doors import SAFE

KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
HALVES = (("body",), ("query",), ("path",), ("header",))
"""Where FastAPI says that a value comes from."""
SHOWN = 60
"""Of a bad value, so many characters are shown."""


class Refused(Exception):
    """A request that is not granted: the status, a sentence, and which field it is about."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}


def shaped(status: int, message: str, param: str | None, code: str | None) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def answer(refused: Refused) -> JSONResponse:
    """The refusal as a response."""
    told = shaped(refused.status, refused.message, refused.param, refused.code)
    return JSONResponse(told, refused.status, headers={**SAFE, **refused.headers})


def of_pydantic(errors: list[Any]) -> Refused:
    """The first of what is wrong with a body, as a sentence that has the value in it."""
    found = errors[0]
    place = found["loc"]
    where = [str(part) for part in (place[1:] if place[:1] in HALVES else place)]
    param = ".".join(where) or None
    if found["type"] == "extra_forbidden":
        return Refused(400, f"There is no field {param!r:.80} here.", param, "unknown_field")
    if found["type"] == "missing":
        return Refused(400, f"The field {param!r} is missing.", param, "missing_field")
    value = repr(found.get("input"))
    value = value if len(value) <= SHOWN else value[:SHOWN] + "…"
    said = found["msg"].removeprefix("Value error, ").rstrip(".")
    return Refused(400, f"{param or 'The body'} is {value}: {said}.", param, "bad_value")


def install(app: FastAPI) -> None:
    """The app answers every error so."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(of_pydantic(list(error.errors())))

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        words = {404: "There is nothing at this address.", 405: "This address has other verbs."}
        message = words.get(error.status_code, str(error.detail))
        return answer(Refused(error.status_code, message))
