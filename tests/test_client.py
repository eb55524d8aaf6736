"""The client asks a real server: it creates, waits, lists, fetches, cancels and removes."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from films import samples, simple
from kineograph import client as clients
from kineograph import video
from kineograph.client import Client, FailedError, Film, ServerError
from serve_support import Server, shared, small_film, started

PAGE = Path(__file__).parent.parent / "docs" / "client.md"


@pytest.fixture
def server() -> Server:
    return shared()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, server.token) as found:
        yield found


@pytest.fixture
def long_film(tmp_path: Path) -> Path:
    return simple(tmp_path / "long.mp4", num_frames=200)


def test_a_film_is_made_saved_and_removed(client: Client, tmp_path: Path) -> None:
    seen: list[Film] = []
    film = client.run(
        "predict", small_film(), seconds=0.125, steps=1, progress=seen.append, timeout_seconds=60
    )
    assert film.status == seen[-1].status == "completed"
    assert [one.progress for one in seen] == sorted(one.progress for one in seen)
    assert film.progress == 1
    assert film.save(tmp_path / "out.mp4") == tmp_path / "out.mp4"
    assert samples(tmp_path / "out.mp4")[:8] == samples(small_film())
    assert len(samples(tmp_path / "out.mp4")) == 11
    film.save(tmp_path / "out.jpg", "thumbnail")
    assert video.probe(tmp_path / "out.jpg").width == 48
    film.delete()
    with pytest.raises(ServerError) as refused:
        film.refreshed()
    assert refused.value.status == 404
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "out.jpg"}


def test_files_and_lists_and_truths_are_spoken_as_the_server_hears_them(client: Client) -> None:
    film = client.create("repair", small_film(), only=["dust", "scratch"], seed=None)
    assert film.about["question"] == {"only": ["dust", "scratch"]}
    moved = client.create(
        "animate", small_film(), like=small_film(), loop=False, seconds=0.1, fps=30
    )
    assert set(moved.about["inputs"]) == {"input_reference", "like"}
    assert moved.about["question"] == {"loop": False, "seconds": 0.1, "fps": "30"}
    assert moved.wait(timeout_seconds=60).about["frames_total"] == 3
    assert film.wait(timeout_seconds=60).status == "completed"


def test_pages_of_films_follow_one_another(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [client.create("enhance", small_film(), deflicker=1) for _ in range(3)]
    for film in made:
        film.wait(timeout_seconds=60)
    monkeypatch.setattr(clients, "PAGE", 2)
    found = [film.id for film in client.list()]
    assert found[:3] == [film.id for film in reversed(made)]
    assert [film.id for film in client.list(oldest_first=True)] == found[::-1]
    assert "kineo-small" in [model["id"] for model in client.models()]


def test_the_servers_sentences_are_the_errors(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="There is no model 'sora'") as refused:
        client.run("predict", small_film(), model="sora")
    assert (refused.value.status, refused.value.param) == (400, "model")
    with pytest.raises(ServerError, match="There is no field 'sead' here"):
        client.create("predict", small_film(), sead=1)
    with pytest.raises(FileNotFoundError):
        client.create("predict", tmp_path / "gone.mp4")
    (tmp_path / "no.mp4").write_text("not a film")
    with pytest.raises(ServerError):
        client.create("predict", tmp_path / "no.mp4")
    with Client(client.url, "wrong") as other, pytest.raises(ServerError) as refused:
        list(other.list())
    assert refused.value.status == 401


def test_a_cancelled_film_fails_and_cannot_be_saved(
    client: Client, long_film: Path, tmp_path: Path
) -> None:
    film = client.create("enhance", long_film, denoise=1)
    out = tmp_path / "out.mp4"
    out.write_bytes(b"as it was")
    with pytest.raises(ServerError):
        film.save(out)
    assert out.read_bytes() == b"as it was"
    film.cancel()
    with pytest.raises(FailedError) as failed:
        film.wait(timeout_seconds=60)
    assert failed.value.code == "cancelled"
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "long.mp4"}


def test_what_takes_too_long_is_given_up_and_cancelled(client: Client, long_film: Path) -> None:
    began, seen = time.monotonic(), []
    with pytest.raises(TimeoutError, match=r"after 0\.5 s"):
        client.run("enhance", long_film, denoise=1, timeout_seconds=0.5, progress=seen.append)
    assert time.monotonic() - began < 10
    with pytest.raises(FailedError):
        seen[0].wait(timeout_seconds=60)

    def interrupted(film: Film) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.run("enhance", long_film, denoise=1, progress=interrupted)
    assert next(client.list()).status == "failed"


def test_it_asks_as_often_as_the_server_wants(
    client: Client, long_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    real = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (slept.append(seconds), real(seconds)))
    seen: list[Film] = []
    client.run("enhance", long_film, deflicker=1, progress=seen.append)
    assert slept == [film.poll_seconds for film in seen[:-1]]
    assert {0.1 <= pause <= 2.0 for pause in slept} == {True}


def test_a_server_that_is_not_there_is_said_to_be(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        slow = Client(f"http://127.0.0.1:{port}", "x", timeout_seconds=0.2)
        with slow, pytest.raises(TimeoutError, match=r"does not answer in 0\.2 s"):
            slow.retrieve("x")
    with Client(f"http://127.0.0.1:{port}", "x") as none, pytest.raises(ConnectionError):
        none.retrieve("x")


def test_a_server_with_too_much_to_do_or_started_anew_is_waited_for(tmp_path: Path) -> None:
    server = started(tmp_path / "store", "--requests", "4")
    port = server.url.rpartition(":")[2]
    again: list[Server] = []
    flags = (tmp_path / "store", "--port", port)
    starting = Thread(target=lambda: again.append(started(*flags, token=server.token)))
    try:
        with Client(server.url, server.token) as client:
            began = time.monotonic()
            found = [client.models() for _ in range(22)]  # 16 are granted at once
            assert time.monotonic() - began > 0.9
            assert len(found) == 22
            film = client.create("enhance", small_film(), deflicker=1)
            server.kill()
            starting.start()
            assert film.wait(timeout_seconds=60).status == "completed"
    finally:
        starting.join()
        for one in (server, *again):
            one.stop()


def test_the_examples_of_the_page_run(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.mp4").write_bytes(small_film().read_bytes())
    found = re.findall(r"^```python client\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    assert found
    names: dict[str, Any] = {"__name__": "__example__", "url": server.url, "token": server.token}
    for example in found:
        exec(compile(example, str(PAGE), "exec"), names)
    names["client"].close()
    assert len(samples(tmp_path / "out.mp4")) == 8 + 6
