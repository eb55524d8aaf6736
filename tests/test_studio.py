"""The studio is walked as a person would: with a real browser, server, film and model."""

import hashlib
import re
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from kineograph.models import weights
from kineograph.models.restorer import Restorer
from kineograph.serve.studio import POLICY
from kineograph.train import transfer
from studio_support import HEIGHT, MAKE_SECONDS, NUM_FRAMES, WIDTH, Studio, browsed, until

pytest_plugins = ("studio_fixtures",)
PAGES = ("work", "queue", "history", "models", "learn", "play")
NUM_KNOWN, NUM_MADE = 8, 6


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
def test_what_needs_no_film_is_made_without_the_one_that_was_given(
    page: Any, studio: Studio, film: Path
) -> None:
    given(page, film)
    assert page.is_hidden("#no-film")
    page.select_option("#verb", "generate")
    page.click("#no-film")
    page.wait_for_selector("#drop")
    until(lambda: "frames" in page.inner_text("#estimate"), page)
    page.click("#run")
    page.wait_for_selector("#live-view:not([hidden])")
    video = studio.ask("GET", "/v1/videos").json()["data"][0]
    assert (video["task"], video["inputs"]) == ("generate", {})
    page.click("#cancel")
    page.select_option("#verb", "predict")
    assert page.is_disabled("#run")


@browsed
def test_another_domain_is_offered_once_there_is_a_map(
    page: Any, studio: Studio, film: Path
) -> None:
    option = page.locator("#verb option[value=transfer]")
    assert option.is_disabled()
    place = studio.log.parent / "models" / "night.safetensors"
    place.parent.mkdir(exist_ok=True)
    weights.save(Restorer(transfer.SHAPE), place, {"recipe": "none"})
    try:
        page.click("nav a[href='#queue']")
        page.click("nav a[href='#work']")
        until(option.is_enabled, page)
        given(page, film)
        page.select_option("#verb", "transfer")
        assert page.input_value("#f-model") == "night"
        page.click("#run")
        until(lambda: studio.ask("GET", "/v1/videos").json()["data"][0]["task"] == "transfer", page)
        name = studio.ask("GET", "/v1/videos").json()["data"][0]["id"]
        path = f"/v1/videos/{name}"
        until(lambda: studio.ask("GET", path).json()["status"] == "completed", page, MAKE_SECONDS)
        page.select_option("#verb", "enhance")
        assert page.input_value("#f-model") == "kineo-small"
    finally:
        place.unlink()


@browsed
def test_models_have_cards_and_every_world_is_played(page: Any) -> None:
    page.click("nav a[href='#models']")
    until(lambda: "kineo-small" in page.inner_text("#models"), page)
    assert "does badly" in page.inner_text("#models")
    page.click("nav a[href='#play']")
    worlds = page.locator("[data-world]")
    until(worlds.count, page)
    names = [one.get_attribute("data-world") for one in worlds.all()]
    assert names == [weights.SHIPPED_WORLD, weights.SHIPPED_FIGURE]
    game = page.frame_locator("#world")
    for name in names:
        page.get_by_role("button", name=f"Play {name}").click()
        until(lambda name=name: name in game.locator("#name").inner_text(), page, MAKE_SECONDS)
        until(lambda: int(game.locator("#number").inner_text()) > 5, page, MAKE_SECONDS)
        drawn = game.locator("#screen").evaluate(COLOURS)
        assert drawn > 20, name
    page.click("nav a[href='#work']")


COLOURS = """canvas => {
  const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(all.buffer)).size;
}"""
"""How many colours a canvas has."""


def test_the_terminal_is_told_the_address_and_nothing_of_what_is_made(
    studio: Studio, film: Path
) -> None:
    body = {
        "task": "predict",
        "seconds": 0.1,
        "input_reference": {"file_id": studio.uploaded(film)},
    }
    name = studio.ask("POST", "/v1/videos", json=body).json()["id"]
    began = time.monotonic()
    while studio.ask("GET", f"/v1/videos/{name}").json()["status"] != "completed":
        assert time.monotonic() - began < MAKE_SECONDS
        time.sleep(0.1)
    told = studio.log.read_text().splitlines()
    assert told[0].startswith(studio.url)
    assert told[1] == "Ctrl-C ends it."
    assert not [line for line in told if '"level": "info"' in line]


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
