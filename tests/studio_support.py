"""A studio that tests walk: where it is, and how they wait for it."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_support import answers

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
browsed = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
CLIP = files("kineograph") / "assets" / "clip.mp4"
WIDTH, HEIGHT, NUM_FRAMES = 96, 54, 10
START_SECONDS, WAIT_MS, MAKE_SECONDS = 90.0, 20_000, 60.0
STUDIO = "from kineograph.cli import main; main()"


@dataclass(frozen=True)
class Studio:
    """Where it is, the token that its address has, and what it tells its terminal."""

    url: str
    token: str
    log: Path

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, self.url + path, headers=headers, timeout=60, **more)

    def uploaded(self, film: Path) -> str:
        answer = self.ask("POST", "/v1/files", files={"file": ("film", film.read_bytes())})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]


def found(log: Path, process: subprocess.Popen[bytes]) -> Studio:
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS and process.poll() is None:
        said = re.search(r"(http://\S+)/#token=(\S+)", log.read_text())
        if said and answers(said[1]):
            return Studio(said[1], said[2], log)
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def until(is_so: Callable[[], Any], page: Any, seconds: float = WAIT_MS / 1000) -> Any:
    """What it gives, once it gives something."""
    began = time.monotonic()
    while not (found := is_so()):
        assert time.monotonic() - began < seconds
        page.wait_for_timeout(50)
    return found
