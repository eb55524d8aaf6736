"""Pages are served on this machine's loopback, and nowhere else."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from fastapi import FastAPI

from kineograph.cli import sockets

MOST_MESSAGE_BYTES = 4096


def loopback(port: int) -> socket.socket:
    """What a page is served on; 0 is any port that is free."""
    return sockets.listening("127.0.0.1", port)


def address_of(listening: socket.socket, token: str) -> str:
    """What a browser must open."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}/?token={token}"


def server_of(app: FastAPI, goodbye_seconds: int | None = None) -> uvicorn.Server:
    """What serves it; pages that are open when it ends have so long to leave."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            ws_max_size=MOST_MESSAGE_BYTES,
            timeout_graceful_shutdown=goodbye_seconds,
        )
    )


@contextmanager
def running(server: uvicorn.Server, listening: socket.socket) -> Iterator[None]:
    """The server in a thread of its own, while this is entered."""
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
