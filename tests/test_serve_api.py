"""The server says truly how far it is, does as it is told, and refuses all else with a sentence."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from films import samples, simple, times
from kineograph import video
from kineograph.cli import main
from kineograph.serve.doors import SAFE
from serve_support import Server, shared, small_film

SECRET = "a very secret wish"


@pytest.fixture
def server() -> Server:
    return shared()


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to be stopped in the middle."""
    return simple(tmp_path_factory.mktemp("long") / "long.mp4", num_frames=400)


def slow(server: Server, film: Path, **more: Any) -> dict[str, Any]:
    """A video that takes a while."""
    return server.create(film, task="enhance", denoise="1", **more)


def refusal(answer: httpx.Response, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"].endswith((".", "…"))
    assert "Traceback" not in error["message"]
    return error


@pytest.mark.parametrize("path", ["/v1/videos", "/v1/models", "/metrics", "/v1/limits"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic eDp5", "Bearer"])
def test_without_a_token_nothing_is_told(server: Server, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = httpx.get(server.url + path, headers=headers)
    if answer.status_code != 429:  # this many wrong ones are too many, too
        assert refusal(answer, 401)["type"] == "authentication_error"
    assert {name: answer.headers[name] for name in SAFE} == SAFE


def test_a_browser_may_have_the_token_in_the_address_but_only_to_look(server: Server) -> None:
    assert httpx.get(f"{server.url}/v1/videos?token={server.token}").status_code == 200
    answer = httpx.post(f"{server.url}/v1/videos?token={server.token}", data={"task": "generate"})
    assert answer.status_code in (401, 429)


def test_other_sites_are_not_let_in(server: Server) -> None:
    origin = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"}
    for method in ("GET", "OPTIONS"):
        answer = server.ask(method, "/v1/videos", headers=origin)
        assert not [name for name in answer.headers if name.startswith("access-control")]


BAD = [
    ({"task": "fly"}, "task", "bad_value"),
    ({"colour": "red"}, "colour", "unknown_field"),
    ({"task": "enhance", "denoise": "2"}, "denoise", "bad_value"),
    ({"task": "enhance", "denoise": "nan"}, "denoise", "bad_value"),
    ({"task": "enhance", "scale": "3"}, None, "bad_value"),
    ({"task": "enhance", "strength": "0.5"}, "strength", "not_of_this_task"),
    ({"task": "predict", "seconds": "0"}, "seconds", "bad_value"),
    ({"task": "predict", "seconds": "1e9"}, "seconds", "bad_value"),
    ({"task": "predict", "steps": "0"}, "steps", "bad_value"),
    ({"task": "predict", "seed": "-1"}, "seed", "bad_value"),
    ({"task": "predict", "known": "3-9"}, None, "bad_value"),
    ({"task": "predict", "known": "all"}, None, "bad_value"),
    ({"task": "predict", "size": "64x64"}, "size", "bad_value"),
    ({"task": "predict", "size": "big"}, "size", "bad_value"),
    ({"task": "predict", "model": "../../etc/passwd"}, "model", "model_not_found"),
    ({"task": "predict", "model": "/tmp/x.safetensors"}, "model", "model_not_found"),
    ({"task": "predict", "model": "kineo-fish"}, "model", "model_not_found"),
    ({"task": "interpolate"}, "fps", "bad_value"),
    ({"task": "interpolate", "fps": "fast"}, None, "bad_value"),
    ({"task": "interpolate", "fps": "1/0"}, None, "bad_value"),
    ({"task": "interpolate", "slower": "65"}, "slower", "bad_value"),
    ({"task": "inpaint"}, "region", "missing_field"),
    ({"task": "inpaint", "region": "/etc/passwd"}, None, "bad_value"),
    ({"task": "inpaint", "region": "0,0,99,9"}, None, "bad_value"),
    ({"task": "inpaint", "region": "track:film.mp4"}, None, "bad_value"),
    ({"task": "outpaint", "aspect": "wide"}, None, "bad_value"),
    ({"task": "repair", "only": "rust"}, "only.0", "bad_value"),
    ({"task": "repair", "frames": "x"}, None, "bad_value"),
    ({"task": "repair", "known": "0-7"}, None, "bad_value"),
    ({"task": "repair", "known": "0-3", "frames": "5"}, "known", "bad_value"),
    ({"task": "animate", "flow": "1"}, "flow", "bad_value"),
    ({"task": "animate", "seconds": "1000"}, None, "bad_value"),
    ({"task": "edit", "strength": "-1"}, "strength", "bad_value"),
    ({"input_reference[file_id]": "file_none"}, "input_reference", "not_found"),
    ({"input_reference[image_url]": "file:///etc/passwd"}, "input_reference", "bad_file"),
    ({"input_reference[image_url]": "data:image/png;base64,AAAA"}, "input_reference", "bad_file"),
    ({"input_reference[path]": "/etc/passwd"}, "input_reference.path", "unknown_field"),
    ({"task": "predict", "input_reference": "/etc/passwd"}, "input_reference", "bad_value"),
]


@pytest.mark.parametrize(("fields", "param", "code"), BAD, ids=lambda value: str(value)[:60])
def test_what_cannot_be_is_refused_with_a_sentence(
    server: Server, fields: dict[str, str], param: str | None, code: str
) -> None:
    has_own = any(name.startswith("input_reference") for name in fields)
    given = {} if has_own else {"input_reference[file_id]": film_id(server)}
    answer = server.ask("POST", "/v1/videos", data={**given, **fields})
    error = refusal(answer, 404 if code == "not_found" else 400)
    assert (error["param"], error["code"]) == (param, code), error


def film_id(server: Server) -> str:
    """The small film, uploaded once."""
    found = _uploaded.get(server.url)
    if found is None:
        answer = server.ask("POST", "/v1/files", files={"file": small_film().read_bytes()})
        found = _uploaded[server.url] = answer.json()["id"]
    return found


_uploaded: dict[str, str] = {}


@pytest.mark.parametrize(
    ("content", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[1]", 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b'{"task": "predict"}', 400),
        ("text/plain", b"hello", 415),
        ("multipart/form-data", b"hello", 400),
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense", 400),
        ("multipart/form-data; boundary=x", b"", 400),
    ],
)
def test_bodies_that_are_none_are_refused(
    server: Server, content: str, body: bytes, status: int
) -> None:
    answer = server.ask("POST", "/v1/videos", content=body, headers={"Content-Type": content})
    refusal(answer, status)


def test_a_body_that_is_too_long_is_cut_off(server: Server) -> None:
    most = server.ask("GET", "/v1/limits").json()["json_bytes"]
    headers = {"Content-Type": "application/json"}

    def endless() -> Iterator[bytes]:
        for _ in range(2 * most // 2**20):
            yield b" " * 2**20

    answer = server.ask("POST", "/v1/videos", content=endless(), headers=headers)
    assert refusal(answer, 413)["code"] == "too_large"


def test_a_body_that_says_it_is_too_long_is_not_read(server: Server) -> None:
    most = server.ask("GET", "/v1/limits").json()["upload_bytes"]
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
        head += (
            f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {2 * most}\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")


def test_there_is_nothing_elsewhere(server: Server) -> None:
    for path in ("/", "/docs", "/v1/videos/none", "/v1/files/..%2f..%2fkineo.db", "/v1/models/x"):
        refusal(server.ask("GET", path), 404)
    refusal(server.ask("PUT", "/v1/videos"), 405)


@pytest.mark.parametrize(
    ("fields", "size", "seconds"),
    [
        ({"task": "enhance", "scale": "2", "denoise": "0.5"}, "96x64", 8 / 24),
        ({"task": "interpolate", "fps": "48"}, "48x32", 15 / 48),
        ({"task": "interpolate", "slower": "2"}, "48x32", 15 / 24),
        ({"task": "inpaint", "region": "25%,25%,25%,25%"}, "48x32", 8 / 24),
        ({"task": "outpaint", "aspect": "2:1"}, "64x32", 8 / 24),
        ({"task": "repair", "known": "0-2,4-7"}, "48x32", 8 / 24),
        ({"task": "animate", "seconds": "0.25", "flow": "1,0", "fps": "12"}, "48x32", 3 / 12),
        ({"task": "predict", "known": "0-3", "seconds": "0.125", "steps": "1"}, "48x32", 7 / 24),
        ({"task": "predict", "before": "0.1", "seconds": "0.1", "steps": "1"}, "48x32", 12 / 24),
    ],
    ids=lambda value: str(value)[:40],
)
def test_every_verb_makes_what_was_promised(
    server: Server, fields: dict[str, str], size: str, seconds: float, tmp_path: Path
) -> None:
    given = {"input_reference[file_id]": film_id(server)}
    told = server.ask("POST", "/v1/estimates", data={**given, **fields}).json()
    assert told["size"] == size
    answer = server.ask("POST", "/v1/videos", data={**given, **fields})
    found = server.made(answer.json()["id"])
    assert (found["status"], found["size"]) == ("completed", size), found
    assert float(found["seconds"]) == pytest.approx(seconds, abs=1e-5)
    out = tmp_path / "out.mp4"
    out.write_bytes(server.ask("GET", f"/v1/videos/{found['id']}/content").content)
    assert video.read_recipe(out)["task"] == fields["task"]
    assert f"{video.probe(out).width}x{video.probe(out).height}" == size
    assert found["bytes"] == out.stat().st_size


def test_a_film_is_imagined_and_edited_by_a_mask(server: Server, tmp_path: Path) -> None:
    given = {"input_reference[file_id]": film_id(server)}
    fields = {**given, "task": "generate", "seconds": "0.25", "size": "32x24", "seed": "3"}
    generated = server.ask("POST", "/v1/videos", data=fields).json()
    mask = simple(tmp_path / "mask.png", num_frames=1, codec="png", pix_fmt="rgb24")
    fields = {**given, "task": "edit", "strength": "0.2"}
    answer = server.ask("POST", "/v1/videos", data=fields, files={"mask": mask.read_bytes()})
    edited = server.made(answer.json()["id"])
    assert edited["status"] == "completed"
    assert set(edited["inputs"]) == {"input_reference", "mask"}
    out = tmp_path / "out.mp4"
    out.write_bytes(server.ask("GET", f"/v1/videos/{edited['id']}/content").content)
    assert edited["inputs"]["mask"] in video.read_recipe(out)["region"]
    assert str(server.store) not in json.dumps(video.read_recipe(out))
    made = server.made(generated["id"])
    assert (made["status"], made["size"]) == ("completed", "32x24")
    small = simple(tmp_path / "m.png", num_frames=1, width=16, codec="png", pix_fmt="rgb24")
    answer = server.ask("POST", "/v1/videos", data=fields, files={"mask": small.read_bytes()})
    assert refusal(answer)["param"] == "mask"


def test_it_makes_what_the_command_makes(server: Server, tmp_path: Path) -> None:
    fields = {"task": "predict", "seconds": "0.125", "steps": "2", "seed": "5"}
    found = server.made(server.create(small_film(), **fields)["id"])
    ours, theirs = tmp_path / "ours.mp4", tmp_path / "theirs.mp4"
    ours.write_bytes(server.ask("GET", f"/v1/videos/{found['id']}/content").content)
    flags = ["--seconds", "0.125", "--steps", "2", "--seed", "5", "--out", str(theirs)]
    main(["predict", str(small_film()), *flags])
    assert samples(ours) == samples(theirs)
    assert times(ours) == times(theirs)
    recipes = [video.read_recipe(path) for path in (ours, theirs)]
    assert [recipe.pop("known") for recipe in recipes][1] == small_film().name
    assert recipes[0] == recipes[1]


def test_progress_is_true_and_rises(server: Server, long_film: Path) -> None:
    made = slow(server, long_film)
    assert made["frames_total"] == 400
    seen, answer = [], server.ask("GET", f"/v1/videos/{made['id']}")
    while answer.json()["status"] in ("queued", "in_progress") and len(seen) < 400:
        found = answer.json()
        assert int(answer.headers["openai-poll-after-ms"]) >= 100
        assert found["progress"] == min(99, 100 * found["frames_done"] // 400)
        seen.append(found["frames_done"])
        if found["frames_done"] > 30:
            break
        time.sleep(0.05)
        answer = server.ask("GET", f"/v1/videos/{made['id']}")
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    server.ask("DELETE", f"/v1/videos/{made['id']}")


def test_deleting_stops_a_running_one_and_leaves_nothing(server: Server, long_film: Path) -> None:
    made = slow(server, long_film)
    server.until(made["id"], lambda found: found["frames_done"] > 2)
    refusal(server.ask("GET", f"/v1/videos/{made['id']}/content"))
    assert server.ask("DELETE", f"/v1/videos/{made['id']}").json()["deleted"]
    refusal(server.ask("GET", f"/v1/videos/{made['id']}"), 404)
    began = time.monotonic()
    while list((server.store / "work").glob(f"{made['id']}*")):
        assert time.monotonic() - began < 20
        time.sleep(0.05)
    assert not list((server.store / "films").glob(f"{made['id']}*"))


def test_cancelled_it_has_failed_and_the_next_begins(server: Server, long_film: Path) -> None:
    made, after = slow(server, long_film), server.create(small_film(), task="enhance", deflicker=1)
    server.until(made["id"], lambda found: found["frames_done"] > 2)
    found = server.ask("POST", f"/v1/videos/{made['id']}/cancel").json()
    assert (found["status"], found["error"]["code"]) == ("failed", "cancelled")
    assert server.made(after["id"])["status"] == "completed"
    refusal(server.ask("POST", f"/v1/videos/{made['id']}/remix", json={}))


def test_paused_it_stands_still_and_others_pass_and_resumed_it_goes_on(
    server: Server, long_film: Path
) -> None:
    made = slow(server, long_film)
    server.until(made["id"], lambda found: found["frames_done"] > 2)
    assert server.ask("POST", f"/v1/videos/{made['id']}/pause").json()["paused"]
    other = server.create(small_film(), task="enhance", deflicker=1)
    assert server.made(other["id"])["status"] == "completed"
    done = server.video(made["id"])["frames_done"]
    time.sleep(0.3)
    still = server.video(made["id"])
    assert (still["frames_done"], still["status"]) == (done, "in_progress")
    server.ask("POST", f"/v1/videos/{made['id']}/resume")
    server.until(made["id"], lambda found: found["frames_done"] > done)
    server.ask("DELETE", f"/v1/videos/{made['id']}")


def test_the_queue_is_told_and_moved(server: Server, long_film: Path) -> None:
    running = slow(server, long_film)
    fields = {"task": "enhance", "deflicker": "1", "input_reference[file_id]": film_id(server)}
    names = [server.ask("POST", "/v1/videos", data=fields).json()["id"] for _ in range(3)]
    server.until(running["id"], lambda found: found["status"] == "in_progress")
    first, second, third = names
    answer = server.ask("POST", f"/v1/videos/{third}/move", json={"to": "front"})
    assert answer.json()["position"] == 0
    server.ask("POST", f"/v1/videos/{first}/move", json={"before": second})
    queue = [one["id"] for one in server.ask("GET", "/v1/queue").json()["data"]]
    assert queue == [running["id"], third, first, second]
    refusal(server.ask("POST", f"/v1/videos/{running['id']}/move", json={"to": "front"}))
    refusal(server.ask("POST", f"/v1/videos/{third}/move", json={}))
    refusal(server.ask("DELETE", f"/v1/files/{film_id(server)}"))
    server.ask("DELETE", f"/v1/videos/{running['id']}")
    began = [server.made(name)["started_at"] for name in (third, first, second)]
    assert began == sorted(began)


@contextmanager
def watched(server: Server, name: str, token: str | None = None) -> Iterator[ClientConnection]:
    """The preview of a video."""
    address = f"{server.url.replace('http', 'ws')}/v1/videos/{name}/preview"
    with connect(f"{address}?token={token or server.token}") as socket:
        yield socket


def test_frames_are_seen_as_they_are_made(server: Server, long_film: Path, tmp_path: Path) -> None:
    made = slow(server, long_film)
    told, frames = [], []
    with watched(server, made["id"]) as socket:
        for message in socket:
            if isinstance(message, bytes):
                frames.append((told[-1]["frame"], message))
            else:
                told.append(json.loads(message))
            if len(frames) == 3:
                break
    numbers = [number for number, _ in frames]
    assert numbers == sorted(set(numbers))
    assert all(0 < number <= 400 for number in numbers)
    (tmp_path / "frame.jpg").write_bytes(frames[-1][1])
    info = video.probe(tmp_path / "frame.jpg")
    assert (info.width, info.height) == (48, 32)
    server.ask("DELETE", f"/v1/videos/{made['id']}")


def test_the_preview_of_what_is_finished_ends_with_it(server: Server) -> None:
    made = server.create(small_film(), task="enhance", deflicker="1")
    with watched(server, made["id"]) as socket:
        messages = list(socket)
    assert json.loads([text for text in messages if isinstance(text, str)][-1])["status"] == (
        "completed"
    )
    assert any(isinstance(message, bytes) for message in messages)


@pytest.mark.parametrize("token", ["wrong", "%00"])
def test_nobody_else_watches(server: Server, token: str) -> None:
    made = server.create(small_film(), task="enhance", deflicker="1")
    with pytest.raises(InvalidStatus), watched(server, made["id"], token):
        pass


def test_what_is_told_of_itself_has_nobodys_words(server: Server) -> None:
    made = server.create(small_film(), task="enhance", deflicker="1", prompt=SECRET)
    assert server.made(made["id"])["prompt"] == SECRET
    server.ask("POST", "/v1/videos", data={"prompt": SECRET, "task": SECRET})
    server.ask("GET", f"/{SECRET}?q={SECRET}")
    log = server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"request", "queued", "job_begun", "job_completed"} <= {one["event"] for one in lines}
    assert any(one.get("id") == made["id"] for one in lines)
    for word in (SECRET, SECRET.replace(" ", "%20"), small_film().stem):
        assert word not in log
    assert log.count(server.token) == 1  # printed, once


def test_nothing_in_the_store_has_the_name_of_a_file(server: Server) -> None:
    server.create(small_film(), task="enhance", deflicker="1")
    assert small_film().stem.encode() not in b"".join(
        path.read_bytes() for path in server.store.rglob("*.db*")
    )


def test_figures_are_prometheuss(server: Server) -> None:
    text = server.ask("GET", "/metrics").text
    assert 'kineo_requests_total{method="GET",route="/v1/videos/{name}",status="200"}' in text
    assert 'kineo_videos{status="completed"}' in text
