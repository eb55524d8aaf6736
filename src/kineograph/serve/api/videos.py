"""`/v1/videos`: ask, look, fetch, remove, ask again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from kineograph.serve.api import asking, jobs, pictures, shelf, uploads
from kineograph.serve.api.apart import apart
from kineograph.serve.api.asking import Expected
from kineograph.serve.api.bodies import fields_of, parsed
from kineograph.serve.api.errors import Refused
from kineograph.serve.api.fields import Create, Edit, Move, Remix, asked_in
from kineograph.serve.api.jobs import Job
from kineograph.serve.api.modelling import model_for
from kineograph.serve.api.openapi import body_of
from kineograph.serve.api.service import (
    Asker,
    Served,
    Service,
    Who,
    film_of,
    job_of,
    upload_of,
)
from kineograph.serve.api.showing import poll_after, shown
from kineograph.serve.api.watching import tell
from kineograph.serve.doors import SAFE

FULL_RETRY_SECONDS = 30
MOST_OVER = 2
"""So many times as much as is kept may be there, for the minute until the rest is dropped."""
Variant = Literal["video", "thumbnail", "spritesheet"]


router = APIRouter(prefix="/v1/videos", tags=["videos"])


@router.post("", openapi_extra=body_of(Create))
async def create(request: Request, service: Served, asker: Who) -> Response:
    """Ask for a film."""
    return await _created(service, asker, request, Create, {})


@router.post("/edits", openapi_extra=body_of(Edit))
async def edits(request: Request, service: Served, asker: Who) -> Response:
    """Ask for an edit of a film that was made here, or that is given."""
    return await _created(service, asker, request, Edit, {"task": "edit"})


@router.post("/extensions", openapi_extra=body_of(Edit))
async def extensions(request: Request, service: Served, asker: Who) -> Response:
    """Ask how a film goes on that was made here, or that is given."""
    return await _created(service, asker, request, Edit, {"task": "predict"})


@router.post("/{name}/remix", openapi_extra=body_of(Remix))
async def remix(name: str, request: Request, service: Served, asker: Who) -> Response:
    """Ask the same again, with something changed."""
    body, _ = await parsed(request, Remix, _nothing_kept)
    return await run_in_threadpool(_remixed, service, asker, name, body)


@router.get("")
def listed(
    service: Served,
    asker: Who,
    after: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> Response:
    """Your videos, in the order of asking."""
    start = job_of(service, asker, after) if after else None
    found, more = jobs.page(service.engine, asker.owner, start, limit, order == "asc")
    return answered(
        {
            "object": "list",
            "data": shown(service, asker.owner, found),
            "first_id": found[0].id if found else None,
            "last_id": found[-1].id if found else None,
            "has_more": more,
        }
    )


@router.get("/{name}")
def retrieve(name: str, service: Served, asker: Who) -> Response:
    """How far it is."""
    return _told(service, asker, job_of(service, asker, name))


@router.get("/{name}/content", response_class=FileResponse)
def content(name: str, service: Served, asker: Who, variant: Variant = "video") -> Response:
    """The film, or a picture of it."""
    path = film_of(service, job_of(service, asker, name))
    kind = "video/mp4" if variant == "video" else "image/jpeg"
    if variant != "video":
        path = _picture(service, path, variant)
    name = f"{name[:64]}{path.suffix}"
    return FileResponse(path, media_type=kind, filename=name, headers=SAFE)


@router.delete("/{name}")
def delete(name: str, service: Served, asker: Who) -> Response:
    """Remove it; where it runs, it stops."""
    job = jobs.delete(service.engine, asker.owner, job_of(service, asker, name).id)
    if job is not None and job.output:
        shelf.remove(service.store.films / job.output)
    service.keeper.wake()
    return answered({"id": name, "object": "video.deleted", "deleted": True})


@router.post("/{name}/cancel")
def cancel(name: str, service: Served, asker: Who) -> Response:
    """Stop it; what is over stays as it is."""
    jobs.cancel(service.engine, asker.owner, job_of(service, asker, name).id)
    service.keeper.wake()
    return _told(service, asker, job_of(service, asker, name))


@router.post("/{name}/pause")
def pause(name: str, service: Served, asker: Who) -> Response:
    """Let it stand still."""
    jobs.pause(service.engine, asker.owner, job_of(service, asker, name).id, True)
    service.keeper.wake()
    return _told(service, asker, job_of(service, asker, name))


@router.post("/{name}/resume")
def resume(name: str, service: Served, asker: Who) -> Response:
    """Let it go on."""
    jobs.pause(service.engine, asker.owner, job_of(service, asker, name).id, False)
    service.keeper.wake()
    return _told(service, asker, job_of(service, asker, name))


@router.post("/{name}/move")
def move(name: str, service: Served, asker: Who, to: Move) -> Response:
    """Give it another place among your waiting ones."""
    job = job_of(service, asker, name)
    if (to.to is None) == (to.before is None):
        raise Refused(400, "Say either to, front or back, or before which.", "to", "bad_value")
    if not jobs.move(service.engine, asker.owner, job.id, to.before, to.to == "front"):
        told = "Only what waits can be moved, and only before what waits."
        raise Refused(400, told, "id", "not_waiting")
    return _told(service, asker, job_of(service, asker, name))


def answered(told: Any, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """JSON, with the safe headers."""
    return JSONResponse(told, headers={**SAFE, **(headers or {})})


def _told(service: Service, asker: Asker, job: Job) -> JSONResponse:
    headers = {"openai-poll-after-ms": str(poll_after(job))}
    return answered(shown(service, asker.owner, [job])[0], headers)


async def _created(
    service: Service, asker: Asker, request: Request, kind: Any, before: dict[str, Any]
) -> JSONResponse:
    kept: list[str] = []
    try:
        body, files = await parsed(request, kind, lambda file: keep(service, asker, file, kept))
        job = await run_in_threadpool(_queued, service, asker, body, files, before, kept)
    except Exception:
        for name in kept:  # nobody knows of them
            uploads.drop(service.engine, service.store, name)
        raise
    return await run_in_threadpool(_told, service, asker, job)


def keep(service: Service, asker: Asker, file: IO[bytes], kept: list[str]) -> str:
    """Takes an upload in; its id, which `kept` has from then on."""
    engine, store, limits = service.engine, service.store, service.limits
    if shelf.size_of(store) > MOST_OVER * limits.keep_bytes:
        told = "The store is full: ask again in a minute, when what is old has been dropped."
        raise Refused(429, told, None, "store_full", FULL_RETRY_SECONDS)
    upload = uploads.taken_in(engine, store, asker.owner, file, limits)
    kept.append(upload.id)
    return upload.id


def _nothing_kept(file: IO[bytes]) -> str:
    raise Refused(400, "No file goes with this.", None, "unknown_field")


def _queued(
    service: Service,
    asker: Asker,
    body: Any,
    files: dict[str, str],
    before: dict[str, Any],
    kept: list[str],
) -> Job:
    question = {**before, **asked_in(body)}
    names = fields_of(body)
    if not names & {"task", "prompt", "input_reference", "video"}:
        told = "Say what to make: a task, a prompt, or a film."
        raise Refused(400, told, "task", "missing_field")
    if isinstance(body, Edit):
        files = _with_film(service, asker, body, files, kept)
        names = names - {"video"} | {"input_reference"}
    return queued(service, asker, question, names, files, body.prompt, body.model, None)


def _with_film(
    service: Service, asker: Asker, body: Edit, files: dict[str, str], kept: list[str]
) -> dict[str, str]:
    """The files, with the film that was made here as what is given."""
    rest = {name: file for name, file in files.items() if name != "video"}
    if "video" in files:
        return {**rest, "input_reference": files["video"]}
    if body.video is None:
        raise Refused(400, "The field 'video' is missing.", "video", "missing_field")
    film = film_of(service, job_of(service, asker, body.video.id))
    engine, store = service.engine, service.store
    try:
        upload = uploads.of_film(engine, store, asker.owner, film, service.limits)
    except FileNotFoundError as error:
        raise Refused(404, "The video has just been dropped.", "video", "expired") from error
    kept.append(upload.id)
    return {**rest, "input_reference": upload.id}


def queued(
    service: Service,
    asker: Asker,
    question: dict[str, Any],
    names: set[str],
    files: dict[str, str],
    prompt: str | None,
    model: str | None,
    remixed_from: str | None,
) -> Job:
    """A question that is sound, in the queue. Refused where it is not."""
    values = checked(service, asker, question, names, files, model)
    values |= {"prompt": prompt, "remixed_from": remixed_from}
    try:
        job = jobs.add(service.engine, values, service.limits.waiting)
    except jobs.FullError as error:
        raise Refused(429, str(error), None, "queue_full", FULL_RETRY_SECONDS) from error
    except jobs.GoneError as error:
        raise Refused(404, str(error), "input_reference", "not_found") from error
    service.keeper.wake()
    tell("queued", id=job.id, owner=asker.owner, task=job.task)
    return job


def checked(
    service: Service,
    asker: Asker,
    question: dict[str, Any],
    names: set[str],
    files: dict[str, str],
    model: str | None,
) -> dict[str, Any]:
    """The row that a question would be. Refused where it is not sound."""
    seen = {name: upload_of(service, asker, file, name).seen for name, file in files.items()}
    film = seen.get("input_reference")
    task = asking.task_of(question, film)
    asking.check_fields(task, names - {"prompt", "model"})
    model = model_for(task, model)
    question = {key: value for key, value in question.items() if key != "task"}
    try:
        made = asking.expected(task, question, film, service.limits, seen.get("mask"))
        count = 1 if film is None else film.num_frames
        asking.asked_of(task, model, question, _paths(files), Path("film.mp4"), count)
    except ValueError as error:
        raise Refused(400, asking.sentence(error), None, "bad_value") from error
    return {
        "owner": asker.owner,
        "client": asker.client,
        "task": task,
        "model": model,
        "question": json.dumps(question),
        "inputs": json.dumps(files),
        **_promised(made),
    }


def _paths(files: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(file) for name, file in files.items()}


def _promised(made: Expected) -> dict[str, Any]:
    return {
        "total": made.made,
        "seconds": made.seconds,
        "width": made.width,
        "height": made.height,
        "work_px": made.work_px,
    }


def _remixed(service: Service, asker: Asker, name: str, body: Remix) -> JSONResponse:
    source = job_of(service, asker, name)
    if source.status != jobs.COMPLETED:
        told = f"The video is {source.status}, and not completed."
        raise Refused(400, told, "id", "not_completed")
    before, changed = json.loads(source.question), asked_in(body)
    question = {**before, "task": source.task, **changed}
    if not changed and source.task != "animate":
        question["seed"] = before.get("seed", 0) + 1
    names = set(question) | set(source.given)
    prompt = source.prompt if body.prompt is None else body.prompt
    model = body.model or source.model
    job = queued(service, asker, question, names, source.given, prompt, model, source.id)
    return _told(service, asker, job)


def _picture(service: Service, film: Path, variant: str) -> Path:
    """A picture of a film, made when it is first asked for."""
    make = {"thumbnail": pictures.thumbnail, "spritesheet": pictures.spritesheet}[variant]
    place = film.with_suffix(f".{variant}.jpg")
    if not place.is_file():
        aside = service.store.aside / f"{jobs.new_id('picture')}.jpg"
        limits = replace(service.limits, look_seconds=60.0)
        try:
            aside.write_bytes(apart(make, film, limits))
        except ValueError as error:
            raise Refused(400, f"There is no {variant} of it.", "variant", "bad_value") from error
        aside.replace(place)
    return place
