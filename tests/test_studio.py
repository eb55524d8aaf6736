"""The studio is walked as a person would: with a real browser, server, film and model."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import httpx
import pytest

from kineograph.serve.studio import POLICY

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
browsed = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
PAGES = ("work", "queue", "history", "models", "learn", "play")
WIDTH, HEIGHT, NUM_FRAMES, NUM_KNOWN, NUM_MADE = 96, 54, 10, 8, 6
START_SECONDS, WAIT_MS, MAKE_SECONDS = 90.0, 20_000, 60.0
STUDIO = "from kineograph.cli import main; main()"


@dataclass(frozen=True)
class Studio:
    """Where it is, and the token that its address has."""

    url: str
    token: str

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, self.url + path, headers=headers, timeout=60, **more)

    def uploaded(self, film: Path) -> str:
        answer = self.ask("POST", "/v1/files", files={"file": ("film", film.read_bytes())})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some frames of the bundled clip, small."""
    path = tmp_path_factory.mktemp("film") / "squirrel.mp4"
    bundled = str(files("kineograph") / "assets" / "clip.mp4")
    with av.open(bundled) as source, av.open(str(path), "w") as out:
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
        yield _found(log, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            process.kill()
    errors = [line for line in log.read_text().splitlines() if '"level": "error"' in line]
    # A page that leaves while its preview is just being opened is told as one.
    assert not [line for line in errors if "ClientDisconnected" not in line]


def _found(log: Path, process: subprocess.Popen[bytes]) -> Studio:
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS and process.poll() is None:
        said = re.search(r"(http://\S+)/#token=(\S+)", log.read_text())
        if said and _answers(said[1]):
            return Studio(said[1], said[2])
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


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


def until(is_so: Callable[[], Any], page: Any, seconds: float = WAIT_MS / 1000) -> Any:
    """What it gives, once it gives something."""
    began = time.monotonic()
    while not (found := is_so()):
        assert time.monotonic() - began < seconds
        page.wait_for_timeout(50)
    return found


def given(page: Any, film: Path) -> None:
    page.set_input_files("#file", str(film))
    page.wait_for_selector("#desk:not([hidden])")
    until(lambda: "frames" in page.inner_text("#estimate"), page)


def picked(page: Any) -> None:
    """The first frames are known: drawn over the strip with the mouse."""
    box = page.locator("#timeline .strip").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (NUM_KNOWN - 0.5) / NUM_FRAMES, middle, steps=4)
    page.mouse.up()


def moments(page: Any) -> list[float]:
    """Where the answer and what is beside it stand, in frames."""
    script = "[...document.querySelectorAll('#answer-screen video')].map(v => v.currentTime * 24)"
    return page.evaluate(script)


def gone_on(page: Any, film: Path) -> None:
    """A film, the frames that are known of it, and how it goes on."""
    given(page, film)
    picked(page)
    assert page.input_value("#f-known") == f"0-{NUM_KNOWN - 1}"
    page.fill("#f-seconds", str(NUM_MADE / 24))
    until(lambda: f"{NUM_MADE} frames" in page.inner_text("#estimate"), page)
    page.click("#run")
    page.wait_for_selector("#live-view:not([hidden])")
    seen: list[int] = []

    def is_over() -> bool:
        seen.append(int(page.evaluate("document.querySelector('#progress').value")))
        return page.is_visible("#answer-view")

    until(is_over, page, MAKE_SECONDS)
    assert seen == sorted(seen)
    assert seen[-1] == 100


@browsed
def test_a_film_is_given_known_frames_are_picked_and_the_answer_is_compared(
    page: Any, studio: Studio, film: Path, tmp_path: Path
) -> None:
    assert "token" not in page.url
    gone_on(page, film)
    video = studio.ask("GET", "/v1/videos").json()["data"][0]
    assert video["question"]["known"] == f"0-{NUM_KNOWN - 1}"
    assert page.inner_text("#answer-screen .where").startswith(f"0 / {NUM_KNOWN + NUM_MADE - 1}")
    page.evaluate("document.activeElement.blur()")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    until(lambda: moments(page) == pytest.approx([5.5, 5.5], abs=0.01), page)
    page.keyboard.press("End")  # the film that was given ends before
    last = [NUM_KNOWN + NUM_MADE - 0.5, NUM_FRAMES - 0.5]
    until(lambda: moments(page) == pytest.approx(last, abs=0.01), page)
    page.keyboard.press("Space")  # both play from the beginning, and end as they stood
    until(lambda: moments(page)[0] < 9, page)
    until(lambda: moments(page) == pytest.approx(last, abs=0.01), page)
    slider = page.get_by_role("slider", name="How much is shown as it was before")
    slider.focus()
    page.keyboard.press("Home")
    assert page.locator("#answer-screen .clip").evaluate("e => getComputedStyle(e).clipPath") == (
        "inset(0px 100% 0px 0px)"
    )
    page.locator("#answer-screen [aria-label='Zoom in']").click()
    assert page.inner_text("#answer-screen .zoomed").startswith("1.5")
    with page.expect_download() as coming:
        page.click("#download")
    coming.value.save_as(tmp_path / "film.mp4")
    made = studio.ask("GET", f"/v1/videos/{video['id']}/content").content
    assert hashlib.sha256((tmp_path / "film.mp4").read_bytes()).digest() == (
        hashlib.sha256(made).digest()
    )
    again_with_one_change(page, video)


def again_with_one_change(page: Any, video: dict[str, Any]) -> None:
    """The run is in the history, with its recipe, from which the form is filled."""
    page.click("nav a[href='#history']")
    tile = page.locator("#history li").first
    assert f"known 0-{NUM_KNOWN - 1}" in tile.inner_text()
    tile.get_by_role("button", name="Again with one change").click()
    page.wait_for_selector("#desk:not([hidden])")
    assert float(page.input_value("#f-seconds")) == video["question"]["seconds"]
    assert page.input_value("#f-known") == video["question"]["known"]
    page.fill("#f-seed", "9")
    assert "was 0" in page.locator(".field.changed").inner_text()
    assert page.locator(".field.changed").count() == 1


@browsed
def test_what_waits_is_put_in_another_order_paused_and_cancelled(
    page: Any, studio: Studio, film: Path
) -> None:
    file = {"file_id": studio.uploaded(film)}
    body = {"task": "predict", "seconds": 20, "input_reference": file}
    names = [studio.ask("POST", "/v1/videos", json={**body, "seed": n}).json()["id"] for n in "123"]
    try:
        page.keyboard.press("2")
        rows = page.locator("#queue li")
        until(lambda: rows.count() == 3, page)
        until(lambda: "next" in rows.nth(1).inner_text(), page)
        rows.nth(2).get_by_role("button", name="Sooner").click()
        until(lambda: "seed 3" in rows.nth(1).inner_text(), page)
        assert [one["id"] for one in studio.ask("GET", "/v1/queue").json()["data"]][1] == names[2]
        rows.nth(1).get_by_role("button", name="Pause").click()
        until(lambda: studio.ask("GET", f"/v1/videos/{names[2]}").json()["paused"], page)
        until(lambda: "paused" in rows.nth(1).inner_text(), page)
        for _ in names:
            count = rows.count()
            rows.first.get_by_role("button", name="Cancel").click()
            until(lambda count=count: rows.count() < count, page)
        assert page.is_visible("#queue-none")
    finally:
        for name in names:
            studio.ask("DELETE", f"/v1/videos/{name}")


@browsed
def test_a_place_is_meant_by_a_box_by_numbers_and_by_paint(
    page: Any, studio: Studio, film: Path
) -> None:
    given(page, film)
    page.select_option("#verb", "inpaint")
    assert page.is_disabled("#run")
    page.check("input[name=tool][value=track]", force=True)
    for name, value in zip(("Left", "Top", "Width", "Height"), (8, 6, 20, 12), strict=True):
        page.get_by_label(f"{name}, px").fill(str(value))
    until(lambda: page.is_enabled("#run"), page)
    page.check("input[name=tool][value=brush]", force=True)
    page.get_by_label("What is painted on the film").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.click("#run")
    page.wait_for_selector("#live-view:not([hidden])")
    video = studio.ask("GET", "/v1/videos").json()["data"][0]
    painted = studio.ask("GET", f"/v1/files/{video['inputs']['mask']}").json()
    assert (painted["kind"], painted["width"], painted["height"]) == ("picture", WIDTH, HEIGHT)
    until(lambda: page.is_visible("#answer-view"), page, MAKE_SECONDS)
    page.click("nav a[href='#history']")
    page.get_by_role("button", name="Again with one change: Take something").first.click()
    until(lambda: "painted before" in page.inner_text("#ask"), page)
    until(lambda: "frames" in page.inner_text("#estimate"), page)
    page.click("#run")
    page.wait_for_selector("#live-view:not([hidden])")
    again = studio.ask("GET", "/v1/videos").json()["data"][0]
    assert (again["id"] != video["id"], again["inputs"]) == (True, video["inputs"])
    page.click("#cancel")


@browsed
def test_models_have_cards_and_a_world_is_played(page: Any) -> None:
    page.click("nav a[href='#models']")
    until(lambda: "kineo-small" in page.inner_text("#models"), page)
    assert "does badly" in page.inner_text("#models")
    page.click("nav a[href='#play']")
    page.get_by_role("button", name="Play kineo-fish").click()
    game = page.frame_locator("#world")
    until(lambda: game.locator("#number").inner_text() not in ("", "0"), page, MAKE_SECONDS)
    page.click("nav a[href='#work']")


@browsed
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_a_phone(
    page: Any, film: Path, scheme: str
) -> None:
    axe = files(pytest.importorskip("axe_playwright_python")) / "axe.min.js"
    page.emulate_media(color_scheme=scheme)
    page.evaluate(axe.read_text("utf-8"))
    given(page, film)
    for number, name in enumerate(PAGES, 1):
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press(str(number))
        page.wait_for_selector(f"#page-{name}:not([hidden])")
        found = page.evaluate("axe.run(document)")
        assert len(found["passes"]) > 10
        assert not [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        page.set_viewport_size({"width": 1280, "height": 860})


def test_the_page_runs_nothing_but_its_own_files_and_tells_nothing(studio: Studio) -> None:
    answer = httpx.get(studio.url)
    assert answer.headers["Content-Security-Policy"] == POLICY
    for name in re.findall(r"/studio/[\w.]+", answer.text):
        assert httpx.get(studio.url + name).status_code == 200, name
    for name in ("/studio/no.js", "/studio/..%2Fplay.html", "/studio/%2Fetc%2Fpasswd"):
        assert httpx.get(studio.url + name).status_code == 404
    assert studio.token not in answer.text
    for path in ("/v1/learnings", "/v1/files/x/thumbnail"):
        assert httpx.get(studio.url + path).status_code == 401
    assert httpx.post(f"{studio.url}/v1/worlds/kineo-fish/table").status_code == 401


def test_footage_that_cannot_be_learned_ends_with_a_sentence(studio: Studio, film: Path) -> None:
    asked = {"name": "mine", "files": [studio.uploaded(film)], "minutes": 0.5}
    for wrong in ({"name": "kineo-small"}, {"name": "../up"}, {"files": ["file_none"]}):
        answer = studio.ask("POST", "/v1/learnings", json={**asked, **wrong})
        assert answer.status_code in (400, 404)
        assert answer.json()["error"]["message"].endswith(".")
    assert studio.ask("POST", "/v1/learnings", json=asked).json()["status"] == "running"
    assert studio.ask("POST", "/v1/learnings", json={**asked, "name": "other"}).status_code == 409
    began = time.monotonic()
    while (found := studio.ask("GET", "/v1/learnings/mine").json())["status"] == "running":
        assert time.monotonic() - began < MAKE_SECONDS
        time.sleep(0.1)
    assert found["status"] == "failed"
    assert found["said"][-1].startswith("kineo: ")
    assert "/" not in found["said"][-1]
    assert studio.ask("GET", "/v1/learnings/none").status_code == 404
    listed = studio.ask("GET", "/v1/learnings").json()["data"]
    assert [(one["name"], one["status"]) for one in listed] == [("mine", "failed")]
    assert studio.ask("POST", "/v1/learnings", json=asked).status_code == 200  # the name is free
    assert studio.ask("POST", "/v1/learnings/mine/stop").status_code == 200
