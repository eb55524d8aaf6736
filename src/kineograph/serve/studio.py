"""The studio: a page on top of the API, whose files are the package's own and ask nobody else."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from threading import Lock
from typing import Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from kineograph.serve import play
from kineograph.serve.api import app as api
from kineograph.serve.api import learning, pictures
from kineograph.serve.api.apart import apart
from kineograph.serve.api.errors import Refused
from kineograph.serve.api.modelling import kind_of, names
from kineograph.serve.api.service import Served, Service, Who, upload_of
from kineograph.serve.api.videos import answered
from kineograph.serve.doors import SAFE
from kineograph.serve.play import Table

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; media-src 'self' blob:; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""The page runs and loads what is beside it, and makes no markup of text."""
HEADERS = {**SAFE, "Content-Security-Policy": POLICY}
KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
PICTURES = {"thumbnail": pictures.thumbnail, "spritesheet": pictures.spritesheet}

router = APIRouter(include_in_schema=False)


def app(service: Service, make: Callable[[str], Table]) -> FastAPI:
    """The API, what it takes to learn, the page, and the worlds' page. make: lays a table for a
    world, when it is first played."""
    made = api.app(service)
    made.state.make, made.state.tables, made.state.laying = make, {}, Lock()
    made.state.pages = _pages()
    for routes in (learning.router, router):
        made.include_router(routes)
    return made


def _pages() -> dict[str, str]:
    """The files of the page, by name."""
    folder = files("kineograph") / "serve" / "pages" / "studio"
    found = [one for one in folder.iterdir() if one.name.split(".")[-1] in KINDS]
    return {one.name: one.read_text("utf-8") for one in found}


@router.get("/")
def page(request: Request) -> Response:
    """The page itself: it holds nothing, so whoever reaches this port may read it."""
    return _file(request, "index.html")


@router.get("/studio/{name}")
def part(name: str, request: Request) -> Response:
    """What the page is made of."""
    return _file(request, name)


def _file(request: Request, name: str) -> Response:
    text = request.app.state.pages.get(name)
    if text is None:
        raise Refused(404, "There is nothing at this address.")
    return Response(text, media_type=KINDS[name.split(".")[-1]], headers=HEADERS)


@router.get("/v1/files/{name}/{picture}")
def seen(
    name: str, picture: Literal["thumbnail", "spritesheet"], service: Served, asker: Who
) -> Response:
    """An upload's middle frame or its moments, which a process apart has decoded."""
    path = service.store.files / upload_of(service, asker, name).id
    try:
        jpeg = apart(PICTURES[picture], path, service.limits)
    except ValueError as error:
        raise Refused(400, str(error), "id", "bad_file") from error
    return Response(jpeg, media_type="image/jpeg", headers=SAFE)


@router.post("/v1/worlds/{name}/table")
def table(name: str, request: Request, asker: Who) -> Response:
    """Where that world is played."""
    if name not in names() or kind_of(name) != "world":
        raise Refused(404, "There is no such world.", "name", "not_found")
    state = request.app.state
    with state.laying:
        if name not in state.tables:
            state.tables[name] = state.make(name)
            request.app.mount(f"/play/{name}", _framed(play.app(state.tables[name])))
    return answered({"address": f"/play/{name}/?token={state.tables[name].token}"})


def _framed(made: FastAPI) -> FastAPI:
    """The page of a world, which this page may show within it."""

    @made.middleware("http")
    async def framed(
        request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await answer(request)
        policy = response.headers.get("Content-Security-Policy", "")
        allowed = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        response.headers["Content-Security-Policy"] = allowed
        return response

    return made
