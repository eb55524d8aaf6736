"""The queue: who asked what, whose turn it is, and who works on it.

A worker holds a job by a lease. Whatever it does to the job, it does where the lease is still its
own, so that of two workers that think so only one is right.
"""

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from kineograph.serve.api.database import clients, files, jobs, reading

QUEUED, RUNNING, COMPLETED, FAILED = "queued", "in_progress", "completed", "failed"
NUM_LEARNED_FROM = 9
"""So many earlier films say how long one will take."""
NO_LEASE = {"lease": None, "worker": None, "lease_until": None}


@dataclass(frozen=True)
class Job:
    """A row. question and inputs are JSON: what was asked, and which files were given."""

    number: int
    id: str
    owner: str
    client: str
    task: str
    model: str
    question: str
    inputs: str
    prompt: str | None
    status: str
    paused: bool
    rank: float
    created_at: float
    started_at: float | None
    completed_at: float | None
    expires_at: float | None
    done: int
    total: int | None
    seconds: float
    width: int
    height: int
    work_px: float
    fps: str | None
    error_code: str | None
    error_message: str | None
    remixed_from: str | None
    lease: str | None
    worker: str | None
    lease_until: float | None
    attempts: int
    output: str | None
    bytes: int | None

    @property
    def given(self) -> dict[str, str]:
        """The files that were given, by field."""
        return json.loads(self.inputs)


class Film(NamedTuple):
    """What is there of a job that is completed: no more of it than decides when to drop it."""

    number: int
    id: str
    output: str
    bytes: int | None
    completed_at: float | None
    expires_at: float | None


class FullError(ValueError):
    """A client has as many waiting as it may."""


class GoneError(ValueError):
    """What was given has been dropped."""


def new_id(kind: str) -> str:
    """A name that nobody can guess."""
    return f"{kind}_{uuid.uuid4().hex}"


def add(engine: sa.Engine, values: dict[str, Any], most_waiting: int) -> Job:
    """Queues a job behind its owner's others.

    FullError where there are too many, GoneError where a file that was given is no longer there.
    """
    mine = jobs.c.owner == values["owner"]
    waiting = sa.select(sa.func.count(), sa.func.max(jobs.c.rank)).where(
        mine, jobs.c.status == QUEUED
    )
    with engine.begin() as connection:
        count, last = connection.execute(waiting).one()
        if count >= most_waiting:
            raise FullError(f"{count} of your videos are waiting, and that is as many as may.")
        given = set(json.loads(values.get("inputs", "{}")).values())
        there = sa.select(files.c.id).where(files.c.id.in_(given)).with_for_update()
        if len(connection.execute(there).all()) < len(given):
            raise GoneError("What was given has just been dropped: upload it again.")
        row = {
            "id": new_id("video"),
            "status": QUEUED,
            "rank": (last or 0.0) + 1,
            "created_at": time.time(),
            **values,
        }
        connection.execute(sa.insert(jobs).values(row))
        return _one(connection, jobs.c.id == row["id"])


def find(engine: sa.Engine, owner: str, name: str) -> Job | None:
    """A job, if it is there and that owner's."""
    with reading(engine) as connection:
        return _maybe(connection, jobs.c.id == name, jobs.c.owner == owner)


def page(
    engine: sa.Engine, owner: str, after: Job | None, limit: int, ascending: bool
) -> tuple[list[Job], bool]:
    """Some of an owner's jobs in the order of asking, after one of them; and if there are more."""
    number = jobs.c.number
    query = sa.select(jobs).where(jobs.c.owner == owner).limit(limit + 1)
    if after is not None:
        query = query.where(number > after.number if ascending else number < after.number)
    query = query.order_by(number if ascending else number.desc())
    with reading(engine) as connection:
        rows = [_job(row) for row in connection.execute(query)]
    return rows[:limit], len(rows) > limit


def in_hand(engine: sa.Engine, owner: str) -> list[Job]:
    """An owner's running jobs, and then those that wait, in their order."""
    query = sa.select(jobs).where(jobs.c.owner == owner, jobs.c.status.in_((RUNNING, QUEUED)))
    with reading(engine) as connection:
        found = [_job(row) for row in connection.execute(query)]
    return sorted(found, key=lambda job: (job.status == QUEUED, job.rank, job.number))


def counts(engine: sa.Engine) -> dict[str, int]:
    """How many jobs there are of each status."""
    query = sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status)
    with reading(engine) as connection:
        return {str(status): int(count) for status, count in connection.execute(query)}


def claim(engine: sa.Engine, worker: str, lease_seconds: float, attempts: int) -> Job | None:
    """The next job, held by a new lease: its client's turn came longest ago, and it is first there.

    Jobs whose lease has run out are queued again before.
    """
    now = time.time()
    served = sa.func.coalesce(clients.c.served_at, 0.0)
    turn = (
        sa.select(jobs)
        .join(clients, clients.c.client == jobs.c.client, isouter=True)
        .where(jobs.c.status == QUEUED, jobs.c.paused.is_(False))
        .order_by(served, jobs.c.rank, jobs.c.number)
        .limit(1)
    )
    with engine.begin() as connection:
        _requeue(connection, attempts, jobs.c.lease_until < now)
        row = connection.execute(turn).first()
        if row is None:
            return None
        job = _job(row)
        held = {
            "status": RUNNING,
            "lease": uuid.uuid4().hex[:12],
            "worker": worker,
            "lease_until": now + lease_seconds,
            "started_at": now,
            "attempts": job.attempts + 1,
            "done": 0,
        }
        mine = jobs.c.number == job.number, jobs.c.status == QUEUED
        if not connection.execute(sa.update(jobs).where(*mine).values(held)).rowcount:
            return None  # another machine's worker was faster
        turn_was = sa.update(clients).where(clients.c.client == job.client).values(served_at=now)
        if not connection.execute(turn_was).rowcount:
            connection.execute(sa.insert(clients).values(client=job.client, served_at=now))
        return _one(connection, jobs.c.number == job.number)


def beat(
    engine: sa.Engine, job: Job, done: int, total: int | None, lease_seconds: float
) -> bool | None:
    """Renews a lease and tells how far it is: whether it is paused, or None if it is lost."""
    now = {"done": done, "total": total, "lease_until": time.time() + lease_seconds}
    with engine.begin() as connection:
        if not connection.execute(sa.update(jobs).where(*_held(job)).values(now)).rowcount:
            return None
        return _one(connection, jobs.c.number == job.number).paused


def complete(engine: sa.Engine, job: Job, made: dict[str, Any]) -> bool:
    """The film is there; False where the lease was lost."""
    now = {"status": COMPLETED, "completed_at": time.time(), "paused": False, **NO_LEASE, **made}
    with engine.begin() as connection:
        return bool(connection.execute(sa.update(jobs).where(*_held(job)).values(now)).rowcount)


def fail(engine: sa.Engine, job: Job, code: str, message: str) -> bool:
    """There will be no film, for that reason; False where the lease was lost."""
    with engine.begin() as connection:
        update = sa.update(jobs).where(*_held(job)).values(_failed(code, message))
        return bool(connection.execute(update).rowcount)


def let_go(engine: sa.Engine, job: Job) -> None:
    """The job is queued again, as if it had not been begun."""
    back = {"status": QUEUED, "attempts": jobs.c.attempts - 1, "done": 0, **NO_LEASE}
    with engine.begin() as connection:
        connection.execute(sa.update(jobs).where(*_held(job)).values(back))


def orphaned(engine: sa.Engine, attempts: int, worker: str | None = None) -> None:
    """A worker has died (all have, without a name): what it held is queued again."""
    whose = sa.true() if worker is None else jobs.c.worker == worker
    with engine.begin() as connection:
        _requeue(connection, attempts, whose)


def cancel(engine: sa.Engine, owner: str, name: str) -> Job | None:
    """It fails with the code `cancelled`, unless it is over; a worker hears by its lost lease."""
    values = _failed("cancelled", "It was cancelled.")
    return _changed(engine, owner, name, values)


def pause(engine: sa.Engine, owner: str, name: str, paused: bool) -> Job | None:
    """It stands still, or goes on."""
    return _changed(engine, owner, name, {"paused": paused})


def move(engine: sa.Engine, owner: str, name: str, before: str | None, to_front: bool) -> bool:
    """Its place among its owner's waiting jobs; False where one of both is not waiting there."""
    mine = jobs.c.owner == owner, jobs.c.status == QUEUED
    query = sa.select(jobs.c.id).where(*mine).order_by(jobs.c.rank, jobs.c.number)
    with engine.begin() as connection:
        order = [str(row[0]) for row in connection.execute(query)]
        if name not in order or (before is not None and before not in order):
            return False
        if before != name:
            order.remove(name)
            place = 0 if to_front else len(order)
            order.insert(place if before is None else order.index(before), name)
        for rank, one in enumerate(order, start=1):
            connection.execute(sa.update(jobs).where(jobs.c.id == one).values(rank=float(rank)))
    return True


def delete(engine: sa.Engine, owner: str, name: str) -> Job | None:
    """The row is gone; a worker hears by its lost lease. What it was, so that its film can go."""
    with engine.begin() as connection:
        job = _maybe(connection, jobs.c.id == name, jobs.c.owner == owner)
        if job is not None:
            connection.execute(sa.delete(jobs).where(jobs.c.number == job.number))
        return job


def seconds_for(engine: sa.Engine, task: str, model: str, work_px: float) -> float | None:
    """How long a film will take, from how long the last ones of its kind took a pixel."""
    query = (
        sa.select(jobs.c.completed_at, jobs.c.started_at, jobs.c.work_px)
        .where(jobs.c.status == COMPLETED, jobs.c.task == task, jobs.c.model == model)
        .order_by(jobs.c.number.desc())
        .limit(NUM_LEARNED_FROM)
    )
    with reading(engine) as connection:
        rates = sorted((end - start) / max(px, 1) for end, start, px in connection.execute(query))
    return rates[len(rates) // 2] * work_px if rates else None


def films(engine: sa.Engine) -> list[Film]:
    """The films of all owners that are there, those completed longest ago first."""
    columns = [jobs.c[name] for name in Film._fields]
    there = sa.select(*columns).where(jobs.c.output.is_not(None))
    with reading(engine) as connection:
        rows = connection.execute(there.order_by(jobs.c.completed_at, jobs.c.number))
        return [Film(*row) for row in rows]


def forget_film(engine: sa.Engine, film: Film) -> None:
    """Its film has been dropped; what was asked is still known."""
    with engine.begin() as connection:
        update = sa.update(jobs).where(jobs.c.number == film.number).values(output=None)
        connection.execute(update)


def _requeue(connection: sa.Connection, attempts: int, *where: Any) -> None:
    running = jobs.c.status == RUNNING
    message = f"The worker died over it {attempts} times."
    over = sa.update(jobs).where(running, jobs.c.attempts >= attempts, *where)
    connection.execute(over.values(_failed("worker_died", message)))
    again = sa.update(jobs).where(running, *where)
    connection.execute(again.values({"status": QUEUED, "done": 0, **NO_LEASE}))


def _changed(engine: sa.Engine, owner: str, name: str, values: dict[str, Any]) -> Job | None:
    """The job after the change; as it is where it is over; None where there is none."""
    alive = jobs.c.status.in_((QUEUED, RUNNING))
    mine = jobs.c.id == name, jobs.c.owner == owner
    with engine.begin() as connection:
        connection.execute(sa.update(jobs).where(*mine, alive).values(values))
        return _maybe(connection, *mine)


def _failed(code: str, message: str) -> dict[str, Any]:
    told = {"error_code": code, "error_message": message}
    return {"status": FAILED, "completed_at": time.time(), "paused": False, **told, **NO_LEASE}


def _held(job: Job) -> tuple[Any, ...]:
    return jobs.c.number == job.number, jobs.c.lease == job.lease, jobs.c.status == RUNNING


def _one(connection: sa.Connection, *where: Any) -> Job:
    return _job(connection.execute(sa.select(jobs).where(*where)).one())


def _maybe(connection: sa.Connection, *where: Any) -> Job | None:
    row = connection.execute(sa.select(jobs).where(*where)).first()
    return None if row is None else _job(row)


def _job(row: Any) -> Job:
    columns = row._mapping
    return Job(**{column.name: columns[column] for column in jobs.columns})
