"""What may be asked about the server."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Serve:
    """Answer every verb over HTTP, in the shape of OpenAI's videos API."""

    host: str = "127.0.0.1"
    """Where it listens; anything else than this machine's loopback opens it to the network, without
    encryption: put a proxy with TLS before it."""
    port: int = 8770
    """0 is any that is free."""
    store: Path | None = None
    """The folder of films, uploads and the queue; by default `server` beside your models."""
    database: str | None = None
    """Another database, as postgresql+psycopg://...; by default KINEOGRAPH_DATABASE, which keeps a
    password out of the list of processes, or SQLite in the store."""
    new_token: str | None = None
    """Print a new token of this name, in place of an older one, and end."""
    upload_gb: float = 2.0
    """The largest upload."""
    most_seconds: float = 3600.0
    """The longest film, given or made."""
    keep_days: float = 7.0
    """How long films and uploads are kept."""
    keep_gb: float = 20.0
    """How much is kept at most; the oldest goes first."""
    requests: float = 50.0
    """How many requests a second one client may make."""
    debug: bool = False
