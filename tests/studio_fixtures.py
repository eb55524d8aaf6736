"""A real studio, a film, and a page of the studio in a real browser, for several test files."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import pytest

from studio_support import (
    CHROMIUM,
    CLIP,
    HEIGHT,
    NUM_FRAMES,
    STUDIO,
    WAIT_MS,
    WIDTH,
    Studio,
    found,
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some frames of the bundled clip, small."""
    path = tmp_path_factory.mktemp("film") / "squirrel.mp4"
    with av.open(str(CLIP)) as source, av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, frame in zip(range(NUM_FRAMES), source.decode(video=0), strict=False):
            small = frame.reformat(WIDTH, HEIGHT, "yuv420p")
            small.pts, small.time_base = number, Fraction(1, 24)
            out.mux(stream.encode(small))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with an empty store, and no models but the shipped ones."""
    folder = tmp_path_factory.mktemp("studio")
    models = str(folder / "models")
    env = {**os.environ, "KINEOGRAPH_MODELS": models, "OMP_NUM_THREADS": "1", "COLUMNS": "400"}
    flags = ["studio", "--no-open", "--port", "0", "--store", str(folder / "store")]
    log = folder / "log"
    with log.open("w") as to:
        command = [sys.executable, "-c", STUDIO, *flags]
        process = subprocess.Popen(command, stderr=to, stdout=to, env=env)
    try:
        yield found(log, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            process.kill()
    errors = [line for line in log.read_text().splitlines() if '"level": "error"' in line]
    # A page that leaves while its preview is just being opened is told as one.
    assert not [line for line in errors if "ClientDisconnected" not in line]


@pytest.fixture(scope="module")
def context(studio: Studio) -> Iterator[Any]:
    """A browser that notes what it asks for and what goes wrong in it."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        made = browser.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
        made.set_default_timeout(WAIT_MS)
        yield made
        browser.close()


@pytest.fixture
def page(context: Any, studio: Studio) -> Iterator[Any]:
    """The page; whatever a test does on it, no error is told and no other machine is asked."""
    made, asked, errors = context.new_page(), [], []
    made.on("request", lambda request: asked.append(request.url))
    made.on("websocket", lambda socket: asked.append(socket.url))
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    made.goto(f"{studio.url}/#token={studio.token}")
    made.wait_for_selector("#f-model")
    yield made
    made.close()
    home = urlsplit(studio.url).netloc
    elsewhere = [url for url in asked if urlsplit(url.removeprefix("blob:")).netloc != home]
    assert len(asked) > 10
    assert not elsewhere
    assert not errors
