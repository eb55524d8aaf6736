"""A film is watched as it is made: how far it is, and its newest frame, over a WebSocket."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool

from kineograph.serve.api import jobs, pictures, shelf
from kineograph.serve.api.apart import apart
from kineograph.serve.api.jobs import Job
from kineograph.serve.api.service import Asker, Served, Service, admitted
from kineograph.serve.api.showing import progress
from kineograph.serve.api.working import NUMBER, PREVIEW, WATCHED
from kineograph.serve.doors import same_origin, sent

EVERY_SECONDS = 0.1
OVER = (jobs.COMPLETED, jobs.FAILED)


router = APIRouter()


@router.websocket("/v1/videos/{name}/preview")
async def preview(socket: WebSocket, name: str, service: Served, token: str | None = None) -> None:
    """The token comes in the address or, where it can be set, in the header."""
    said = socket.headers.get("authorization", "").removeprefix("Bearer ") or token
    asker = await run_in_threadpool(admitted, service, said, None)
    job = None
    if asker is not None and same_origin(socket) and service.viewers.acquire(blocking=False):
        try:
            job = await run_in_threadpool(jobs.find, service.engine, asker.owner, name[:64])
            if job is not None and await _accepted(socket):
                await _watched(service, asker, job.id, socket)
        finally:
            service.viewers.release()
    if job is None:
        await socket.close(1008)


async def _accepted(socket: WebSocket) -> bool:
    """Whether the page is still there."""
    try:
        await socket.accept()
    except OSError:
        return False
    return True


async def _watched(service: Service, asker: Asker, name: str, socket: WebSocket) -> None:
    """Until the film is finished, or the page gone."""
    gone = asyncio.create_task(_gone(socket))
    try:
        await _shown(service, asker, name, socket, gone)
    finally:
        gone.cancel()


async def _gone(socket: WebSocket) -> None:
    """Ends when the page leaves, or says what no page has to say."""
    await socket.receive()


async def _shown(
    service: Service, asker: Asker, name: str, socket: WebSocket, gone: asyncio.Task[None]
) -> None:
    before: dict[str, Any] = {}
    number = 0
    while not gone.done():
        job = await run_in_threadpool(jobs.find, service.engine, asker.owner, name)
        if job is None:  # deleted
            break
        frame, jpeg = await run_in_threadpool(_newest, service, job)
        now = _told(job, max(frame, number))
        if now != before and not await _said(socket, now):
            return
        before = now
        if jpeg and frame > number:
            number = frame
            if not await sent(socket, jpeg):
                return
        if job.status in OVER:
            break
        await asyncio.sleep(EVERY_SECONDS)
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(1000)


def _told(job: Job, frame: int) -> dict[str, Any]:
    return {
        "status": job.status,
        "progress": progress(job),
        "frames_done": max(job.done, frame),
        "frames_total": job.total,
        "paused": job.paused,
        "frame": frame,
    }


async def _said(socket: WebSocket, told: dict[str, Any]) -> bool:
    try:
        await socket.send_json(told)
    except (WebSocketDisconnect, RuntimeError):
        return False
    return True


def _newest(service: Service, job: Job) -> tuple[int, bytes]:
    """The newest frame and how many were made by then; of what is finished, its thumbnail."""
    try:
        if job.status == jobs.COMPLETED and job.output:
            film = service.store.films / job.output
            return job.done + 1, apart(pictures.thumbnail, film, service.limits)
        return _of_worker(shelf.work_of(service.store, job.id, job.lease or "none"))
    except (OSError, ValueError):
        return 0, b""


def _of_worker(folder: Path) -> tuple[int, bytes]:
    (folder / WATCHED).touch()
    packed = (folder / PREVIEW).read_bytes()
    return NUMBER.unpack_from(packed)[0], packed[NUMBER.size :]
