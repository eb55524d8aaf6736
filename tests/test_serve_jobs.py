"""The queue is fair, gives each job to one worker at a time, and loses none."""

import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kineograph.serve.api import database, jobs, keys
from kineograph.serve.api.jobs import Job

LEASE, ATTEMPTS = 10.0, 3
MADE = {"output": "x.mp4", "bytes": 1}


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return database.opened(f"sqlite:///{tmp_path / 'queue.db'}")


def asked(engine: sa.Engine, client: str = "anna", owner: str = "anna", **more: Any) -> Job:
    values = {
        "owner": owner,
        "client": client,
        "task": "enhance",
        "model": "kineo-small",
        "question": "{}",
        "inputs": "{}",
        "seconds": 1.0,
        "width": 48,
        "height": 32,
        "work_px": 1000.0,
        **more,
    }
    return jobs.add(engine, values, most_waiting=100)


def taken(engine: sa.Engine, lease: float = LEASE) -> Job:
    found = jobs.claim(engine, "worker", lease, ATTEMPTS)
    assert found is not None
    return found


def status(engine: sa.Engine, job: Job) -> str | None:
    found = jobs.find(engine, job.owner, job.id)
    return found and found.status


def test_clients_take_turns_and_within_one_the_order_is_that_of_asking(engine: sa.Engine) -> None:
    many = [asked(engine, "anna").id for _ in range(4)]
    few = [asked(engine, "bert").id for _ in range(2)]
    assert [taken(engine).id for _ in range(6)] == [
        many[0], few[0], many[1], few[1], many[2], many[3]
    ]  # fmt: skip
    assert jobs.claim(engine, "worker", LEASE, ATTEMPTS) is None


def test_a_new_client_is_next(engine: sa.Engine) -> None:
    first, second = asked(engine, "anna").id, asked(engine, "anna").id
    assert taken(engine).id == first
    late = asked(engine, "carl").id
    assert [taken(engine).id, taken(engine).id] == [late, second]


def test_waiting_ones_move_and_paused_ones_are_passed_over(engine: sa.Engine) -> None:
    a, b, c = (asked(engine).id for _ in range(3))
    assert jobs.move(engine, "anna", c, None, to_front=True)
    assert [job.id for job in jobs.in_hand(engine, "anna")] == [c, a, b]
    assert jobs.move(engine, "anna", c, b, to_front=False)
    assert [job.id for job in jobs.in_hand(engine, "anna")] == [a, c, b]
    assert jobs.move(engine, "anna", a, None, to_front=False)
    assert [job.id for job in jobs.in_hand(engine, "anna")] == [c, b, a]
    assert not jobs.move(engine, "bert", c, None, to_front=True)
    jobs.pause(engine, "anna", c, True)
    assert taken(engine).id == b
    jobs.pause(engine, "anna", c, False)
    assert taken(engine).id == c


def test_only_the_owner_sees_stops_or_deletes(engine: sa.Engine) -> None:
    job = asked(engine)
    assert jobs.find(engine, "bert", job.id) is None
    assert jobs.cancel(engine, "bert", job.id) is None
    assert jobs.delete(engine, "bert", job.id) is None
    assert jobs.page(engine, "bert", None, 10, True) == ([], False)
    assert status(engine, job) == "queued"


def test_pages_follow_one_another_in_both_orders(engine: sa.Engine) -> None:
    made = [asked(engine).id for _ in range(5)]
    for ascending, order in ((True, made), (False, made[::-1])):
        seen, after = [], None
        while True:
            found, more = jobs.page(engine, "anna", after, 2, ascending)
            seen += [job.id for job in found]
            after = found[-1]
            if not more:
                break
        assert seen == order


def test_a_lease_that_ran_out_gives_the_job_to_another_and_the_first_can_do_no_more(
    engine: sa.Engine,
) -> None:
    asked(engine)
    slow = taken(engine, lease=-1.0)
    quick = taken(engine)
    assert quick.id == slow.id
    assert jobs.beat(engine, slow, 1, 2, LEASE) is None
    assert not jobs.complete(engine, slow, MADE)
    assert not jobs.fail(engine, slow, "code", "message")
    assert jobs.beat(engine, quick, 1, 2, LEASE) is False
    assert jobs.complete(engine, quick, MADE)
    assert not jobs.complete(engine, quick, MADE)
    assert jobs.claim(engine, "worker", LEASE, ATTEMPTS) is None


def test_a_job_that_kills_its_worker_is_not_tried_for_ever(engine: sa.Engine) -> None:
    job = asked(engine)
    for _ in range(ATTEMPTS):
        assert taken(engine).id == job.id
        jobs.orphaned(engine, ATTEMPTS, "worker")
    assert jobs.claim(engine, "worker", LEASE, ATTEMPTS) is None
    found = jobs.find(engine, "anna", job.id)
    assert found is not None
    assert (found.status, found.error_code) == ("failed", "worker_died")


def test_what_is_let_go_counts_as_not_begun(engine: sa.Engine) -> None:
    asked(engine)
    for _ in range(2 * ATTEMPTS):
        jobs.let_go(engine, taken(engine))
    assert taken(engine).attempts == 1


def test_another_workers_jobs_are_not_orphaned(engine: sa.Engine) -> None:
    job = asked(engine)
    taken(engine)
    jobs.orphaned(engine, ATTEMPTS, "another")
    assert status(engine, job) == "in_progress"


@pytest.mark.parametrize("stop", [jobs.cancel, jobs.delete])
def test_a_worker_hears_of_the_end_by_its_lost_lease(engine: sa.Engine, stop: Any) -> None:
    job = asked(engine)
    held = taken(engine)
    stop(engine, "anna", job.id)
    assert jobs.beat(engine, held, 1, 2, LEASE) is None
    assert not jobs.complete(engine, held, MADE)
    assert status(engine, job) in (None, "failed")


def test_what_is_over_is_not_cancelled(engine: sa.Engine) -> None:
    job = asked(engine)
    assert jobs.complete(engine, taken(engine), MADE)
    jobs.cancel(engine, "anna", job.id)
    jobs.pause(engine, "anna", job.id, True)
    found = jobs.find(engine, "anna", job.id)
    assert found is not None
    assert (found.status, found.paused, found.error_code) == ("completed", False, None)


def test_one_may_have_so_many_waiting(engine: sa.Engine) -> None:
    asked(engine)
    with pytest.raises(jobs.FullError, match="1 of your videos"):
        jobs.add(engine, {"owner": "anna"}, most_waiting=1)


def test_time_is_estimated_from_earlier_ones_by_their_pixels(engine: sa.Engine) -> None:
    assert jobs.seconds_for(engine, "enhance", "kineo-small", 500.0) is None
    for seconds in (1.0, 2.0, 30.0):
        asked(engine, work_px=100.0)
        job = taken(engine)
        jobs.complete(engine, job, MADE)
        with engine.begin() as connection:
            row = sa.update(database.jobs).where(database.jobs.c.id == job.id)
            connection.execute(row.values(started_at=100.0, completed_at=100.0 + seconds))
    assert jobs.seconds_for(engine, "enhance", "kineo-small", 500.0) == pytest.approx(10.0)
    assert jobs.seconds_for(engine, "predict", "kineo-small", 500.0) is None


def test_readers_do_not_wait_for_a_writer(engine: sa.Engine) -> None:
    job = asked(engine)
    with engine.begin() as writing:
        writing.execute(sa.update(database.jobs).values(done=5))
        began = time.monotonic()
        found = jobs.find(engine, "anna", job.id)
        assert time.monotonic() - began < 1
    assert found is not None
    assert found.done == 0


def test_of_a_token_only_its_hash_is_kept(engine: sa.Engine, tmp_path: Path) -> None:
    token = keys.first(engine)
    assert token is not None
    assert keys.first(engine) is None
    other = keys.made(engine, "anna")
    assert [keys.owner_of(engine, one) for one in (token, other)] == ["default", "anna"]
    newer = keys.made(engine, "anna")
    assert [keys.owner_of(engine, one) for one in (other, newer)] == [None, "anna"]
    for wrong in (None, "", "x" * 300, token[:-1], "\udcff"):
        assert keys.owner_of(engine, wrong) is None
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert token.encode() not in stored
    assert keys.hash_of(token).encode() in stored
    with pytest.raises(ValueError, match="cannot be called"):
        keys.made(engine, "a b")


def test_a_database_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/no/such.db", "nonsense", "postgresql+nothing://x"):
        with pytest.raises(ValueError, match="cannot be opened"):
            database.opened(url)
