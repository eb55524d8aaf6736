"""What the server tells of itself: figures for Prometheus, lines of JSON without anyone's words.

A line has neither a query, nor a prompt, nor the name of a file: ids are all that it names.
"""

import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOGGER = "kineograph.serve"
QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


@dataclass(frozen=True, eq=False)
class Figures:
    """Counters and gauges of one server."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    videos: Gauge
    stored: Gauge
    workers: Counter

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


def new_figures() -> Figures:
    """All at 0."""
    kept = CollectorRegistry()
    labels = ["method", "route", "status"]
    return Figures(
        kept,
        Counter("kineo_requests", "Requests.", labels, registry=kept),
        Histogram("kineo_request_seconds", "How long.", ["route"], registry=kept, buckets=QUICK),
        Gauge("kineo_videos", "Videos by status.", ["status"], registry=kept),
        Gauge("kineo_stored_bytes", "Films and uploads.", registry=kept),
        Counter("kineo_worker_starts", "Starts of the worker.", registry=kept),
    )


class Lines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, event, and what was told with it."""
        told = getattr(record, "told", {})
        about = {"time": round(record.created, 3), "level": record.levelname.lower()}
        if record.exc_info and record.exc_info[0] is not None:
            told = {**told, "error": record.exc_info[0].__name__, "at": _where(record.exc_info[2])}
        return json.dumps({**about, "event": record.getMessage(), **told})


def _where(trace: Any) -> str:
    """The line of code that an error comes from: its message may hold anyone's words."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"


def settle(handler: logging.Handler | None = None, level: int = logging.INFO) -> None:
    """From here on events are lines of JSON, from that level on; the libraries tell errors."""
    handler = handler or logging.StreamHandler()
    handler.setFormatter(Lines())
    for name, least in ((LOGGER, level), ("uvicorn.error", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least)


def tell(event: str, **told: Any) -> None:
    """One event."""
    logging.getLogger(LOGGER).info(event, extra={"told": told})


def warn(event: str, **told: Any) -> None:
    """One event that should not have been."""
    logging.getLogger(LOGGER).warning(event, extra={"told": told})


def tell_error(event: str, **told: Any) -> None:
    """The error that is being handled, without its message."""
    logging.getLogger(LOGGER).error(event, exc_info=True, extra={"told": told})


@dataclass(frozen=True, eq=False)
class Watched:
    """Counts and tells each request: by its route, so that no address is told."""

    app: ASGIApp
    figures: Figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app, watched."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            took = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.figures.requests.labels(method, route, str(status)).inc()
            self.figures.seconds.labels(route).observe(took)
            about = {"method": method, "route": route, "status": status, "ms": round(1000 * took)}
            client = scope.get("state", {}).get("owner")
            tell("request", **about, owner=client, id=scope.get("path_params", {}).get("name"))


METHODS = {"GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"}
