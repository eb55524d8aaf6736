"""What all requests share, and who is asking."""

import re
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from kineograph.serve.api import database, jobs, keys, shelf, uploads, watching
from kineograph.serve.api.errors import Refused
from kineograph.serve.api.jobs import Job
from kineograph.serve.api.limits import Limits
from kineograph.serve.api.pace import Pace
from kineograph.serve.api.shelf import Shelf
from kineograph.serve.api.supervising import Keeper
from kineograph.serve.api.uploads import Upload
from kineograph.serve.api.watching import Figures

CLIENT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
BEARER = HTTPBearer(auto_error=False, description="The token that `kineo serve` printed.")
WRONG_A_SECOND, WRONG_BURST = 0.2, 20
"""Wrong tokens that one address may try."""
MOST_VIEWERS = 16
"""So many may watch films being made at once."""


@dataclass(frozen=True, eq=False)
class Service:
    """One server: its database, its store, its worker."""

    engine: sa.Engine
    store: Shelf
    limits: Limits
    figures: Figures
    keeper: Keeper
    pace: Pace
    wrong: Pace
    viewers: Semaphore


@dataclass(frozen=True)
class Asker:
    """Whose token it is; client parts an owner's requests, so that they take turns."""

    owner: str
    client: str


def opened(folder: Path, limits: Limits, url: str | None = None) -> Service:
    """The server of a store; its worker is not started yet."""
    store = shelf.opened(folder)
    url = url or store.database
    engine, figures = database.opened(url), watching.new_figures()
    keeper = Keeper(engine, store, limits, figures, url)
    paces = Pace(limits.requests_a_second, limits.burst), Pace(WRONG_A_SECOND, WRONG_BURST)
    return Service(engine, store, limits, figures, keeper, *paces, Semaphore(MOST_VIEWERS))


def service_of(connection: HTTPConnection) -> Service:
    """The service that the app was made for."""
    return connection.app.state.service


Served = Annotated[Service, Depends(service_of)]


def asker_of(
    request: Request,
    service: Served,
    said: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
    token: Annotated[str | None, Query(include_in_schema=False)] = None,
) -> Asker:
    """Who asks. Refused without a token, or who asks too often."""
    in_query = token if request.method == "GET" else None
    asker = admitted(
        service, said.credentials if said else in_query, request.headers.get("kineo-client")
    )
    if asker is None:
        _check_pace(service.wrong.wait(request.client.host if request.client else ""))
        told = "The token is missing or wrong: send `Authorization: Bearer TOKEN`, as printed."
        raise Refused(401, told, None, "invalid_api_key")
    request.state.owner = asker.owner
    _check_pace(service.pace.wait(asker.client))
    return asker


Who = Annotated[Asker, Depends(asker_of)]


def admitted(service: Service, token: str | None, name: str | None) -> Asker | None:
    """Who has that token, if anyone has."""
    owner = keys.owner_of(service.engine, token)
    if owner is None:
        return None
    named = name is not None and CLIENT.fullmatch(name)
    return Asker(owner, f"{owner}/{name}" if named else owner)


def _check_pace(seconds: int) -> None:
    if seconds:
        told = f"Too many requests: ask again in {seconds} s."
        raise Refused(429, told, None, "rate_limit_exceeded", seconds)


def job_of(service: Service, asker: Asker, name: str) -> Job:
    """The asker's job of that id. Refused where there is none."""
    job = jobs.find(service.engine, asker.owner, name[:64])
    if job is None:
        raise Refused(404, "There is no such video.", "id", "not_found")
    return job


def upload_of(service: Service, asker: Asker, name: str, param: str = "id") -> Upload:
    """The asker's upload of that id. Refused where there is none."""
    upload = uploads.find(service.engine, asker.owner, name[:64])
    if upload is None or not (service.store.files / upload.id).is_file():
        raise Refused(404, "There is no such file: it was never uploaded, or has been dropped.",
                      param, "not_found")  # fmt: skip
    return upload


def film_of(service: Service, job: Job) -> Path:
    """Where a job's film is. Refused while it has none, or where it has been dropped."""
    if job.status != jobs.COMPLETED:
        told = f"The video is {job.status}, and not completed."
        raise Refused(400, told, "id", "not_completed")
    path = service.store.films / job.output if job.output else None
    if path is None or not path.is_file():
        raise Refused(404, "The video has been dropped, as it was old or the store was full.",
                      "id", "expired")  # fmt: skip
    return path
