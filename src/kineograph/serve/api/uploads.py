"""What was uploaded: a file by its id, and what is in it, which a process apart has seen."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import sqlalchemy as sa

from kineograph.serve.api import jobs, looking
from kineograph.serve.api.database import files, reading
from kineograph.serve.api.database import jobs as rows
from kineograph.serve.api.limits import Limits
from kineograph.serve.api.looking import Seen
from kineograph.serve.api.shelf import Shelf, copied

CHUNK = 2**20


@dataclass(frozen=True)
class Upload:
    """A file of an owner's."""

    id: str
    created_at: float
    bytes: int
    seen: Seen


class Kept(NamedTuple):
    """No more of an upload than decides when to drop it."""

    id: str
    created_at: float
    bytes: int


def taken_in(
    engine: sa.Engine, shelf: Shelf, owner: str, source: IO[bytes], limits: Limits
) -> Upload:
    """Keeps an upload that is a film. ValueError, a sentence, where it is none or too much."""
    name = jobs.new_id("file")
    aside = shelf.aside / name
    try:
        with aside.open("wb") as file:
            num_bytes = _copied(source, file, limits.upload_bytes)
        return _kept(engine, shelf, owner, name, aside, looking.look(aside, limits), num_bytes)
    finally:
        aside.unlink(missing_ok=True)


def _copied(source: IO[bytes], to: IO[bytes], most: int) -> int:
    num_bytes = 0
    while chunk := source.read(CHUNK):
        num_bytes += len(chunk)
        if num_bytes > most:
            raise ValueError(f"The upload has more than {most:,} bytes.")
        to.write(chunk)
    if not num_bytes:
        raise ValueError("The upload is empty: give a film or a picture.")
    return num_bytes


def of_film(engine: sa.Engine, shelf: Shelf, owner: str, film: Path, limits: Limits) -> Upload:
    """A film that was made here, as something that can be asked about."""
    name = jobs.new_id("file")
    aside = shelf.aside / name
    try:
        copied(film, aside)
        seen = looking.look(aside, limits)
        return _kept(engine, shelf, owner, name, aside, seen, aside.stat().st_size)
    finally:
        aside.unlink(missing_ok=True)


def _kept(
    engine: sa.Engine,
    shelf: Shelf,
    owner: str,
    name: str,
    aside: Path,
    seen: Seen,
    num_bytes: int,
) -> Upload:
    upload = Upload(name, time.time(), num_bytes, seen)
    row = {**asdict(upload), "owner": owner, "seen": json.dumps(asdict(seen))}
    os.replace(aside, shelf.files / name)
    with engine.begin() as connection:
        connection.execute(sa.insert(files).values(row))
    return upload


def find(engine: sa.Engine, owner: str, name: str) -> Upload | None:
    """An upload, if it is there and that owner's."""
    query = sa.select(files).where(files.c.id == name, files.c.owner == owner)
    with reading(engine) as connection:
        row = connection.execute(query).first()
    return None if row is None else _upload(row)


def everything(engine: sa.Engine) -> list[Kept]:
    """All uploads of all owners, oldest first."""
    columns = [files.c[name] for name in Kept._fields]
    with reading(engine) as connection:
        rows = connection.execute(sa.select(*columns).order_by(files.c.created_at))
        return [Kept(*row) for row in rows]


def drop(engine: sa.Engine, shelf: Shelf, name: str) -> bool:
    """Deletes an upload unless a job that is not over needs it; nothing is queued in between."""
    there = sa.select(files.c.id).where(files.c.id == name).with_for_update()
    needs = sa.select(rows.c.number).where(
        rows.c.status.in_((jobs.RUNNING, jobs.QUEUED)), rows.c.inputs.contains(name)
    )
    with engine.begin() as connection:
        connection.execute(there)
        if connection.execute(needs.limit(1)).first() is not None:
            return False
        connection.execute(sa.delete(files).where(files.c.id == name))
    (shelf.files / name).unlink(missing_ok=True)
    return True


def _upload(row: Any) -> Upload:
    about = row._mapping
    return Upload(
        about["id"], about["created_at"], about["bytes"], Seen(**json.loads(about["seen"]))
    )
