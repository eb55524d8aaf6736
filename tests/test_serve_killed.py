"""Server and worker are killed at random moments: no film is lost, none is made twice.

KINEO_SERVE_KILLS says how often; the full measure is 30.
"""

import json
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from films import samples, simple
from kineograph.serve.api.limits import Limits
from serve_support import Server, shared, started

KILLS = int(os.environ.get("KINEO_SERVE_KILLS", "3"))
FLAGS = ("--requests", "10000")
NUM_JOBS = max(3, KILLS)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return simple(tmp_path / "film.mp4", num_frames=24)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """All that were started at one store; the last may be alive."""
    found = [started(tmp_path / "store", *FLAGS)]
    yield found
    found[-1].stop()


def worker_of(server: Server) -> int | None:
    """The process of the worker that lives now."""
    try:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        found = [int(one) for task in children.parent.parent.iterdir()
                 for one in (task / "children").read_text().split()]  # fmt: skip
    except OSError:
        return None
    for pid in found:
        try:
            if b"kineograph.serve.api.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        except OSError:
            continue
    return None


def events(servers: list[Server]) -> list[dict]:
    """What all of them have told, in order."""
    texts = [server.log.read_text() for server in servers]
    found = []
    for text in texts:
        for line in text.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue  # not a line of ours, or one that the kill has cut
    return found


def test_nothing_is_lost_or_made_twice(film: Path, servers: list[Server], tmp_path: Path) -> None:
    luck = random.Random(int(os.environ.get("KINEO_SEED", "0")))
    server = servers[0]
    fields = {"task": "enhance", "denoise": "1", "quality": "exact"}
    names = [server.create(film, **fields)["id"] for _ in range(NUM_JOBS)]
    for kill in range(KILLS):
        time.sleep(luck.uniform(0, 2.5))
        if kill % 2 == 0:
            if (pid := worker_of(server)) is not None:
                os.kill(pid, signal.SIGKILL)
        else:
            worker = worker_of(server)
            server.kill()
            _check_ends(worker)
            server = started(tmp_path / "store", *FLAGS, token=server.token)
            servers.append(server)
        if kill % 3 == 2:
            names.append(server.create(film, **fields)["id"])
    assert [one["id"] for one in server.ask("GET", "/v1/videos?order=asc&limit=100").json()[
        "data"]] == names  # fmt: skip
    found = [server.made(name) for name in names]
    assert {one["status"] for one in found} <= {"completed", "failed"}
    died = [one for one in found if one["status"] == "failed"]
    print(f"\n{KILLS} kills, {len(names)} films, {len(died)} given up")
    assert all(one["error"]["code"] == "worker_died" for one in died)
    assert len(died) <= KILLS // Limits().attempts  # it takes so many over one film to give it up
    films = []
    for one in found:
        if one["status"] == "completed":
            out = tmp_path / "out.mp4"
            out.write_bytes(server.ask("GET", f"/v1/videos/{one['id']}/content").content)
            films.append(samples(out))
    assert all(one == films[0] for one in films)
    assert len(films[0]) == 24
    told = [one["id"] for one in events(servers) if one["event"] == "job_completed"]
    assert len(told) == len(set(told))
    _check_store(server.store, len(films))


def _check_store(store: Path, num_films: int) -> None:
    """One film a row, nothing half made, a database that is sound."""
    assert len(list((store / "films").glob("*.mp4"))) == num_films
    assert not list((store / "work").iterdir())
    assert not list((store / "aside").iterdir())
    with sqlite3.connect(store / "kineo.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        open_jobs = connection.execute("SELECT count(*) FROM jobs WHERE lease IS NOT NULL")
        assert open_jobs.fetchone() == (0,)
    connection.close()


def _check_ends(worker: int | None) -> None:
    """With its server a worker ends by itself."""
    began = time.monotonic()
    while worker is not None and _is_alive(worker):
        assert time.monotonic() - began < 60
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_store_has_one_server() -> None:
    with pytest.raises(AssertionError, match="Another server is at"):
        started(shared().store, token="x")
