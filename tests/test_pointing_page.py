"""On the page of a live stream a person points at things, with a pointer or with keys."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib.resources import files
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from torch import Tensor

from films import film, stored, textured
from kineograph import video
from kineograph.answer.live import Given, Made, Tally
from kineograph.cli.streams import served
from kineograph.regions import MOST_POINTED, Box, Pointed
from kineograph.serve.stream import Screen
from studio_support import CHROMIUM, WAIT_MS, browsed, until

SHARES = (True, True, True, True)


@pytest.fixture
def streaming(tmp_path: Path) -> Iterator[tuple[str, Pointed]]:
    """The address of a page whose stream goes on, and what is pointed at in it."""
    frames = [stored(picture, "yuv420p") for picture in textured(2, 64, 48)]
    path = film(tmp_path / "film.mkv", frames)
    (frame, _), info = list(video.source_frames(path)), video.probe(path)
    picture = video.rgb_frame(frame, info)
    pointed, over = Pointed(), Event()
    screen = Screen(info, 64, 48, "as it is", Tally().figures, pointed=pointed)

    def taken() -> Iterator[Tensor]:
        while not over.wait(0.02):
            yield picture

    def work() -> None:
        for number, _ in enumerate(pointed.regions(taken())):
            screen.put(Made(Given(number, Fraction(number), perf_counter(), frame), picture))

    worker = Thread(target=work)
    worker.start()
    try:
        with served(screen, 0, False, Console(file=StringIO())) as address:
            yield address, pointed
    finally:
        over.set()
        worker.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, streaming: tuple[str, Pointed]) -> Iterator[Any]:
    """The page, which tells no error whatever a test does on it."""
    context, errors = browser.new_context(viewport={"width": 1280, "height": 860}), list[str]()
    context.set_default_timeout(WAIT_MS)
    made = context.new_page()
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    made.goto(streaming[0])
    made.wait_for_selector("#points:enabled")
    made.wait_for_selector("#said:empty", state="attached")
    yield made
    context.close()
    assert not errors


def dragged(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one share of the picture to another, with the mouse."""
    box = page.locator("#screen").bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=4)
    assert page.is_visible("#draft")
    page.mouse.up()
    assert page.is_hidden("#draft")


def told(page: Any, text: str) -> Callable[[], bool]:
    return lambda: text in page.text_content("#pointed")


@browsed
def test_a_box_is_dragged_over_the_picture_and_outlined(
    page: Any, streaming: tuple[str, Pointed]
) -> None:
    pointed = streaming[1]
    assert page.is_disabled("#undo")
    page.uncheck("#follow")
    dragged(page, (0.75, 0.6), (0.25, 0.1))
    (one,) = until(pointed.told, page)
    assert not one.followed
    outline = page.locator("#outlines div:not(#draft)")
    until(lambda: outline.count() == 1, page)
    np.testing.assert_allclose(one.box, (0.25, 0.1, 0.5, 0.5), atol=0.03)

    def is_where_it_should_be() -> bool:  # once a frame has come, and the page lies still
        (one,) = pointed.told()
        whole, part = page.locator("#screen").bounding_box(), outline.bounding_box()
        wide, down = part["width"] / whole["width"], (part["y"] - whole["y"]) / whole["height"]
        return np.allclose((wide, down), (one.box[2], one.box[1]), atol=0.003)

    until(is_where_it_should_be, page)
    until(told(page, "1 thing held in place"), page)
    page.uncheck("#outlined")
    assert outline.count() == 0
    page.click("#screen")
    page.wait_for_timeout(100)
    assert len(pointed.told()) == 1


@browsed
def test_keys_place_a_box_and_buttons_take_it_back(
    page: Any, streaming: tuple[str, Pointed]
) -> None:
    pointed = streaming[1]
    page.focus("#screen")
    for key in ("ArrowLeft", "Enter", "ArrowRight", "Shift+ArrowDown", "Escape"):
        page.keyboard.press(key)
    assert page.is_hidden("#draft")
    for key in ("Enter", "ArrowRight", "ArrowUp", "Shift+ArrowDown", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    assert page.is_visible("#draft")
    assert "Left 42 %, top 38 %, width 18 %, height 22 %" in page.text_content("#pointed")
    page.keyboard.press("Enter")
    (one,) = until(pointed.told, page)
    assert one.followed
    for _ in range(MOST_POINTED):
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
    until(told(page, "no more can be"), page)
    assert len(pointed.told()) == MOST_POINTED
    page.click("#undo")
    until(told(page, "3 things followed"), page)
    page.click("#clear")
    until(lambda: page.is_disabled("#clear"), page)
    assert page.evaluate("document.activeElement.id") == "screen"
    assert pointed.told() == []
    pointed.add(Box((0.9, 0.9, 0.5, 0.5), SHARES), follow=True)
    until(told(page, "lost: the box reaches to"), page)


@browsed
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_a_phone(
    page: Any, streaming: tuple[str, Pointed], scheme: str
) -> None:
    axe = files(pytest.importorskip("axe_playwright_python")) / "axe.min.js"
    page.emulate_media(color_scheme=scheme)
    page.evaluate(axe.read_text("utf-8"))
    streaming[1].add(Box((0.9, 0.9, 0.5, 0.5), SHARES), follow=True)
    until(told(page, "lost: "), page)
    found = page.evaluate("axe.run(document)")
    assert len(found["passes"]) > 10
    assert not [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
