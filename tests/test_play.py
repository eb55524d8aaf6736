"""The page is told the truth about the world, and plays the very game that the world dreams."""

import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from kineograph.answer.dream import Dream, seeded, starts_of
from kineograph.serve.doors import MOST_BYTES, SAFE
from kineograph.serve.play import HEADER, MOST_PLAYERS, MOST_UNSEEN, Table, app
from tiny_world import tiny_world

with warnings.catch_warnings():  # of httpx, whose successor Starlette would rather have
    warnings.simplefilter("ignore", UserWarning)
    from fastapi.testclient import TestClient
    from starlette.testclient import WebSocketTestSession

ACTIONS = ("left", "none", "right", "up")


class Shown(NamedTuple):
    """A frame as the page gets it."""

    number: int
    took_ms: float
    reward: float
    end: float
    frame: np.ndarray


@pytest.fixture
def table() -> Table:
    """A tiny world by the plain backend, as fast as it can."""
    world = tiny_world()
    return Table(world, "tiny", ACTIONS, partial(Dream, world, "eager"), pace=240.0)


@pytest.fixture
def client(table: Table) -> Iterator[TestClient]:
    with TestClient(app(table)) as found:
        yield found


def address(table: Table, path: str = "/play") -> str:
    return f"{path}?token={table.token}"


@contextmanager
def played(client: TestClient, table: Table) -> Iterator[WebSocketTestSession]:
    """A page that plays."""
    with client.websocket_connect(address(table)) as session:
        yield session


def shown(session: WebSocketTestSession, table: Table) -> Shown:
    """The next frame that comes."""
    shape, packed = table.world.shape, session.receive_bytes()
    size = shape.height_px, shape.width_px, 3
    assert len(packed) == HEADER.size + np.prod(size)
    frame = np.frombuffer(packed, np.uint8, offset=HEADER.size).reshape(size)
    number, took_ms, reward, end = HEADER.unpack_from(packed)
    return Shown(number, took_ms, reward, end, np.moveaxis(frame, -1, 0))


def closed_with(session: WebSocketTestSession) -> int:
    """The code with which the page is hung up on, whatever comes before."""
    while (message := session.receive())["type"] != "websocket.close":
        pass
    return message["code"]


@pytest.mark.parametrize("path", ["/", "/world"])
@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=%C3%A9"])
def test_without_its_token_nothing_is_told(client: TestClient, path: str, query: str) -> None:
    answer = client.get(path + query)
    assert answer.status_code == 401
    assert "kineo play" in answer.json()["detail"]
    assert {name: answer.headers[name] for name in SAFE} == SAFE


def test_the_page_asks_nothing_of_other_places(client: TestClient, table: Table) -> None:
    answer = client.get(address(table, "/"))
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in SAFE} == SAFE
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for outside in ("http://", "https://", "//cdn", "@import", "url("):
        assert outside not in answer.text


def test_the_world_is_told(client: TestClient, table: Table) -> None:
    answer = client.get(address(table, "/world"))
    assert {name: answer.headers[name] for name in SAFE} == SAFE
    assert answer.json() == {
        "name": "tiny",
        "width": 48,
        "height": 32,
        "actions": list(ACTIONS),
        "starts": 2,
        "pace": 240.0,
        "beside": "",
    }


def test_nothing_else_is_served(client: TestClient, table: Table) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/play"):
        assert client.get(address(table, path)).status_code == 404


def test_the_first_frame_is_the_starts_last_and_numbers_rise(
    client: TestClient, table: Table
) -> None:
    with played(client, table) as session:
        first = shown(session, table)
        assert first[:4] == (1, 0.0, 0.0, 0.0)
        assert (first.frame == table.world.starts[0, -1].numpy()).all()
        for number in range(2, 8):
            found = shown(session, table)
            assert found.number == number
            assert found.took_ms > 0
            session.send_json({"seen": number})


def test_no_more_frames_are_made_than_are_seen(client: TestClient, table: Table) -> None:
    steps, make = [], table.make

    def counted() -> Dream:
        dream = make()
        run = dream.run

        def running(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
            steps.append(1)
            return run(*arrays)

        dream.run = running
        return dream

    table.make = counted
    with played(client, table) as session:
        for _ in range(MOST_UNSEEN):
            number = shown(session, table).number
        time.sleep(0.2)
        assert len(steps) == MOST_UNSEEN - 1  # the first was a start
        session.send_json({"seen": number})
        for _ in range(MOST_UNSEEN):
            number = shown(session, table).number
        time.sleep(0.2)
        assert len(steps) == number - 1 == 2 * MOST_UNSEEN - 1


def test_a_seed_and_actions_are_the_game_that_the_world_dreams(
    client: TestClient, table: Table
) -> None:
    dream = Dream(table.world, "eager")
    truth = dream.begin(seeded(starts_of(table.world), 7), 7)
    with played(client, table) as session:
        for _ in range(MOST_UNSEEN):
            number = shown(session, table).number
        session.send_json({"reset": 7})  # a start comes though nothing was seen
        found = shown(session, table)
        assert (found.frame == truth).all()
        for action in (3, 0, 2, 2, 1, 3):
            # One frame may be made for each that is seen, so each action is of one frame.
            session.send_json({"action": action, "seen": number})
            found, moment = shown(session, table), dream.step(action)
            number += 1
            assert (found.frame == moment.frame).all()
            assert found.reward == pytest.approx(moment.reward, rel=1e-6)
            assert found.end == pytest.approx(moment.end, rel=1e-6)


def test_unasked_the_fish_does_nothing(client: TestClient, table: Table) -> None:
    dream = Dream(table.world, "eager")
    dream.begin(starts_of(table.world)[0], 0)
    with played(client, table) as session:
        shown(session, table)
        assert (shown(session, table).frame == dream.step(ACTIONS.index("none")).frame).all()


def test_paused_nothing_comes_until_it_goes_on(client: TestClient, table: Table) -> None:
    with played(client, table) as session:
        for _ in range(MOST_UNSEEN):
            number = shown(session, table).number
        session.send_json({"paused": True, "seen": number})
        session.send_json({"reset": 1})  # a start is shown even so
        found = shown(session, table)
        assert (found.frame == table.world.starts[1, -1].numpy()).all()
        session.send_json({"seen": found.number})
        session.send_json({"paused": False})
        assert shown(session, table).number == found.number + 1


def test_what_a_page_says_of_its_clock_is_heard(client: TestClient, table: Table) -> None:
    with played(client, table) as session:
        session.send_json({"clock": {"fps": 12.5}, "reset": 0})
        shown(session, table)
        while not table.heard:
            time.sleep(0.01)
    assert table.heard == [{"fps": 12.5}]


@pytest.mark.parametrize(
    "text", ["not json", "[1]", "7", "[" * MOST_BYTES, '{"a": "' + "x" * MOST_BYTES + '"}', b"{}"]
)
def test_who_says_what_no_page_says_is_hung_up_on(
    client: TestClient, table: Table, text: str | bytes
) -> None:
    with played(client, table) as session:
        session.send_text(text) if isinstance(text, str) else session.send_bytes(text)
        assert closed_with(session) == 1003
    assert table.num_players == 0


@pytest.mark.parametrize(
    "said",
    [
        '{"action": 4}',
        '{"action": -1}',
        '{"action": true}',
        '{"action": "0"}',
        '{"action": NaN}',
        '{"pace": 0}',
        '{"pace": 1e999}',
        '{"reset": -1}',
        '{"paused": 1}',
        '{"seen": "all"}',
        '{"unheard": "of"}',
    ],
)
def test_wishes_that_cannot_be_are_not_heard(client: TestClient, table: Table, said: str) -> None:
    dream = Dream(table.world, "eager")
    dream.begin(starts_of(table.world)[0], 0)
    with played(client, table) as session:
        session.send_text(said)
        shown(session, table)
        for number in range(2, 5):
            truth = dream.step(ACTIONS.index("none")).frame
            assert (shown(session, table).frame == truth).all()
            session.send_json({"seen": number})


@pytest.mark.parametrize("query", ["", "?token=wrong"])
def test_without_its_token_nobody_plays(client: TestClient, table: Table, query: str) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as refusal,
        client.websocket_connect(f"/play{query}"),
    ):
        pass
    assert refusal.value.code == 1008


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        ("http://testserver", True),
        ("http://elsewhere.example", False),
        ("http://testserver:8000", False),
        ("http://testserver.elsewhere.example", False),
        ("null", False),
    ],
)
def test_pages_of_other_places_do_not_play(
    client: TestClient, table: Table, origin: str, admitted: bool
) -> None:
    with ExitStack() as stack:
        if not admitted:
            stack.enter_context(pytest.raises(WebSocketDisconnect))
        session = client.websocket_connect(address(table), headers={"origin": origin})
        assert shown(stack.enter_context(session), table).number == 1


def test_a_table_has_so_many_seats_and_who_leaves_frees_one(
    client: TestClient, table: Table
) -> None:
    with ExitStack() as stack:
        for _ in range(MOST_PLAYERS):
            shown(stack.enter_context(played(client, table)), table)
        with pytest.raises(WebSocketDisconnect) as refusal, played(client, table):
            pass
        assert refusal.value.code == 1008
        assert table.num_players == MOST_PLAYERS
    assert table.num_players == 0
    with played(client, table) as session:
        assert shown(session, table).number == 1
