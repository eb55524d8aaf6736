"""A real server with its worker, on a free port and an empty store, for several test files."""

import atexit
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from films import simple

START_SECONDS, MAKE_SECONDS = 90.0, 60.0
SERVE = "from kineograph.cli import main; main()"


@dataclass(eq=False)
class Server:
    """Where it is, who may ask, and its process."""

    url: str
    token: str
    store: Path
    process: subprocess.Popen[str]
    log: Path
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request with the token."""
        headers = {**self.headers, **more.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, timeout=60, **more)

    def create(self, film: Path | None, **fields: Any) -> dict[str, Any]:
        """A video that was asked for."""
        files = {} if film is None else {"input_reference": (film.name, film.read_bytes())}
        answer = self.ask("POST", "/v1/videos", data=fields, files=files)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def video(self, name: str) -> dict[str, Any]:
        """How far a video is."""
        return self.ask("GET", f"/v1/videos/{name}").json()

    def until(self, name: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The video, once that is so of it."""
        began = time.monotonic()
        while not is_so(found := self.video(name)):
            assert time.monotonic() - began < MAKE_SECONDS, found
            time.sleep(0.03)
        return found

    def made(self, name: str) -> dict[str, Any]:
        """The video, once it is finished."""
        return self.until(name, lambda found: found["status"] in ("completed", "failed"))

    def kill(self) -> None:
        """As a power cut ends it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """As Ctrl-C ends it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


def started(store: Path, *flags: str, token: str = "") -> Server:
    """A server at that store, once it answers."""
    log = store.with_name(f"{store.name}-{time.monotonic_ns()}.log")
    command = [sys.executable, "-c", SERVE, "serve", "--store", str(store), "--port", "0", *flags]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "400"}
    with log.open("w") as to:
        process = subprocess.Popen(command, stderr=to, stdout=to, text=True, env=env)
    began, url = time.monotonic(), None
    while time.monotonic() - began < START_SECONDS and process.poll() is None:
        said = log.read_text()
        url = url or re.search(r"http://\S+", said)
        found = re.search(r"shown this once: (\S+)", said)
        token = found[1] if found else token
        if url and token and answers(url[0]):
            return Server(url[0], token, store, process, log)
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@cache
def shared() -> Server:
    """The one server that most tests ask; it ends with them."""
    folder = Path(tempfile.mkdtemp(prefix="kineo-serve-"))
    server = started(folder / "store", "--requests", "10000")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)
    return server


@cache
def small_film() -> Path:
    """Eight frames of noise with a tone."""
    folder = Path(tempfile.mkdtemp(prefix="kineo-film-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return simple(folder / "very-secret-name.mp4", num_frames=8, sound_seconds=0.3)
