"""What stands beside `/v1/videos`: uploads, models, the queue, limits, estimates, figures."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from kineograph.serve.api import jobs, shelf, uploads, videos
from kineograph.serve.api.bodies import fields_of, parsed
from kineograph.serve.api.errors import Refused
from kineograph.serve.api.fields import TASKS, Create, asked_in
from kineograph.serve.api.modelling import names
from kineograph.serve.api.modelling import shown as model_shown
from kineograph.serve.api.openapi import body_of, described
from kineograph.serve.api.service import Asker, Served, Service, Who, upload_of
from kineograph.serve.api.showing import shown
from kineograph.serve.api.uploads import Upload
from kineograph.serve.api.videos import answered
from kineograph.serve.doors import SAFE


class File(BaseModel):
    """An upload by itself; `purpose` is heard, as OpenAI's clients send it."""

    model_config = ConfigDict(extra="forbid")
    purpose: Annotated[str, Field(max_length=64)] | None = None
    file: dict[str, str]


FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "maxLength": 64},
                    },
                }
            }
        },
    }
}


router = APIRouter()


@router.post("/v1/estimates", openapi_extra=body_of(Create), tags=["videos"])
async def estimates(request: Request, service: Served, asker: Who) -> Response:
    """What a question would give, and how long it would take; nothing is kept."""
    kept: list[str] = []
    keep = lambda file: videos.keep(service, asker, file, kept)  # noqa: E731
    try:
        body, files = await parsed(request, Create, keep)
        return await run_in_threadpool(_estimated, service, asker, body, files)
    finally:
        for name in kept:
            uploads.drop(service.engine, service.store, name)


@router.post("/v1/files", openapi_extra=FILE_BODY, tags=["files"])
async def create(request: Request, service: Served, asker: Who) -> Response:
    """Upload a film or a picture once, to ask about it often."""
    kept: list[str] = []
    keep = lambda file: videos.keep(service, asker, file, kept)  # noqa: E731
    _, files = await parsed(request, File, keep)
    if "file" not in files:
        raise Refused(400, "The field 'file' is missing.", "file", "missing_field")
    return answered(file_shown(upload_of(service, asker, files["file"])))


@router.get("/v1/files/{name}", tags=["files"])
def retrieve(name: str, service: Served, asker: Who) -> Response:
    """What is in an upload."""
    return answered(file_shown(upload_of(service, asker, name)))


@router.get("/v1/files/{name}/content", tags=["files"], response_class=FileResponse)
def content(name: str, service: Served, asker: Who) -> Response:
    """An upload, as it came."""
    upload = upload_of(service, asker, name)
    path = service.store.files / upload.id
    kind = "application/octet-stream"
    return FileResponse(path, media_type=kind, filename=upload.id, headers=SAFE)


@router.delete("/v1/files/{name}", tags=["files"])
def delete(name: str, service: Served, asker: Who) -> Response:
    """Remove an upload that nothing in the queue needs."""
    upload = upload_of(service, asker, name)
    if not uploads.drop(service.engine, service.store, upload.id):
        raise Refused(400, "A video in the queue needs this file.", "id", "in_use")
    return answered({"id": upload.id, "object": "file", "deleted": True})


@router.get("/v1/models", tags=["models"])
def models(service: Served, asker: Who) -> Response:
    """All models, with their cards."""
    return answered({"object": "list", "data": [model_shown(name) for name in names()]})


@router.get("/v1/models/{name}", tags=["models"])
def model(name: str, service: Served, asker: Who) -> Response:
    """One model, with its card."""
    if name not in names():
        raise Refused(404, "There is no such model.", "model", "model_not_found")
    return answered(model_shown(name))


@router.get("/v1/queue", tags=["videos"])
def queue(service: Served, asker: Who) -> Response:
    """Your running and waiting videos."""
    found = jobs.in_hand(service.engine, asker.owner)
    return answered({"object": "list", "data": shown(service, asker.owner, found)})


@router.get("/v1/limits", tags=["videos"])
def limits(service: Served, asker: Who) -> Response:
    """What may be asked and uploaded."""
    return answered({**asdict(service.limits), "tasks": TASKS})


@router.get("/health", tags=["server"])
def health(service: Served) -> Response:
    """Alive: the database answers."""
    jobs.counts(service.engine)
    return answered({"status": "ok"})


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, asker: Who) -> Response:
    """The API, for machines."""
    return answered(described(request.app))


@router.get("/metrics", tags=["server"])
def metrics(service: Served, asker: Who) -> Response:
    """Figures for Prometheus."""
    for status in (jobs.QUEUED, jobs.RUNNING, jobs.COMPLETED, jobs.FAILED):
        service.figures.videos.labels(status).set(0)
    for status, count in jobs.counts(service.engine).items():
        service.figures.videos.labels(status).set(count)
    service.figures.stored.set(shelf.size_of(service.store))
    return Response(service.figures.text(), media_type=CONTENT_TYPE_LATEST, headers=SAFE)


def _estimated(service: Service, asker: Asker, body: Create, files: dict[str, str]) -> Response:
    row = videos.checked(service, asker, asked_in(body), fields_of(body), files, body.model)
    found = jobs.seconds_for(service.engine, row["task"], row["model"], row["work_px"])
    return answered(
        {
            "object": "estimate",
            "task": row["task"],
            "model": row["model"],
            "seconds": f"{row['seconds']:.6g}",
            "size": f"{row['width']}x{row['height']}",
            "frames_total": row["total"],
            "estimated_seconds": None if found is None else round(found, 3),
        }
    )


def file_shown(upload: Upload) -> dict[str, Any]:
    """An upload as OpenAI's clients read it, with what is in it."""
    return {
        "id": upload.id,
        "object": "file",
        "bytes": upload.bytes,
        "created_at": int(upload.created_at),
        "filename": upload.id,
        "purpose": "vision",
        "status": "processed",
        **asdict(upload.seen),
    }
