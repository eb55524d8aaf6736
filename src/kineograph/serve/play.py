"""A world is played in a browser: keys go in, frames come out, over one WebSocket on loopback.

At most two frames are under way at once, so what is seen is never older than that.
"""

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response
from jaxtyping import UInt8

from kineograph.answer.beside import Beside, Real
from kineograph.answer.dream import Dream, Moment, seeded, starts_of
from kineograph.data.live import Live
from kineograph.models.world import World
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

MOST_PLAYERS, MOST_CLOCKS, MOST_UNSEEN = 4, 512, 2
PACES = (1.0, 240.0)
PACE = 15.0
HEADER = struct.Struct("<Ifff")
"""Frame number, milliseconds it took, reward, chance of the end; then the frame's RGB bytes."""
REAL = struct.Struct("<fff")
"""Beside a real game, between the header and the dreamed frame: the real reward, whether it has
ended, PSNR in dB; then the real frame's RGB bytes."""
MOST_REASON = 120
"""A WebSocket says in up to 123 bytes why it is closed."""


@dataclass(eq=False)
class Table:
    """One world, and who plays it. heard: what pages say of their own clocks, for the bench.

    beside: the real game's name; real: what opens it, where there is one.
    """

    world: World
    name: str
    actions: Sequence[str]
    make: Callable[[], Dream]
    token: str = field(default_factory=new_token)
    pace: float = PACE
    beside: str = ""
    real: Callable[[], Live] | None = None
    num_players: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)

    @property
    def idle(self) -> int:
        """The action that is taken where none is asked for."""
        return self.actions.index("none") if "none" in self.actions else 0


@dataclass(eq=False)
class Wish:
    """What a page last asked for."""

    action: int
    pace: float
    seen: int = 0
    seed: int | None = 0
    paused: bool = False


def app(table: Table) -> FastAPI:
    """The page, what it needs to know, and the game."""
    made = bare_app("play")

    @made.get("/")
    def page(token: str | None = None) -> Response:
        check_admitted(table.token, token, "play")
        return page_of("play")

    @made.get("/world")
    def world(token: str | None = None) -> Response:
        check_admitted(table.token, token, "play")
        return JSONResponse(_told(table), headers=SAFE)

    @made.websocket("/play")
    async def play(socket: WebSocket, token: str | None = None) -> None:
        at_home = same_origin(socket)
        if not admits(table.token, token) or not at_home or table.num_players >= MOST_PLAYERS:
            await socket.close(1008)
            return
        table.num_players += 1
        try:
            await socket.accept()
            await _played(table, socket)
        finally:
            table.num_players -= 1

    return made


def _told(table: Table) -> dict[str, Any]:
    shape = table.world.shape
    return {
        "name": table.name,
        "width": shape.width_px,
        "height": shape.height_px,
        "actions": list(table.actions),
        "starts": shape.num_starts,
        "pace": table.pace,
        "beside": table.beside,
    }


class Game(NamedTuple):
    """What one page plays. A seed or an action gives what is dreamed, and what is real beside."""

    begin: Callable[[int], tuple[Moment, Real | None]]
    step: Callable[[int], tuple[Moment, Real | None]]
    close: Callable[[], None]


def _game(table: Table) -> Game:
    dream = table.make()
    if table.real is not None:
        both = Beside(dream, table.real())
        return Game(both.begin, both.step, both.close)
    starts = starts_of(table.world)

    def begin(seed: int) -> tuple[Moment, None]:
        return Moment(dream.begin(seeded(starts, seed), seed), 0.0, 0.0), None

    return Game(begin, lambda action: (dream.step(action), None), lambda: None)


async def _played(table: Table, socket: WebSocket) -> None:
    """The game of one page, until it is closed; a real game that breaks off closes it."""
    game = await asyncio.to_thread(_game, table)
    wish, moved = Wish(table.idle, table.pace), asyncio.Event()
    listening = asyncio.create_task(_listened(table, socket, wish, moved))
    listening.add_done_callback(lambda _: moved.set())
    try:
        await _shown(game, socket, wish, moved, listening)
        await asyncio.wait({listening}, timeout=1)  # it may be closing the socket just now
    except ValueError as error:
        reason = str(error).encode()[:MOST_REASON].decode(errors="ignore")
        with suppress(WebSocketDisconnect, RuntimeError):  # as in `sent`
            await socket.close(1011, reason)
    finally:
        listening.cancel()
        game.close()


async def _shown(
    game: Game, socket: WebSocket, wish: Wish, moved: asyncio.Event, listening: asyncio.Task[None]
) -> None:
    """Sends frame after frame, as long as the page is heard."""
    number, due = 0, time.perf_counter()
    while not listening.done():
        if wish.seed is None and (wish.paused or number - wish.seen >= MOST_UNSEEN):
            moved.clear()
            await moved.wait()
            due = max(due, time.perf_counter())
            continue
        took, moment, real = await _next(game, wish)
        number += 1
        if not await sent(socket, _packed(number, took, moment, real)):
            return
        due = max(due + 1 / wish.pace, time.perf_counter())  # what was missed stays missed
        await asyncio.sleep(due - time.perf_counter())


async def _next(game: Game, wish: Wish) -> tuple[float, Moment, Real | None]:
    """The seconds it took, and what is shown next: a start, which takes 0, or a frame."""
    if wish.seed is not None:
        seed, wish.seed = wish.seed, None
        return 0.0, *await asyncio.to_thread(game.begin, seed)
    began = time.perf_counter()
    moment, real = await asyncio.to_thread(game.step, wish.action)
    return time.perf_counter() - began, moment, real


def _packed(number: int, seconds: float, moment: Moment, real: Real | None) -> bytes:
    head = HEADER.pack(number, 1000 * seconds, moment.reward, moment.end)
    if real is not None:
        head += REAL.pack(real.reward, real.ended, real.psnr) + _rgb(real.frame)
    return head + _rgb(moment.frame)


def _rgb(frame: UInt8[np.ndarray, "3 h w"]) -> bytes:
    return np.ascontiguousarray(np.moveaxis(frame, 0, -1)).tobytes()


async def _listened(table: Table, socket: WebSocket, wish: Wish, moved: asyncio.Event) -> None:
    """Hears the page, until it is closed or says what no page of ours would."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        said = read_said(message.get("text"))
        if said is None:
            await socket.close(1003)
            return
        if is_number(said.get("action"), 0, len(table.actions) - 1):
            wish.action = int(said["action"])
        if is_number(said.get("seen"), 0, 2**32):
            wish.seen = max(wish.seen, int(said["seen"]))
        if is_number(said.get("pace"), *PACES):
            wish.pace = float(said["pace"])
        if is_number(said.get("reset"), 0, 2**31):
            wish.seed = int(said["reset"])
        if isinstance(said.get("paused"), bool):
            wish.paused = said["paused"]
        if isinstance(said.get("clock"), dict) and len(table.heard) < MOST_CLOCKS:
            table.heard.append(said["clock"])
        moved.set()
