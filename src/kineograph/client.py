"""Asks a server of `kineo serve` from Python, in three lines.

    client = Client("http://127.0.0.1:8770", token)
    client.run("predict", "in.mp4", seconds=1).save("out.mp4")

Films are never held in memory: they are sent from their file, and come into one.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

import httpx

FILES = ("input_reference", "mask", "reference", "like")
"""The fields of a question that take a file."""
POLL_AFTER = "openai-poll-after-ms"
POLL_SECONDS, LEAST_POLL_SECONDS, MOST_POLL_SECONDS = 1.0, 0.05, 10.0
MOST_PATIENCE_SECONDS = 30.0
"""So long a server that has too much to do is waited for at once."""
FINISHED = ("completed", "failed")
CHUNK_BYTES = 2**16
PAGE = 100
"""So many films are listed at once."""
Variant = Literal["video", "thumbnail", "spritesheet"]


class ServerError(Exception):
    """The server refuses or fails; the message is its own sentence."""

    def __init__(self, message: str, status: int, code: str | None, param: str | None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


class FailedError(Exception):
    """A film that could not be made, or was cancelled; the message says why."""

    def __init__(self, message: str, code: str | None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Film:
    """A film of the server as it was when it was looked at; `about` is all that was said of it."""

    client: "Client"
    about: dict[str, Any]
    poll_seconds: float = POLL_SECONDS
    """After how long the server wants to be asked again."""

    @property
    def id(self) -> str:
        """Its name at the server."""
        return self.about["id"]

    @property
    def status(self) -> str:
        """One of queued, in_progress, completed and failed."""
        return self.about["status"]

    @property
    def progress(self) -> float:
        """The share of its frames that are made, 0 to 1."""
        return self.about["progress"] / 100

    def refreshed(self) -> "Film":
        """As it is now."""
        return self.client.retrieve(self.id)

    def wait(
        self,
        progress: Callable[["Film"], None] | None = None,
        timeout_seconds: float | int | None = None,
    ) -> "Film":
        """The film once it is completed, as `Client.wait`."""
        return self.client.wait(self, progress, timeout_seconds)

    def save(self, path: str | Path, variant: Variant = "video") -> Path:
        """Writes it under that name, whole or not at all."""
        return self.client.download(self.id, path, variant)

    def cancel(self) -> "Film":
        """Stops it."""
        return self.client.cancel(self.id)

    def delete(self) -> None:
        """Removes it from the server; where it runs, it stops."""
        self.client.delete(self.id)


class Client:
    """A server's films. Use it in a `with` block, or close it, to let go of the connection.

    url, token: as `kineo serve` prints them
    timeout_seconds: how long any one answer, or the next part of it, is waited for
    name: parts this client's turns in the queue from others with the same token
    """

    def __init__(
        self, url: str, token: str, timeout_seconds: float | int = 60, name: str | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        if name is not None:
            headers["Kineo-Client"] = name
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_seconds)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the server is."""
        return str(self._http.base_url)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def run(
        self,
        task: str,
        film: str | Path | None = None,
        *,
        progress: Callable[[Film], None] | None = None,
        timeout_seconds: float | int | None = None,
        **asked: Any,
    ) -> Film:
        """The film that was asked for, once it is completed.

        Whatever ends the waiting, such as Ctrl-C or the time, cancels the film. Errors as in
        `create` and `wait`.
        """
        found = self.create(task, film, **asked)
        try:
            return self.wait(found, progress, timeout_seconds)
        except FailedError:
            raise
        except BaseException:
            with suppress(ServerError, OSError):
                self.cancel(found.id)
            raise

    def create(self, task: str, film: str | Path | None = None, **asked: Any) -> Film:
        """Asks for a film, and does not wait for it.

        asked: the fields of docs/server.md by their names; those that take a file take its path.
        ServerError where the server refuses; OSError where a file cannot be read.
        """
        given = {**asked, **({} if film is None else {"input_reference": film})}
        fields = {name: _spoken(value) for name, value in given.items() if name not in FILES}
        paths = {name: Path(given[name]) for name in FILES if given.get(name) is not None}
        fields = {"task": task, **{name: text for name, text in fields.items() if text is not None}}
        return self._film("POST", "/v1/videos", data=fields, paths=paths)

    def retrieve(self, film_id: str) -> Film:
        """How far a film is."""
        return self._film("GET", f"/v1/videos/{film_id}")

    def wait(
        self,
        film: Film,
        progress: Callable[[Film], None] | None = None,
        timeout_seconds: float | int | None = None,
    ) -> Film:
        """The film once it is completed; it is asked about as often as the server wants.

        progress: hears of the film whenever it is looked at, at last when it is completed
        FailedError where it fails or is cancelled, TimeoutError where it takes longer,
        ConnectionError where the server is gone for MOST_PATIENCE_SECONDS.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            film = self._looked_at(film)
            if progress is not None:
                progress(film)
            if film.status in FINISHED:
                return _completed(film)
            pause = film.poll_seconds
            if until is not None:
                left = until - time.monotonic()
                if left <= 0:
                    told = f"{film.id} is {film.status} after {timeout_seconds:g} s."
                    raise TimeoutError(told)
                pause = min(pause, left)
            time.sleep(pause)

    def _looked_at(self, film: Film) -> Film:
        """The film as it is now; a server that is started anew is waited for."""
        until = time.monotonic() + MOST_PATIENCE_SECONDS
        while True:
            try:
                return film.refreshed()
            except ConnectionError:
                if time.monotonic() > until:
                    raise
            time.sleep(POLL_SECONDS)

    def models(self) -> list[dict[str, Any]]:
        """The models that may be named, with their cards."""
        return self._asked("GET", "/v1/models").json()["data"]

    def list(self, oldest_first: bool = False) -> Iterator[Film]:
        """All films of this token, page by page as they are taken."""
        asked = {"limit": str(PAGE), "order": "asc" if oldest_first else "desc"}
        while True:
            found = self._asked("GET", "/v1/videos", params=asked).json()
            yield from (Film(self, about) for about in found["data"])
            if not found["has_more"]:
                return
            asked["after"] = found["last_id"]

    def cancel(self, film_id: str) -> Film:
        """Stops a film; one that is finished stays as it is."""
        return self._film("POST", f"/v1/videos/{film_id}/cancel")

    def delete(self, film_id: str) -> None:
        """Removes a film; where it runs, it stops."""
        self._asked("DELETE", f"/v1/videos/{film_id}")

    def download(self, film_id: str, path: str | Path, variant: Variant = "video") -> Path:
        """Writes a completed film, or a JPEG of it, under that name, whole or not at all."""
        path = Path(path)
        aside = path.with_name(f".{path.name}.partial-{os.getpid()}")
        address = f"/v1/videos/{film_id}/content"
        try:
            with (
                _sentences(self._http),
                self._http.stream("GET", address, params={"variant": variant}) as answer,
            ):
                _check(answer)
                with aside.open("wb") as file:
                    for part in answer.iter_bytes(CHUNK_BYTES):
                        file.write(part)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
        return path

    def _film(self, method: str, address: str, **more: Any) -> Film:
        answer = self._asked(method, address, **more)
        return Film(self, answer.json(), _poll_seconds(answer.headers.get(POLL_AFTER)))

    def _asked(
        self, method: str, address: str, paths: dict[str, Path] | None = None, **more: Any
    ) -> httpx.Response:
        """What the server says; a refusal that asks to come again later is taken at its word."""
        patience = MOST_PATIENCE_SECONDS
        while True:
            with ExitStack() as stack, _sentences(self._http):
                files = {k: (p.name, _open(stack, p)) for k, p in (paths or {}).items()}
                answer = self._http.request(method, address, files=files or None, **more)
            pause = _retry_seconds(answer)
            if pause is None or pause > patience:
                _check(answer)
                return answer
            patience -= pause
            time.sleep(pause)


@contextmanager
def _sentences(http: httpx.Client) -> Iterator[None]:
    """What goes wrong on the way becomes a TimeoutError or a ConnectionError."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise TimeoutError(f"{http.base_url} does not answer in {http.timeout.read} s.") from error
    except httpx.TransportError as error:
        raise ConnectionError(f"{http.base_url} cannot be reached: {error}.") from error


def _open(stack: ExitStack, path: Path) -> BinaryIO:
    return stack.enter_context(path.open("rb"))


def _spoken(value: Any) -> str | None:
    """A value as a form has it: several are parted by commas."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(str(part) for part in value)
    return None if value is None else str(value)


def _poll_seconds(said: str | None) -> float:
    """What the server says in milliseconds, within reason."""
    try:
        found = float(said or "") / 1000
    except ValueError:
        return POLL_SECONDS
    return min(MOST_POLL_SECONDS, max(LEAST_POLL_SECONDS, found))


def _retry_seconds(answer: httpx.Response) -> float | None:
    """After how long to ask again, where the server has too much to do; else None."""
    said = answer.headers.get("Retry-After", "")
    return (
        max(LEAST_POLL_SECONDS, float(said))
        if answer.status_code == 429 and said.isdigit()
        else None
    )


def _check(answer: httpx.Response) -> None:
    """ServerError, with the server's sentence, unless the answer is one."""
    if answer.is_success:
        return
    answer.read()
    try:
        said = answer.json()["error"]
        message, code, param = said["message"], said["code"], said["param"]
    except (ValueError, KeyError, TypeError):
        message, code, param = f"The server answers {answer.status_code}.", None, None
    raise ServerError(message, answer.status_code, code, param)


def _completed(film: Film) -> Film:
    if film.status == "completed":
        return film
    error = film.about["error"] or {}
    raise FailedError(error.get("message") or f"{film.id} failed.", error.get("code"))
