"""Who may ask: tokens, of which only hashes are kept."""

import hmac
import re
import time
from hashlib import sha256

import sqlalchemy as sa

from kineograph.serve.api import database
from kineograph.serve.doors import new_token

NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
FIRST = "default"


def made(engine: sa.Engine, name: str) -> str:
    """A new token of that name, in place of an older one. ValueError for a bad name."""
    if not NAME.fullmatch(name):
        raise ValueError(f"A token cannot be called {name!r}: use up to 32 of A-Z, a-z, 0-9, - _.")
    token = new_token()
    row = {"name": name, "hash": hash_of(token), "created_at": time.time()}
    with engine.begin() as connection:
        connection.execute(sa.delete(database.keys).where(database.keys.c.name == name))
        connection.execute(sa.insert(database.keys).values(row))
    return token


def first(engine: sa.Engine) -> str | None:
    """A token, where there is none yet."""
    with database.reading(engine) as connection:
        found = connection.execute(sa.select(database.keys.c.name)).first()
    return made(engine, FIRST) if found is None else None


def owner_of(engine: sa.Engine, token: str | None) -> str | None:
    """Whose token it is; every hash is compared, each in constant time."""
    if token is None or len(token) > 256:
        return None
    said, found = hash_of(token), None
    with database.reading(engine) as connection:
        rows = connection.execute(sa.select(database.keys.c.name, database.keys.c.hash)).all()
    for name, kept in rows:
        if hmac.compare_digest(said, kept):
            found = name
    return found


def hash_of(token: str) -> str:
    """What is kept of a token: it is random and long, so no salt is needed."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
