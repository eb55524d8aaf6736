"""What every page on loopback shares: who is let in, how it is sent, and what it may say."""

import hmac
import json
import secrets
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse

MOST_BYTES = 512
"""The longest message that a page may send."""
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def new_token() -> str:
    """What the printed address has, and nobody else knows."""
    return secrets.token_urlsafe(24)


def admits(token: str, said: str | None) -> bool:
    """Whether a page has the address that was printed."""
    return said is not None and hmac.compare_digest(said.encode(), token.encode())


def check_admitted(token: str, said: str | None, verb: str) -> None:
    """401 for who lacks the address that this verb printed."""
    if not admits(token, said):
        told = f"Open the address that `kineo {verb}` printed: it has the token."
        raise HTTPException(401, told, headers=SAFE)


def bare_app(verb: str) -> FastAPI:
    """An app with nothing in it, not even its own documentation."""
    return FastAPI(title=f"kineo {verb}", docs_url=None, redoc_url=None, openapi_url=None)


def page_of(verb: str) -> HTMLResponse:
    """The page of that verb."""
    text = (files("kineograph") / "serve" / "pages" / f"{verb}.html").read_text("utf-8")
    return HTMLResponse(text, headers=SAFE)


def same_origin(socket: WebSocket) -> bool:
    """Other sites' pages may not come in; what is no browser says no origin."""
    origin = socket.headers.get("origin")
    return origin is None or origin.split("://")[-1] == socket.headers.get("host")


async def sent(socket: WebSocket, packed: bytes) -> bool:
    """Whether the page was still there."""
    try:
        await socket.send_bytes(packed)
    except (WebSocketDisconnect, RuntimeError):  # the second where we closed it ourselves
        return False
    return True


def read_said(text: str | None) -> dict[str, Any] | None:
    """The object that a text holds; nothing for bytes, for too much and for anything else."""
    if text is None or len(text) > MOST_BYTES:
        return None
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def is_number(value: Any, least: int | float, most: int | float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
