"""The verb that serves every other."""

import os
import socket
import tempfile
from contextlib import closing, suppress
from ipaddress import ip_address
from multiprocessing.util import get_temp_dir

import uvicorn
from rich.console import Console
from starlette.types import ASGIApp

from kineograph.cli import sockets
from kineograph.cli.serve_commands import Serve
from kineograph.models import store
from kineograph.serve.api.limits import Limits

GOODBYE_SECONDS = 5
MOST_CONNECTIONS = 256
EXTRA = "This needs more packages: pip install 'kineograph[serve]'"


def serve(asked: Serve, console: Console) -> None:
    """Serves until it is stopped; or makes a token, and ends."""
    try:
        from kineograph.serve.api import app, keys, service, watching
    except ImportError as error:
        raise ValueError(f"{EXTRA} ({error.name} is missing).") from error
    folder = asked.store or store.folder() / "server"
    url = asked.database or os.environ.get("KINEOGRAPH_DATABASE")
    found = service.opened(folder, limits_of(asked), url)
    if asked.new_token is not None:
        token = keys.made(found.engine, asked.new_token)
        Console().print(token, highlight=False, soft_wrap=True)
        return
    app.held(found).close()
    token = keys.first(found.engine)
    with closing(listening_at(asked.host, asked.port)) as listening:
        host, port = listening.getsockname()[:2]
        console.print(f"http://{host}:{port}", highlight=False, soft_wrap=True)
        if not ip_address(host).is_loopback:
            console.print("Others can reach it, and nothing is encrypted: see docs/security.md.")
        if token is not None:
            console.print(f"The token, shown this once: {token}", highlight=False, soft_wrap=True)
        watching.settle()
        get_temp_dir()  # of sockets, whose names must be short
        tempfile.tempdir = str(found.store.aside)  # where forms are kept while they come
        with suppress(KeyboardInterrupt):
            server_of(app.app(found)).run(sockets=[listening])


def limits_of(asked: Serve) -> Limits:
    """The limits that were asked. ValueError for what cannot be."""
    for name in ("upload_gb", "most_seconds", "keep_days", "keep_gb", "requests"):
        if not 0 < getattr(asked, name) <= 1e6:
            raise ValueError(f"{name} is {getattr(asked, name)}: give more than 0.")
    return Limits(
        upload_bytes=int(asked.upload_gb * 2**30),
        seconds=asked.most_seconds,
        keep_days=asked.keep_days,
        keep_bytes=int(asked.keep_gb * 2**30),
        requests_a_second=asked.requests,
        burst=max(1, int(4 * asked.requests)),
    )


def listening_at(host: str, port: int) -> socket.socket:
    """What it is served on. ValueError where that cannot be."""
    try:
        return sockets.listening(host, port, MOST_CONNECTIONS)
    except (OSError, OverflowError) as error:
        raise ValueError(f"{host}:{port} cannot be listened on: {error}.") from error


def server_of(app: ASGIApp) -> uvicorn.Server:
    """What serves it; it tells nothing of itself, and no address of any request."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws_max_size=4096,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=GOODBYE_SECONDS,
        )
    )
