"""The whole server: its routes, what stands before them, and what lives as long as it does."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from threading import Thread
from typing import IO

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from kineograph.serve.api import errors, jobs, others, preview, shelf, videos
from kineograph.serve.api.apart import warmed
from kineograph.serve.api.bodies import Bounded
from kineograph.serve.api.keeping import Keeping
from kineograph.serve.api.service import Service
from kineograph.serve.api.watching import Watched, tell_error
from kineograph.serve.doors import SAFE
from kineograph.train import machine


def app(service: Service) -> FastAPI:
    """The API of a service; while it runs, its worker does, and its store is its own."""

    @asynccontextmanager
    async def alive(made: FastAPI) -> AsyncIterator[None]:
        lock = held(service)
        machine.one_heap()  # requests are answered by dozens of threads
        keeping = Keeping(service)
        shelf.emptied(service.store)
        if service.engine.dialect.name == "sqlite":
            # Nobody else is at this store: whoever held a job is dead.
            jobs.orphaned(service.engine, service.limits.attempts)
            shelf.cleared(service.store)
        service.keeper.start()
        keeping.start()
        Thread(target=warmed, daemon=True).start()
        try:
            yield
        finally:
            await asyncio.to_thread(keeping.stop)
            await asyncio.to_thread(service.keeper.stop)
            lock.close()

    made = FastAPI(
        title="kineo serve",
        version=version("kineograph"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=alive,
    )
    errors.install(made)
    made.state.service = service
    for routes in (videos.router, others.router, preview.router):
        made.include_router(routes)
    made.add_middleware(Bounded, limits=service.limits)
    made.add_middleware(Whole)
    made.add_middleware(Watched, figures=service.figures)
    return made


def held(service: Service) -> IO[str]:
    """The store's lock, as long as it is open. ValueError where another server has it."""
    lock = (service.store.folder / "server.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise ValueError(f"Another server is at {service.store.folder}: end it first.") from error
    return lock


@dataclass(frozen=True, eq=False)
class Whole:
    """What breaks inside is an answer, too, and tells nothing of what broke."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app, or an error 500."""
        try:
            await self.app(scope, receive, send)
        except ClientDisconnect:  # there is nobody to be answered
            return
        except Exception:
            tell_error("request_broke")
            if scope["type"] != "http":
                return
            told = errors.shaped(500, "Something went wrong here.", None, "server_error")
            await JSONResponse(told, 500, headers=SAFE)(scope, receive, send)
