"""What may be asked about the studio."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Studio:
    """Work in the browser: drop a film, point at it, watch the answer grow, compare."""

    port: int = 8772
    """On this machine's loopback; 0 is any that is free."""
    store: Path | None = None
    """The folder of films, uploads and the queue; by default `server` beside your models, which
    `kineo serve` keeps, too: one of both at a time."""
    keep_days: float = 30.0
    """How long films and uploads are kept."""
    keep_gb: float = 20.0
    """How much is kept at most; the oldest goes first."""
    open: bool = True
    """Open the browser."""
    debug: bool = False
