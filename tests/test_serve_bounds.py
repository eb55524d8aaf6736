"""Too much is refused: requests, wrong tokens, waiting films, bytes; what breaks tells nothing."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from kineograph.cli.serve_commands import Serve
from kineograph.cli.serving import limits_of, serve
from kineograph.serve.api import app, database, jobs, keys, service, watching
from kineograph.serve.api.limits import Limits
from kineograph.serve.api.service import WRONG_BURST, Service
from kineograph.serve.doors import SAFE

with warnings.catch_warnings():  # of httpx, whose successor Starlette would rather have
    warnings.simplefilter("ignore", UserWarning)
    from fastapi.testclient import TestClient

FEW = replace(
    Limits(), requests_a_second=0.01, burst=3, waiting=2, upload_bytes=2**20, json_bytes=1000
)
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.fixture
def served(tmp_path: Path) -> Service:
    """A server without a worker, of narrow limits."""
    return service.opened(tmp_path / "store", FEW)


@pytest.fixture
def client(served: Service) -> TestClient:
    token = keys.made(served.engine, "anna")
    return TestClient(app.app(served), headers={"Authorization": f"Bearer {token}"})


def test_too_many_requests_are_told_when_to_come_again(client: TestClient) -> None:
    answers = [client.get("/v1/queue") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 100
    error = answers[-1].json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert {name: answers[-1].headers[name] for name in SAFE} == SAFE
    other = client.get("/v1/queue", headers={"Kineo-Client": "bert"})
    assert other.status_code == 200  # another client of the same token has a pace of its own


def test_who_tries_tokens_is_slowed_down(client: TestClient) -> None:
    headers = {"Authorization": "Bearer guess"}
    found = [client.get("/v1/queue", headers=headers).status_code for _ in range(WRONG_BURST + 1)]
    assert found == [401] * WRONG_BURST + [429]
    assert client.get("/v1/queue").status_code == 200  # who has a token is let in all the same


def test_so_many_may_wait(client: TestClient) -> None:
    asked = {"task": "generate", "seconds": 1}
    answers = [client.post("/v1/videos", json=asked) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["error"]["code"] == "queue_full"
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_a_full_store_takes_no_more(tmp_path: Path) -> None:
    served = service.opened(tmp_path / "store", replace(FEW, keep_bytes=1000))
    token = keys.made(served.engine, "anna")
    client = TestClient(app.app(served), headers={"Authorization": f"Bearer {token}"})
    (served.store.films / "video_x-y.mp4").write_bytes(bytes(2001))
    answer = client.post("/v1/files", files={"file": b"x"})
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "store_full"
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(("headers", "most"), [(FORM, 2 * 2**20), ({}, 1000)])
def test_a_stream_without_an_end_is_cut_off(
    client: TestClient, served: Service, headers: dict[str, str], most: int
) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        while sent < 10 * most:
            sent += 1000
            yield bytes(1000)

    answer = client.post("/v1/files", content=endless(), headers=headers)
    assert answer.status_code == 413, answer.text
    assert answer.json()["error"]["code"] == "too_large"
    assert not list(served.store.files.iterdir())
    assert not list(served.store.aside.iterdir())


def test_what_breaks_inside_tells_nothing(
    client: TestClient, served: Service, tmp_path: Path
) -> None:
    told = io.StringIO()
    watching.settle(logging.StreamHandler(told))
    with served.engine.begin() as connection:
        database.jobs.drop(connection)
    answer = client.post("/v1/videos", json={"task": "generate", "prompt": "secret wish"})
    logging.getLogger(watching.LOGGER).handlers = []
    assert answer.status_code == 500
    assert answer.json()["error"] == {
        "message": "Something went wrong here.",
        "type": "server_error",
        "param": None,
        "code": "server_error",
    }
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    broke = next(line for line in lines if line["event"] == "request_broke")
    assert broke["error"] == "OperationalError"
    assert lines[-1]["status"] == 500
    assert "secret" not in told.getvalue()


def test_clients_of_one_token_take_turns(served: Service) -> None:
    token = keys.made(served.engine, "anna")
    client = TestClient(app.app(served), headers={"Authorization": f"Bearer {token}"})
    for name in ("one", "two"):
        client.post("/v1/videos", json={"task": "generate"}, headers={"Kineo-Client": name})
    found = [jobs.claim(served.engine, "worker", 10.0, 3) for _ in range(2)]
    assert [job and job.client for job in found] == ["anna/one", "anna/two"]
    assert [job and job.owner for job in found] == ["anna", "anna"]


def test_the_command_makes_tokens_and_says_what_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    serve(Serve(store=store, new_token="anna"), Console(stderr=True))
    token = capsys.readouterr().out.strip()
    assert keys.owner_of(service.opened(store, FEW).engine, token) == "anna"
    for wrong in (Serve(keep_days=0.0), Serve(upload_gb=float("nan"))):
        with pytest.raises(ValueError, match="give more than 0"):
            limits_of(wrong)
    with pytest.raises(ValueError, match="cannot be listened on"):
        serve(Serve(store=store, host="256.0.0.1"), Console(stderr=True))


def test_the_store_is_for_its_user_alone(served: Service) -> None:
    for folder in (served.store.folder, served.store.files, served.store.films):
        assert folder.stat().st_mode & 0o077 == 0
