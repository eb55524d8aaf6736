"""What a person points at in a live stream is its region from then on, until it is taken back."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from films import film, stored, textured
from kineograph import regions, video
from kineograph.answer.live import Tally
from kineograph.regions import MOST_POINTED, Box, Pointed
from kineograph.serve.stream import Screen, app
from kineograph.video.levels import frames_of
from test_damage import HEIGHT, WIDTH, pan
from test_regions import passing

with warnings.catch_warnings():  # of httpx, whose successor Starlette would rather have
    warnings.simplefilter("ignore", UserWarning)
    from fastapi.testclient import TestClient

SHARES = (True, True, True, True)
ABOUT_IT = Box((15 / WIDTH, 30 / HEIGHT, 41 / WIDTH, 31 / HEIGHT), SHARES)
"""About what passes, in the first frame."""


def blank(num_frames: int, height: int = 20, width: int = 40) -> Iterator[Tensor]:
    return iter(torch.zeros(num_frames, 3, height, width))


def quarter(row: int, column: int) -> Box:
    return Box((column / 2, row / 2, 0.5, 0.5), SHARES)


def shown(pointed: Pointed, frames: np.ndarray) -> np.ndarray:
    return torch.cat(list(pointed.regions(iter(frames_of(frames))))).numpy()


def test_all_boxes_are_the_region_from_the_next_frame_on_until_they_are_taken_back() -> None:
    pointed = Pointed()
    found = pointed.regions(blank(6))
    assert not next(found).any()
    pointed.add(quarter(0, 0), follow=False)
    one = next(found)
    assert one[0, :10, :20].all()
    assert one.sum() == 200
    pointed.add(quarter(1, 1), follow=False)
    both = next(found)
    assert (both & one).sum() == 200
    assert both[0, 10:, 20:].all()
    assert both.sum() == 400
    pointed.undo()
    assert torch.equal(next(found), one)
    pointed.clear()
    assert not next(found).any()
    pointed.undo()
    assert not next(found).any()
    assert pointed.told() == []


def test_boxes_that_overlap_are_one_region() -> None:
    pointed = Pointed()
    pointed.add(quarter(0, 0), follow=False)
    pointed.add(Box((0.25, 0.0, 0.5, 0.5), SHARES), follow=False)
    assert next(pointed.regions(blank(1))).sum() == 300


def test_what_is_followed_is_what_is_followed_in_a_film() -> None:
    """Pointed at after some frames, it is followed as `tracked` follows it from there."""
    frames, masks = passing(20, 2.0)
    pointed = Pointed()
    found = pointed.regions(iter(frames_of(frames)))
    pointed.add(ABOUT_IT, follow=True)
    here = torch.cat(list(found)).numpy()
    there = torch.cat(list(regions.tracked(iter(frames_of(frames)), ABOUT_IT))).numpy()
    np.testing.assert_array_equal(here, there)
    assert (here & masks).sum() > 0.98 * masks.sum()
    (told,) = pointed.told()
    rows, columns = np.nonzero(here[-1])
    assert told.followed
    assert told.lost == ""
    assert told.box[0] == columns.min() / WIDTH > ABOUT_IT.values[0]
    assert told.box[3] == (rows.max() + 1 - rows.min()) / HEIGHT


def test_what_is_lost_is_told_and_in_no_region_any_more() -> None:
    pointed = Pointed()
    pointed.add(ABOUT_IT, follow=True)
    pointed.add(quarter(1, 1), follow=False)
    found = shown(pointed, np.concatenate([passing(6, 2.0)[0], pan(6, seed=3)]))
    box = np.zeros((HEIGHT, WIDTH), bool)
    box[HEIGHT // 2 :, WIDTH // 2 :] = True
    assert (found[:6].sum((1, 2)) > box.sum()).all()
    np.testing.assert_array_equal(found[6:], np.stack([box] * 6))
    lost, kept = pointed.told()
    assert "of its colours are there" in lost.lost
    assert kept.lost == ""
    assert kept.box == (0.5, 0.5, 0.5, 0.5)


def test_what_leaves_the_picture_is_told() -> None:
    pointed = Pointed()
    pointed.add(ABOUT_IT, follow=True)
    frames, _ = passing(45, 5.0)
    assert not shown(pointed, frames)[-1].any()
    assert pointed.told()[0].lost == "it has left the picture"


def test_too_many_are_refused_and_one_that_is_lost_makes_room() -> None:
    pointed = Pointed()
    too_wide = Box((0.9, 0.9, 0.5, 0.5), SHARES)
    for box in (*[quarter(0, 0)] * (MOST_POINTED - 1), too_wide):
        pointed.add(box, follow=False)
    with pytest.raises(ValueError, match=f"{MOST_POINTED} things are pointed at, and no more"):
        pointed.add(quarter(1, 1), follow=False)
    assert next(pointed.regions(blank(1))).sum() == 200
    pointed.add(quarter(1, 1), follow=False)
    assert not [one.lost for one in pointed.told() if one.lost]
    assert len(pointed.told()) == MOST_POINTED


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize(
    ("values", "why"),
    [((0.9, 0.0, 0.5, 0.5), "reaches to 56,10"), ((0.5, 0.5, 0.001, 0.5), "holds no pixel")],
)
def test_a_box_that_does_not_fit_is_lost_and_the_stream_goes_on(
    follow: bool, values: tuple[float, float, float, float], why: str
) -> None:
    pointed = Pointed()
    pointed.add(Box(values, SHARES), follow)
    pointed.add(quarter(0, 0), follow=False)
    assert [int(region.sum()) for region in pointed.regions(blank(3))] == [200] * 3
    assert why in pointed.told()[0].lost


def test_one_frame_is_taken_for_each_region() -> None:
    frames, _ = passing(6, 2.0)
    taken: list[int] = []

    def counted() -> Iterator[Tensor]:
        for number, frame in enumerate(frames_of(frames)):
            taken.append(number)
            yield frame

    pointed = Pointed()
    for box, follow in ((ABOUT_IT, True), (ABOUT_IT, True), (quarter(0, 0), False)):
        pointed.add(box, follow)
    for number, _region in enumerate(pointed.regions(counted())):
        assert taken == list(range(number + 1))
    assert len(taken) == 6


def test_any_thread_may_point_while_frames_come() -> None:
    pointed, over, told = Pointed(), Event(), set[str]()

    def pointing(seed: int) -> None:
        draw = np.random.default_rng(seed)
        while not over.is_set():
            try:
                match int(draw.integers(6)):
                    case 0:
                        pointed.undo()
                    case 1:
                        pointed.clear()
                    case 2:
                        assert len(pointed.told()) <= MOST_POINTED
                    case _:
                        pointed.add(quarter(*draw.integers(0, 2, 2).tolist()), False)
            except ValueError as error:
                told.add(str(error))
            except BaseException as error:
                told.add(repr(error))

    threads = [Thread(target=pointing, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    areas = {int(region.sum()) for region in pointed.regions(blank(400))}
    over.set()
    for thread in threads:
        thread.join()
    assert all("no more can be" in why for why in told)
    assert areas <= {0, 200, 400, 600, 800}
    assert len(areas) > 1


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [stored(picture, "yuv420p") for picture in textured(4, 64, 48)]
    return film(tmp_path_factory.mktemp("given") / "film.mkv", frames)


def screen_of(path: Path, pointed: Pointed | None) -> Screen:
    info = video.probe(path)
    return Screen(info, info.width, info.height, "as it is", Tally().figures, pointed=pointed)


def answered(path: Path, pointed: Pointed | None, text: str) -> dict[str, Any]:
    """What a page is told upon that: the figures, or how it is closed."""
    screen, figures = screen_of(path, pointed), None
    with (
        TestClient(app(screen)) as client,
        client.websocket_connect(f"/watch?token={screen.token}") as session,
    ):
        assert ("pointed" in session.receive_json()) == (pointed is not None)
        session.send_text(text)
        while (message := session.receive())["type"] != "websocket.close":
            told = json.loads(message["text"])
            if "refused" in told:
                figures = told
                screen.end()
    return dict(message) if figures is None else figures


def test_a_page_points_takes_back_and_clears(given: Path) -> None:
    pointed = Pointed()
    told = answered(given, pointed, '{"point": [0, 0.25, 0.5, 0.75], "follow": true}')
    assert told["pointed"] == [{"box": [0.0, 0.25, 0.5, 0.75], "followed": True, "lost": ""}]
    assert told["refused"] == ""
    assert told["read"] == 0
    rounded = '{"follow": false, "point": [0.30000000000000004, 0, 0.7, 1]}'
    both = answered(given, pointed, rounded)["pointed"]
    assert [one["followed"] for one in both] == [True, False]
    assert len(answered(given, pointed, '{"undo": true}')["pointed"]) == 1
    assert answered(given, pointed, '{"clear": true}')["pointed"] == []
    assert pointed.told() == []


def test_a_page_is_told_when_too_many_are_pointed_at(given: Path) -> None:
    pointed = Pointed()
    for _ in range(MOST_POINTED):
        pointed.add(quarter(0, 0), follow=False)
    told = answered(given, pointed, '{"point": [0, 0, 1, 1], "follow": false}')
    assert "no more can be" in told["refused"]
    assert len(told["pointed"]) == MOST_POINTED


@pytest.mark.parametrize(
    "said",
    [
        '{"point": [NaN, 0, 0.5, 0.5], "follow": true}',
        '{"point": [0, 0, Infinity, 0.5], "follow": true}',
        '{"point": [0, 0, 1e400, 0.5], "follow": true}',
        '{"point": [-0.1, 0, 0.5, 0.5], "follow": true}',
        '{"point": [0, 0, 0, 0.5], "follow": true}',
        '{"point": [0, 0, 0.5, -0.5], "follow": true}',
        '{"point": [0.6, 0, 0.5, 0.5], "follow": true}',
        '{"point": [0, 0.6, 0.5, 0.5], "follow": true}',
        f'{{"point": [0, 0, {10**200}, 0.5], "follow": true}}',
        '{"point": [0, 0, "0.5", 0.5], "follow": true}',
        '{"point": [0, 0, true, true], "follow": true}',
        '{"point": [0, 0, [0.5], null], "follow": true}',
        '{"point": [0, 0, 0.5], "follow": true}',
        '{"point": [0, 0, 0.5, 0.5, 0.5], "follow": true}',
        '{"point": {"0": 0}, "follow": true}',
        '{"point": "0,0,1,1", "follow": true}',
        '{"point": [0, 0, 0.5, 0.5], "follow": 1}',
        '{"point": [0, 0, 0.5, 0.5]}',
        '{"point": [0, 0, 0.5, 0.5], "follow": true, "undo": true}',
        '{"undo": 1}',
        '{"undo": true, "clear": true}',
        '{"clear": false}',
        '{"clear": "true"}',
        '{"follow": true}',
        '{"seen": "1", "undo": true}',
        '{"seen": -1}',
        "{}",
        "[]",
        "point",
        '{"point": [0, 0, 0.5, 0.5], "follow": true, "more": "' + "x" * 500 + '"}',
    ],
)
def test_what_no_page_of_ours_would_say_ends_one(given: Path, said: str) -> None:
    pointed = Pointed()
    pointed.add(quarter(0, 0), follow=False)
    assert answered(given, pointed, said)["code"] == 1003
    assert len(pointed.told()) == 1


@pytest.mark.parametrize(
    "said", ['{"point": [0, 0, 1, 1], "follow": false}', '{"undo": true}', '{"clear": true}']
)
def test_nobody_points_where_it_is_not_asked_for(given: Path, said: str) -> None:
    assert answered(given, None, said)["code"] == 1003
    screen = screen_of(given, None)
    with TestClient(app(screen)) as client:
        assert client.get(f"/about?token={screen.token}").json()["points"] is False
