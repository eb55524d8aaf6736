"""Footage is learned in the studio as a person would: with a real browser, server and film."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from studio_support import CLIP, MAKE_SECONDS, Studio, browsed, until

pytest_plugins = ("studio_fixtures",)
MINUTES = os.environ.get("KINEO_LEARN_WALK", "")
"""So long may be learned in the walk: 1 is too short for a core that has other work, 4 is not."""
slow = pytest.mark.skipif(not MINUTES, reason="takes minutes: set KINEO_LEARN_WALK to how many")


def put_to_learn(page: Any, name: str) -> None:
    """A film is chosen, named, and given its minutes; by keyboard."""
    page.keyboard.press("5")
    page.set_input_files("#learn-file", str(CLIP))
    until(lambda: "640" in page.inner_text("#learn-films"), page)
    assert page.input_value("#learn-name") == "clip"
    page.fill("#learn-name", name)
    page.fill("#learn-minutes", MINUTES or "1")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "learn-run"
    page.keyboard.press("Enter")
    until(lambda: state(page) == "learning", page)


def state(page: Any) -> str:
    return page.evaluate("document.querySelector('#learned h3 .tag')?.textContent ?? ''")


def learners(studio: Studio) -> list[str]:
    """The processes that learn for this studio."""
    asked = ["ps", "-A", "-ww", "-o", "command"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    place = str(studio.log.parent / "store" / "learnings")
    return [line for line in found.splitlines() if place in line]


@browsed
def test_what_is_stopped_before_it_has_learned_leaves_no_process_and_no_model(
    page: Any, studio: Studio
) -> None:
    put_to_learn(page, "short")
    until(lambda: len(learners(studio)) == 1, page)
    page.get_by_role("button", name="Stop, and keep the best").click()
    until(lambda: state(page) == "stopped", page)
    assert not learners(studio)
    assert studio.ask("GET", "/v1/learnings/short").json()["status"] == "stopped"
    assert "short" not in [one["id"] for one in studio.ask("GET", "/v1/models").json()["data"]]
    removed(page, "short")


def removed(page: Any, name: str) -> None:
    page.get_by_role("button", name=f"Remove {name}").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    until(lambda: name not in page.inner_text("#learned"), page)


@slow
@browsed
def test_a_film_is_learned_worked_with_and_removed(page: Any, studio: Studio) -> None:
    put_to_learn(page, "walked")
    seen: list[int] = []

    def is_over() -> bool:
        seen.append(page.locator("#learned .curve circle").count())
        return state(page) != "learning"

    until(is_over, page, 60 * float(MINUTES) + 300)
    found = studio.ask("GET", "/v1/learnings/walked").json()
    assert state(page) == "learned", found["said"]
    assert seen == sorted(seen)
    assert len(set(seen)) > 2, seen  # it grew while it was watched
    until(lambda: page.locator(".curve circle").count() == len(found["held_out"]), page)
    best = max(decibels for _, decibels in found["held_out"])
    assert f"the best is {best:.2f} dB" in page.inner_text(".curve figcaption")
    page.keyboard.press("4")
    until(lambda: "walked" in page.inner_text("#models"), page)
    assert "yours" in page.locator("#models li").filter(has_text="walked").first.inner_text()
    page.keyboard.press("1")
    until(lambda: "walked" in page.inner_text("#f-model"), page)
    page.keyboard.press("5")
    page.get_by_role("button", name="Work with it").click()
    until(lambda: page.input_value("#f-model") == "walked", page)
    page.click("nav a[href='#learn']")
    removed(page, "walked")
    assert studio.ask("GET", "/v1/learnings/walked").status_code == 404
    assert not list((studio.log.parent / "models").rglob("*walked*"))
    page.click("nav a[href='#work']")
    until(lambda: "walked" not in page.inner_text("#f-model"), page)


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
