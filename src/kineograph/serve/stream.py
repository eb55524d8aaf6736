"""A live stream is shown in a browser: its newest frames, over one WebSocket on loopback.

At most two frames are under way to a page at once; while they are, newer ones take the place of
older, so what is seen is never older than that. Where it is asked for, pages point at things in it.
"""

import asyncio
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from threading import Event, Lock
from typing import Any

import cv2
import numpy as np
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response

from kineograph.answer.live import Figures, Made, part
from kineograph.answer.restoring import picture_of
from kineograph.regions import Box, Pointed
from kineograph.serve.doors import (
    SAFE,
    admits,
    bare_app,
    check_admitted,
    is_number,
    new_token,
    page_of,
    read_said,
    same_origin,
    sent,
)
from kineograph.video import VideoInfo, rgb_frame
from kineograph.video.info import is_standard

MOST_VIEWERS, MOST_UNSEEN = 4, 2
MOST_SIDE_PX = 1280
"""Larger frames are made smaller for the page."""
JPEG_QUALITY = 90
TOLD_EVERY_SECONDS = 0.5
ROUNDED = 1e-6
"""A box may reach out of the picture by so much of it: sums of shares are not exact."""
HEADER = struct.Struct("<II")
"""The number of this message to this page and of the frame; then the frame as JPEG."""


@dataclass(eq=False)
class Screen:
    """The newest frame, and what the pages need to know. Any thread may `put`."""

    info: VideoInfo
    width: int
    height: int
    doing: str
    figures: Callable[[], Figures]
    token: str = field(default_factory=new_token)
    pointed: Pointed | None = None
    """What pages point at, where they may."""
    opened: Event = field(default_factory=Event)
    """Set when the first page has come."""
    num_viewers: int = 0
    has_ended: bool = False
    _newest: Made | None = None
    _jpeg: tuple[int, bytes] = (-1, b"")
    _lock: Lock = field(default_factory=Lock)
    _wakers: list[Callable[[], None]] = field(default_factory=list)

    def put(self, made: Made) -> None:
        """Show this frame from now on."""
        self._newest = made
        self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self.has_ended = True
        self._wake()

    def newest(self) -> Made | None:
        """The frame to be shown."""
        return self._newest

    def jpeg(self, made: Made) -> bytes:
        """The frame as pages get it, made once for all of them."""
        with self._lock:
            if self._jpeg[0] != made.given.number:
                self._jpeg = made.given.number, packed(made, self.info)
            return self._jpeg[1]

    def woken(self, wake: Callable[[], None]) -> None:
        """Call this whenever there is something new."""
        self._wakers.append(wake)

    def forget(self, wake: Callable[[], None]) -> None:
        """Call it no more."""
        self._wakers.remove(wake)

    def _wake(self) -> None:
        for wake in list(self._wakers):
            wake()


def packed(made: Made, info: VideoInfo) -> bytes:
    """A frame as JPEG, no larger than a page needs."""
    picture = picture_of(rgb_frame(made.given.frame, info) if made.frame is None else made.frame)
    share = MOST_SIDE_PX / max(picture.shape[:2])
    if share < 1:
        size = max(1, round(picture.shape[1] * share)), max(1, round(picture.shape[0] * share))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    bgr = np.ascontiguousarray(picture[..., ::-1])
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    return data.tobytes()


def app(screen: Screen) -> FastAPI:
    """The page, what it needs to know, and the stream."""
    made = bare_app("stream")

    @made.get("/")
    def page(token: str | None = None) -> Response:
        check_admitted(screen.token, token, "stream")
        return page_of("stream")

    @made.get("/about")
    def about(token: str | None = None) -> Response:
        check_admitted(screen.token, token, "stream")
        told = {"doing": screen.doing, "width": screen.width, "height": screen.height}
        told |= {
            "name": "standard input" if is_standard(screen.info.path) else screen.info.path.name,
            "fps": float(screen.info.fps),
            "points": screen.pointed is not None,
        }
        return JSONResponse(told, headers=SAFE)

    @made.websocket("/watch")
    async def watch(socket: WebSocket, token: str | None = None) -> None:
        is_full = screen.num_viewers >= MOST_VIEWERS
        if not admits(screen.token, token) or not same_origin(socket) or is_full:
            await socket.close(1008)
            return
        screen.num_viewers += 1
        try:
            await socket.accept()
            screen.opened.set()
            await _watched(screen, socket)
        finally:
            screen.num_viewers -= 1

    return made


@dataclass(eq=False)
class _Viewer:
    """What is under way to a page, when that came, and how late the page was to draw it."""

    moved: asyncio.Event
    num_sent: int = 0
    num_seen: int = 0
    frame: int = -1
    outlines: list[dict[str, Any]] = field(default_factory=list)
    came: deque[tuple[int, float]] = field(default_factory=deque)
    late: deque[float] = field(default_factory=lambda: deque[float](maxlen=512))

    def saw(self, number: int) -> None:
        """The page has drawn this message."""
        now = time.perf_counter()
        while self.came and self.came[0][0] <= number:
            _, came = self.came.popleft()
            self.late.append(now - came)
        self.num_seen = max(self.num_seen, min(number, self.num_sent))


async def _watched(screen: Screen, socket: WebSocket) -> None:
    """The stream on one page, until either ends."""
    viewer, loop = _Viewer(asyncio.Event()), asyncio.get_running_loop()

    def wake() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(viewer.moved.set)

    screen.woken(wake)
    tasks = [asyncio.create_task(_heard(screen, socket, viewer))]
    tasks += [asyncio.create_task(_told(screen, socket, viewer))]
    tasks += [asyncio.create_task(_shown(screen, socket, viewer))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        screen.forget(wake)
        for task in tasks:
            task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(found, Exception):
                raise found


async def _shown(screen: Screen, socket: WebSocket, viewer: _Viewer) -> None:
    """Sends the newest frame whenever the page is ready for one."""
    while True:
        viewer.moved.clear()
        made = screen.newest()
        if made is None or made.given.number == viewer.frame:
            if screen.has_ended:
                await _ended(screen, socket, viewer)
                return
            await viewer.moved.wait()
            continue
        if viewer.num_sent - viewer.num_seen >= MOST_UNSEEN:
            await viewer.moved.wait()
            continue
        jpeg = await asyncio.to_thread(screen.jpeg, made)
        viewer.num_sent += 1
        viewer.frame = made.given.number
        viewer.came.append((viewer.num_sent, made.given.came))
        if not await sent(socket, HEADER.pack(viewer.num_sent, viewer.frame) + jpeg):
            return
        outlines = pointed_at(screen)  # with each frame, or they would trail behind what moves
        if outlines != viewer.outlines:
            viewer.outlines = outlines
            if not await _said(socket, {"pointed": outlines}):
                return


async def _ended(screen: Screen, socket: WebSocket, viewer: _Viewer) -> None:
    """The last figures, and goodbye."""
    if await _said(socket, figures(screen, viewer)):
        with suppress(WebSocketDisconnect, RuntimeError):
            await socket.close(1000)


async def _told(screen: Screen, socket: WebSocket, viewer: _Viewer) -> None:
    """Tells the figures now and then."""
    while await _said(socket, figures(screen, viewer)):
        await asyncio.sleep(TOLD_EVERY_SECONDS)


async def _said(socket: WebSocket, what: dict[str, Any]) -> bool:
    """Whether the page was still there."""
    try:
        await socket.send_json(what)
    except (WebSocketDisconnect, RuntimeError):  # the second where we closed it ourselves
        return False
    return True


def figures(screen: Screen, viewer: _Viewer) -> dict[str, Any]:
    """The stream's figures, how late this page draws its frames, and what is pointed at."""
    late = sorted(viewer.late)
    drawn = {"page_median_seconds": part(late, 0.5), "page_p99_seconds": part(late, 0.99)}
    outlines = {} if screen.pointed is None else {"pointed": pointed_at(screen)}
    return asdict(screen.figures()) | drawn | outlines


def pointed_at(screen: Screen) -> list[dict[str, Any]]:
    """What is pointed at, for the pages."""
    return [] if screen.pointed is None else [asdict(one) for one in screen.pointed.told()]


async def _heard(screen: Screen, socket: WebSocket, viewer: _Viewer) -> None:
    """Hears what the page has drawn and what it points at, until it is closed or says what no page
    of ours would."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        said = read_said(message.get("text"))
        if said is not None and is_number(said.get("seen"), 0, 2**32):
            viewer.saw(int(said["seen"]))
            viewer.moved.set()
            continue
        refusal = None if said is None else point(screen.pointed, said)
        if refusal is None:
            await socket.close(1003)
            return
        if not await _said(socket, figures(screen, viewer) | {"refused": refusal}):
            return


def point(pointed: Pointed | None, said: dict[str, Any]) -> str | None:
    """Does what a page says: "", or why it is refused; None for what no page of ours would say."""
    if pointed is None or len(said) > 2:
        return None
    match said:
        case {"point": list(box), "follow": bool(is_followed)} if is_inside(box):
            left, top, wide, tall = map(float, box)
            shares = Box((left, top, wide, tall), (True, True, True, True))
            try:
                pointed.add(shares, is_followed)
            except ValueError as error:
                return str(error)
        case {"undo": True} if len(said) == 1:
            pointed.undo()
        case {"clear": True} if len(said) == 1:
            pointed.clear()
        case _:
            return None
    return ""


def is_inside(box: list[Any]) -> bool:
    """Whether these are left, top, width and height of a part of the picture, as shares of it."""
    if len(box) != 4 or not all(is_number(share, 0, 1) for share in box):
        return False
    left, top, wide, tall = box
    is_something = wide > 0 and tall > 0
    return is_something and left + wide <= 1 + ROUNDED and top + tall <= 1 + ROUNDED
