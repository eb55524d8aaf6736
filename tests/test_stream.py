"""Live video keeps what it gets, bit for bit or within its time, and accounts for every frame."""

import signal
import time
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from io import StringIO
from pathlib import Path
from threading import Event, Timer
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from starlette.websockets import WebSocketDisconnect
from torch import Tensor

from films import film, stored, textured
from kineograph import video
from kineograph.answer.live import (
    Filed,
    Given,
    Made,
    Policy,
    Recent,
    Tally,
    Times,
    Waiting,
    beside,
    run,
)
from kineograph.cli import main
from kineograph.cli.stream_commands import Stream
from kineograph.cli.streams import stream
from kineograph.serve.doors import SAFE
from kineograph.serve.stream import HEADER, MOST_UNSEEN, MOST_VIEWERS, Screen, app
from kineograph.train.machine import looking_at_what_is_new
from kineograph.video.live import open_live
from rtsp import served_once, transport_stream

with warnings.catch_warnings():  # of httpx, whose successor Starlette would rather have
    warnings.simplefilter("ignore", UserWarning)
    from fastapi.testclient import TestClient

FPS, NUM = 24, 18
FREE = Policy(most_late_seconds=None)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short film of noise, so that each frame is another."""
    frames = [stored(picture, "yuv420p") for picture in textured(NUM, 64, 48)]
    return film(tmp_path_factory.mktemp("given") / "film.mkv", frames)


def samples_of(path: Path) -> list[bytes]:
    return [frame.to_ndarray().tobytes() for frame in video.source_frames(path)]


def slow(seconds: float) -> Callable[[Iterator[Tensor]], Iterator[Tensor]]:
    """A worker that takes so long for a frame, and changes nothing."""

    def make(frames: Iterator[Tensor]) -> Iterator[Tensor]:
        for frame in frames:
            time.sleep(seconds)
            yield frame

    return make


def streamed(
    path: Path, policy: Policy, make: Any = None, loop: int = 1, stop: Event | None = None
) -> tuple[list[Made], Tally]:
    """All that is shown of a film."""
    shown, tally = [], Tally()
    info, frames = open_live(str(path), loop)
    with looking_at_what_is_new():  # as `kineo stream` does: tests hold much that is not looked at
        error = run(info, frames, policy, make, shown.append, stop or Event(), tally)
    assert error is None
    return shown, tally


def quiet() -> Console:
    return Console(file=StringIO())


@pytest.mark.parametrize("name", ["out.y4m", "out.mkv"])
def test_what_is_relayed_is_the_source_bit_for_bit(given: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    stream(Stream(str(given), out, fast=True, quality="exact"), quiet())
    assert samples_of(out) == samples_of(given)
    assert video.probe(out).fps == FPS


def test_a_film_is_played_so_many_times_at_times_that_rise(given: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    stream(Stream(str(given), out, fast=True, quality="exact", loop=3), quiet())
    assert samples_of(out) == 3 * samples_of(given)
    stream(Stream(str(given), tmp_path / "out.y4m", fast=True, loop=100), quiet())
    assert video.count_frames(tmp_path / "out.y4m") == 100 * NUM
    seconds = video.read(out).pts_seconds
    assert torch.allclose(seconds.diff(), torch.full((3 * NUM - 1,), 1 / FPS).double(), atol=2e-3)


def test_a_film_has_its_own_pace_unless_it_is_fast(given: Path) -> None:
    began = time.perf_counter()
    streamed(given, Policy(paced=True, most_late_seconds=None))
    assert time.perf_counter() - began >= (NUM - 1) / FPS
    began = time.perf_counter()
    streamed(given, FREE, loop=20)
    assert time.perf_counter() - began < (20 * NUM - 1) / FPS


def test_nothing_is_dropped_where_the_source_may_wait(given: Path) -> None:
    shown, tally = streamed(given, FREE, slow(0.01), loop=2)
    assert [made.given.number for made in shown] == list(range(2 * NUM))
    assert tally.figures().read == tally.figures().shown == 2 * NUM
    assert tally.figures().dropped == 0


def test_a_slow_worker_drops_frames_but_is_never_late(given: Path) -> None:
    bound = 0.25
    shown, tally = streamed(given, Policy(True, bound), slow(0.1), loop=3)
    now = tally.figures()
    assert now.read == 3 * NUM
    assert now.shown == len(shown) < 1.5 * NUM
    assert now.shown + now.dropped == now.read
    assert now.p99_seconds <= bound + 0.5  # 3.1 if none were dropped
    numbers = [made.given.number for made in shown]
    assert numbers == sorted(set(numbers))


def test_a_worker_that_looks_ahead_is_given_younger_frames(given: Path) -> None:
    """Of two frames that are answered together, the first has waited for the second."""

    def pairs(frames: Iterator[Tensor]) -> Iterator[Tensor]:
        for frame in frames:
            both = [frame, *(another for another in [next(frames, None)] if another is not None)]
            for one in both:
                time.sleep(0.1)
                yield one

    _, tally = streamed(given, Policy(True, 0.5), pairs, loop=3)
    now = tally.figures()
    assert now.dropped > NUM
    assert now.median_seconds <= 0.8  # 1.5 if none were dropped


def test_frames_that_wait_are_bounded() -> None:
    tally, stop = Tally(), Event()
    blank = stored(np.zeros((16, 16, 3), np.uint8), "yuv420p")
    waiting = Waiting(5, 1e3, tally, num_recent=3)
    for number in range(50):
        waiting.put(Given(number, Fraction(number), time.perf_counter(), blank), stop)
        assert len(waiting) <= 5
    assert tally.num_dropped == 45
    first, recent = next(waiting.taken(stop))
    assert first.number == 45
    assert len(recent) == 3


def test_a_full_queue_lets_the_source_wait() -> None:
    tally, stop = Tally(), Event()
    blank = stored(np.zeros((16, 16, 3), np.uint8), "yuv420p")
    waiting = Waiting(2, None, tally)
    Timer(0.2, stop.set).start()
    began = time.perf_counter()
    for number in range(3):
        waiting.put(Given(number, Fraction(number), 0.0, blank), stop)
    assert time.perf_counter() - began >= 0.15
    assert tally.num_dropped == 0


def test_memory_does_not_grow(given: Path) -> None:
    """What many frames leave behind is less than a few of them."""
    import gc
    import weakref

    alive: list[Any] = []

    def make(frames: Iterator[Tensor]) -> Iterator[Tensor]:
        for frame in frames:
            alive.append(weakref.ref(frame))
            yield frame

    tally = Tally()
    info, frames = open_live(str(given), 20)
    run(info, frames, FREE, make, lambda made: None, Event(), tally)
    gc.collect()
    assert tally.num_shown == 20 * NUM
    assert sum(ref() is not None for ref in alive) <= 2


def test_ctrl_c_ends_it_with_a_whole_file(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, until = tmp_path / "out.mkv", NUM + 4
    before = signal.getsignal(signal.SIGINT)
    filing = Filed.__call__

    def pressed(filed: Filed, made: Made) -> None:
        filing(filed, made)
        if made.given.number == until:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Filed, "__call__", pressed)
    # Nothing is dropped, or a busy machine would decide which frames there are.
    stream(Stream(str(given), out, fast=True, loop=100, quality="exact"), quiet())
    kept = samples_of(out)
    whole = samples_of(given)
    assert kept == [whole[n % NUM] for n in range(until + 1)]
    assert signal.getsignal(signal.SIGINT) is before


def test_stopped_in_the_middle_everything_is_accounted_for(given: Path) -> None:
    stop = Event()

    def stopping(frames: Iterator[Tensor]) -> Iterator[Tensor]:
        for number, frame in enumerate(slow(0.08)(frames)):
            if number == 3:
                stop.set()
            yield frame

    shown, tally = streamed(given, Policy(True), stopping, 100, stop)
    now = tally.figures()
    assert now.shown == len(shown) == 3
    assert now.shown + now.dropped == now.read


def test_it_ends_by_itself(given: Path, tmp_path: Path) -> None:
    """After half a second of the 75 that there are; how many frames a busy machine decides."""
    stream(Stream(str(given), tmp_path / "out.y4m", loop=100, seconds=0.5), quiet())
    assert 1 <= video.count_frames(tmp_path / "out.y4m") <= 14


def test_a_source_that_breaks_off_leaves_a_whole_file_and_says_so(
    given: Path, tmp_path: Path
) -> None:
    cut, out = tmp_path / "cut.y4m", tmp_path / "out.y4m"
    stream(Stream(str(given), cut, fast=True), quiet())
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(ValueError, match="first 17 frames"):
        stream(Stream(str(cut), out, fast=True), quiet())
    assert samples_of(out) == samples_of(given)[:-1]


def test_a_steady_pipe_holds_the_last_frame_where_others_were_dropped(
    given: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.y4m"
    info = video.probe(given)
    frames = list(video.source_frames(given))
    times = Times(info)
    with video.Writer(out, like=info, quality="exact") as writer:
        filed = Filed(writer, info, steady=True)
        for number, frame in enumerate(frames):
            at = times.of(frame)
            if number in (0, 1, 5, 6):
                filed(Made(Given(number, at, 0.0, frame), None))
    whole = samples_of(given)
    assert samples_of(out) == [whole[n] for n in (0, 1, 1, 1, 1, 5, 6)]
    assert (filed.num_held, filed.num_skipped) == (3, 0)


def test_lines_make_frames_smaller(given: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    stream(Stream(str(given), out, fast=True, lines=24), quiet())
    info = video.probe(out)
    assert (info.width, info.height, info.num_frames or NUM) == (32, 24, NUM)
    assert Policy(lines=480).size(video.probe(given)) == (64, 48)


def test_what_is_foretold_stands_beside_what_is(given: Path) -> None:
    """Each time the last frames are given, though some were dropped."""
    policy = Policy(most_late_seconds=None, num_recent=4)
    lengths, numbers = list[int](), list[int]()

    def foretell(clip: Recent) -> Tensor:
        lengths.append(len(clip.frames))
        numbers.append(clip.number)
        return clip.frames[0]

    shown, _ = streamed(given, policy, lambda clips: beside(clips, foretell))
    plain = video.read(given).frames
    assert lengths == [1, 2, 3, *[4] * (NUM - 3)]
    assert numbers == list(range(NUM))
    for number, made in enumerate(shown):
        assert made.frame is not None
        assert torch.equal(made.frame[..., :64], plain[number])
        assert torch.equal(made.frame[..., 64:], plain[max(0, number - 3)])


@pytest.mark.parametrize(
    ("asked", "width"),
    [
        ({"denoise": 1.0}, 64),
        ({"denoise": 1.0, "look_ahead": True}, 64),
        ({"scale": 2}, 128),
        ({"predict": 0.1}, 128),
    ],
)
def test_each_task_is_asked_as_by_its_own_verb(
    given: Path, tmp_path: Path, asked: dict[str, Any], width: int
) -> None:
    few, out = tmp_path / "few.y4m", tmp_path / "out.mkv"
    with video.Writer(few, like=video.probe(given)) as writer:
        writer.write_given(given, num_frames=3)
    stream(Stream(str(few), out, fast=True, **asked), quiet())
    assert (video.probe(out).width, video.count_frames(out)) == (width, 3)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("camera:987", "no camera /dev/video987"),
        ("/dev/video987", "no camera /dev/video987"),
        ("camera:x", "write camera:0"),
        ("nothing.mp4", "does not exist"),
        ("gopher://a/b", "gopher:// is no address"),
        ("file:///etc/passwd", "file:// is no address"),
        ("http://127.0.0.1:9/x", "cannot be streamed from"),
        ("rtsp://name:secret@127.0.0.1:9/x", r"^rtsp://127.0.0.1:9/x cannot"),
        ("srt://127.0.0.1:9", "cannot be streamed from"),
    ],
)
def test_a_source_that_is_none_is_told(source: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        open_live(source, timeout_seconds=0.3)


def test_an_address_that_sends_nothing_is_not_waited_for() -> None:
    with pytest.raises(ValueError, match="sent nothing"):
        open_live("udp://127.0.0.1:18231", timeout_seconds=0.3)


def test_a_camera_that_breaks_off_is_opened_again() -> None:
    """Its server is gone after a film, and comes back at the same address."""
    film = transport_stream(40, 64, 48)
    port = served_once(film)
    Timer(0.7, lambda: served_once(film, port)).start()
    _, frames = open_live(f"rtsp://127.0.0.1:{port}/x", again_seconds=2.0)
    seen: list[int] = []
    with pytest.raises(ValueError, match="not come back for 2 seconds"):
        seen.extend(frame.width for frame in frames)
    assert 76 <= len(seen) <= 80


def test_a_camera_that_breaks_off_is_over_where_nobody_waits() -> None:
    info, frames = open_live(f"rtsp://127.0.0.1:{served_once(transport_stream(40, 64, 48))}/x")
    assert (info.width, info.height, info.fps) == (64, 48, 24)
    assert 38 <= sum(1 for _ in frames) <= 40


def test_a_camera_that_comes_back_in_another_size_is_told() -> None:
    port = served_once(transport_stream(40, 64, 48))
    _, frames = open_live(f"rtsp://127.0.0.1:{port}/x", again_seconds=5.0)
    served_once(transport_stream(40, 48, 48), port)
    with pytest.raises(ValueError, match="from 64x48 to 48x48"):
        list(frames)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"denoise": 2.0}, "denoise is 2"),
        ({"scale": 3}, "scale is 3"),
        ({"most_late": 0.0}, "most_late_seconds is 0"),
        ({"seconds": -1.0}, "seconds is -1"),
        ({"lines": 2}, "lines is 2"),
        ({"loop": 0}, "0 times"),
        ({"predict": 1.0, "denoise": 1.0}, "by itself"),
        ({"predict": 0.0}, "0.0 seconds"),
        ({"port": 70000}, "port is 70000"),
        ({"again": -1.0}, "again is -1"),
        ({"source": "-", "loop": 2}, "2 times"),
        ({"source": "-", "fast": True}, "pace of its own"),
        ({"source": "camera:0", "fast": True}, "pace of its own"),
    ],
)
def test_what_cannot_be_asked_is_told(given: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stream(Stream(**{"source": str(given), "out": Path("-"), **asked}), quiet())


def test_the_film_itself_is_not_written_over(given: Path) -> None:
    before = given.read_bytes()
    with pytest.raises(ValueError, match="film itself"):
        stream(Stream(str(given), given), quiet())
    assert given.read_bytes() == before


def test_it_is_a_command(given: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    main(["stream", str(given), "-o", str(out), "--fast"])
    assert video.count_frames(out) == NUM
    with pytest.raises(SystemExit):
        main(["stream", "camera:987"])


@pytest.fixture
def screen(given: Path) -> Screen:
    info = video.probe(given)
    return Screen(info, info.width, info.height, "as it is", Tally().figures)


@pytest.fixture
def client(screen: Screen) -> Iterator[TestClient]:
    with TestClient(app(screen)) as found:
        yield found


def frames_made(path: Path) -> list[Made]:
    now = time.perf_counter()
    frames = enumerate(video.source_frames(path))
    return [Made(Given(n, Fraction(n, FPS), now, frame), None) for n, frame in frames]


@pytest.mark.parametrize("path", ["/", "/about"])
@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=%C3%A9"])
def test_without_its_token_nothing_is_told(client: TestClient, path: str, query: str) -> None:
    answer = client.get(path + query)
    assert answer.status_code == 401
    assert answer.headers["Content-Security-Policy"] == SAFE["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("query", "origin"), [("", None), ("?token=wrong", None), ("?token={}", "http://elsewhere")]
)
def test_without_its_token_or_from_elsewhere_nothing_is_shown(
    client: TestClient, screen: Screen, query: str, origin: str | None
) -> None:
    headers = {} if origin is None else {"origin": origin}
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/watch" + query.format(screen.token), headers=headers),
    ):
        pass
    assert screen.num_viewers == 0
    assert not screen.opened.is_set()


def test_the_page_asks_nothing_of_other_sites(client: TestClient, screen: Screen) -> None:
    answer = client.get(f"/?token={screen.token}")
    assert answer.status_code == 200
    assert "//" not in answer.text.replace('"wss://" : "ws://"', "").replace("  //", "")
    assert client.get(f"/about?token={screen.token}").json()["fps"] == FPS


def frame_from(session: Any) -> bytes:
    """The next frame, past the figures."""
    while (message := session.receive()).get("bytes") is None:
        assert message["type"] == "websocket.send", message
    return message["bytes"]


def test_the_page_is_shown_the_newest_frames_and_at_most_two_unseen(
    client: TestClient, screen: Screen, given: Path
) -> None:
    made = frames_made(given)
    with client.websocket_connect(f"/watch?token={screen.token}") as session:
        for n in range(MOST_UNSEEN):
            screen.put(made[n])
            assert HEADER.unpack_from(frame_from(session)) == (n + 1, n)
        for later in made[MOST_UNSEEN:]:
            screen.put(later)
        session.send_json({"seen": 1})
        packed = frame_from(session)
        assert HEADER.unpack_from(packed) == (MOST_UNSEEN + 1, NUM - 1)
        picture = cv2.imdecode(np.frombuffer(packed, np.uint8, offset=HEADER.size), 1)
        assert picture is not None
        assert picture.shape == (48, 64, 3)
        session.send_json({"seen": MOST_UNSEEN + 1})
        screen.end()
        while (message := session.receive())["type"] != "websocket.close":
            pass
        assert message["code"] == 1000
    assert screen.opened.is_set()


def test_only_so_many_pages_are_served_and_nonsense_ends_one(
    client: TestClient, screen: Screen
) -> None:
    address = f"/watch?token={screen.token}"
    with client.websocket_connect(address) as session:
        session.send_text("[]")
        while (message := session.receive())["type"] != "websocket.close":
            pass
        assert message["code"] == 1003
    screen.num_viewers = MOST_VIEWERS
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(address):
        pass
