"""The verb that serves the page to work in."""

import logging
import tempfile
import webbrowser
from contextlib import closing, suppress
from multiprocessing.util import get_temp_dir

from rich.console import Console

from kineograph import runtime
from kineograph.cli import serving
from kineograph.cli.studio_commands import Studio
from kineograph.models import store
from kineograph.serve.api.limits import Limits
from kineograph.serve.play import Table

HOST = "127.0.0.1"
CLIENT = "studio"
REQUESTS_A_SECOND = 200.0


def studio(asked: Studio, console: Console) -> None:
    """Serves API and page on loopback until it is stopped; each start has a new token."""
    try:
        from kineograph.serve import studio as page
        from kineograph.serve.api import app, keys, service, watching
    except ImportError as error:
        raise ValueError(f"{serving.EXTRA} ({error.name} is missing).") from error
    found = service.opened(asked.store or store.folder() / "server", limits_of(asked))
    app.held(found).close()
    token = keys.made(found.engine, CLIENT)
    with closing(serving.listening_at(HOST, asked.port)) as listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}/#token={token}"
        console.print(address, highlight=False, soft_wrap=True)
        console.print("Ctrl-C ends it.")
        watching.settle(level=logging.WARNING)  # who works here sees the rest
        get_temp_dir()  # of sockets, whose names must be short
        tempfile.tempdir = str(found.store.aside)  # where forms are kept while they come
        if asked.open:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):
            serving.server_of(page.app(found, table_of)).run(sockets=[listening])


def limits_of(asked: Studio) -> Limits:
    """The limits of one who works alone. ValueError for what cannot be."""
    for name in ("keep_days", "keep_gb"):
        if not 0 < getattr(asked, name) <= 1e6:
            raise ValueError(f"{name} is {getattr(asked, name)}: give more than 0.")
    return Limits(
        keep_days=asked.keep_days,
        keep_bytes=int(asked.keep_gb * 2**30),
        requests_a_second=REQUESTS_A_SECOND,
        burst=int(4 * REQUESTS_A_SECOND),
    )


def table_of(name: str) -> Table:
    """A table where that world is played, by the best that is installed."""
    from kineograph.cli import games

    return games.table_of(name, runtime.chosen("auto"))
