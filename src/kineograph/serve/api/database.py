"""Jobs, files, clients and keys are rows of one database, SQLite by default."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Float, Integer, String, Text, event, exc

WAIT_MS = 10_000
"""How long one writer waits for another."""
CACHE_KB = 256
"""What a connection keeps of SQLite's file: by default 2 MB in each, and so all the queue in each.
The system keeps it, too, and once."""

tables = sa.MetaData()
jobs = sa.Table(
    "jobs",
    tables,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), unique=True, nullable=False),
    Column("owner", String(64), nullable=False, index=True),
    Column("client", String(160), nullable=False),
    Column("task", String(16), nullable=False),
    Column("model", String(64), nullable=False),
    Column("question", Text, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("prompt", Text),
    Column("status", String(16), nullable=False, index=True),
    Column("paused", Boolean, nullable=False, default=False),
    Column("rank", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("completed_at", Float),
    Column("expires_at", Float),
    Column("done", Integer, nullable=False, default=0),
    Column("total", Integer),
    Column("seconds", Float, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("work_px", Float, nullable=False),
    Column("fps", String(32)),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("remixed_from", String(64)),
    Column("lease", String(64)),
    Column("worker", String(64)),
    Column("lease_until", Float),
    Column("attempts", Integer, nullable=False, default=0),
    Column("output", String(160)),
    Column("bytes", Integer),
)
files = sa.Table(
    "files",
    tables,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("seen", Text, nullable=False),
)
clients = sa.Table(
    "clients",
    tables,
    Column("client", String(160), primary_key=True),
    Column("served_at", Float, nullable=False),
)
keys = sa.Table(
    "keys",
    tables,
    Column("name", String(64), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
)


def opened(url: str) -> sa.Engine:
    """The database at an address, with all tables in it. ValueError where it cannot be opened."""
    try:
        engine = sa.create_engine(url)
        if engine.dialect.name == "sqlite":
            _settle_sqlite(engine)
        tables.create_all(engine)
    except (exc.SQLAlchemyError, ImportError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ValueError(f"The database cannot be opened: {reason}") from error
    return engine


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that only reads, and so waits for no writer."""
    with engine.execution_options(reads_only=True).begin() as connection:
        yield connection


def _settle_sqlite(engine: sa.Engine) -> None:
    """A write-ahead log; whoever writes says so at once, so that no two writers lock each other."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transactions by itself
        wishes = "journal_mode=WAL", "synchronous=NORMAL"
        for pragma in (*wishes, f"busy_timeout={WAIT_MS}", f"cache_size=-{CACHE_KB}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("reads_only", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
