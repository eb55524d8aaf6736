"""Footage is learned over HTTP: a process of its own does it, one at a time, and is watched."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import Annotated, Any, Literal

import torch
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from kineograph.models import store
from kineograph.serve.api.errors import Refused
from kineograph.serve.api.modelling import names
from kineograph.serve.api.service import Asker, Served, Service, Who, upload_of
from kineograph.serve.api.shelf import copied
from kineograph.serve.api.videos import answered
from kineograph.serve.doors import SAFE
from kineograph.train import scoring

PROGRAM = """
try:
    from kineograph.cli import main
    main()
except KeyboardInterrupt:
    raise SystemExit(130)
"""
"""Stopped while it still imports, it says nothing either."""
COMMAND = (sys.executable, "-c", PROGRAM, "learn")
SAID, ABOUT, FILMS, STOPPED = "said.txt", "about.json", "films", "stopped"
GOODBYE_SECONDS = 10.0
MOST_FILMS, MOST_POINTS, MOST_PICTURES, MOST_LINES = 16, 400, 8, 12
MOST_SAID = 2**16
"""So much of what it said last is read."""


class Learn(BaseModel):
    """What to learn, from uploads."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(max_length=64)]
    files: Annotated[
        list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=MOST_FILMS)
    ]
    minutes: Annotated[float, Field(gt=0, le=1440, allow_inf_nan=False)] = 10.0
    task: Literal["predict", "denoise", "upscale", "interpolate", "inpaint", "colourise"] = (
        "predict"
    )


@dataclass(eq=False)
class Learner:
    """The process that learns, if any does."""

    folder: Path
    name: str = ""
    process: subprocess.Popen[bytes] | None = None
    lock: Lock = field(default_factory=Lock)

    def learns(self, name: str) -> bool:
        """Whether that is being learned now."""
        return name == self.name and self.process is not None and self.process.poll() is None

    def begin(self, about: dict[str, Any], films: list[Path]) -> None:
        """Starts to learn. Refused while something else is learned."""
        with self.lock:
            if self.learns(self.name):
                told = f"{self.name} is being learned: one thing is learned at a time."
                raise Refused(409, told, "name", "busy")
            place = self.folder / about["name"]
            shutil.rmtree(place, ignore_errors=True)
            (place / FILMS).mkdir(mode=0o700, parents=True)
            for number, film in enumerate(films):
                copied(film, place / FILMS / f"{number}.mp4")
            (place / ABOUT).write_text(json.dumps(about))
            self.name, self.process = about["name"], _process(place, about)
            Thread(target=_cleared, args=(self.process, place / FILMS), daemon=True).start()

    def stop(self, name: str) -> None:
        """Asks it to end; it keeps the best that it has."""
        with self.lock, suppress(OSError):
            if self.learns(name) and self.process is not None:
                (self.folder / name / STOPPED).touch()
                self.process.send_signal(signal.SIGINT)

    def forget(self, name: str) -> None:
        """Drops the model, if there came one, with its run. Refused while it is learned."""
        with self.lock:
            if self.learns(name):
                raise Refused(409, f"{name} is being learned: stop it first.", "name", "busy")
            with suppress(ValueError):  # there is neither a model nor a run
                store.remove(name)
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def end(self) -> None:
        """Ends it with the server."""
        self.stop(self.name)
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(GOODBYE_SECONDS)
            self.process.kill()


def _process(place: Path, about: dict[str, Any]) -> subprocess.Popen[bytes]:
    asked = ["--name", about["name"], "--minutes", str(about["minutes"]), "--task", about["task"]]
    env = {**os.environ, "COLUMNS": "1000"}  # else what it says is broken into short lines
    with (place / SAID).open("wb") as to:
        return subprocess.Popen(
            [*COMMAND, str(place / FILMS), *asked],
            stdin=subprocess.DEVNULL,
            stdout=to,
            stderr=subprocess.STDOUT,
            env=env,
        )


def _cleared(process: subprocess.Popen[bytes], films: Path) -> None:
    """The footage goes when it is learned."""
    process.wait()
    shutil.rmtree(films, ignore_errors=True)


@asynccontextmanager
async def alive(made: FastAPI) -> AsyncIterator[None]:
    """While the app runs, it may learn."""
    service: Service = made.state.service
    made.state.learner = Learner(service.store.folder / "learnings")
    yield
    await run_in_threadpool(made.state.learner.end)


router = APIRouter(prefix="/v1/learnings", tags=["learnings"], lifespan=alive)


@router.post("")
def create(request: Request, service: Served, asker: Who, asked: Learn) -> Response:
    """Learn footage under a name."""
    learner: Learner = request.app.state.learner
    _free(learner, asker, asked.name)
    films = [
        service.store.files / upload_of(service, asker, one, "files").id for one in asked.files
    ]
    about = {**asked.model_dump(exclude={"files"}), "owner": asker.owner, "films": len(films)}
    learner.begin({**about, "created_at": int(time.time())}, films)
    return answered(_told(learner, asker, asked.name))


@router.get("")
def listed(request: Request, asker: Who) -> Response:
    """All that you had learned here, newest first."""
    learner: Learner = request.app.state.learner
    abouts = [about for place in learner.folder.glob("*") if (about := _about(place, asker))]
    abouts.sort(key=lambda about: -about["created_at"])
    told = [{**_seen(about), "status": _status(learner, about["name"])} for about in abouts]
    return answered({"object": "list", "data": told})


@router.get("/{name}")
def retrieve(name: str, request: Request, asker: Who) -> Response:
    """How far it is: the curve of what is held out, pictures, and what was said last."""
    return answered(_told(request.app.state.learner, asker, name))


@router.get("/{name}/pictures/{picture}", response_class=FileResponse)
def picture(name: str, picture: str, request: Request, asker: Who) -> Response:
    """Truth, mean and a sample of held-out footage, below each other, as PNG."""
    _told(request.app.state.learner, asker, name)
    if picture not in _pictures(name):
        raise Refused(404, "There is no such picture.", "picture", "not_found")
    path = store.run_folder(name) / f"{picture}.png"
    return FileResponse(path, media_type="image/png", headers=SAFE)


@router.post("/{name}/stop")
def stop(name: str, request: Request, asker: Who) -> Response:
    """End it early; what is best so far is kept."""
    learner: Learner = request.app.state.learner
    _told(learner, asker, name)
    learner.stop(name)
    return answered(_told(learner, asker, name))


@router.delete("/{name}")
def delete(name: str, request: Request, asker: Who) -> Response:
    """Remove what was learned, for good; the footage was never kept."""
    learner: Learner = request.app.state.learner
    _told(learner, asker, name)
    learner.forget(name)
    return answered({"id": name, "object": "learning", "deleted": True})


def _free(learner: Learner, asker: Asker, name: str) -> None:
    """Refused where no new model may be called so; what of yours had failed under it is gone."""
    try:
        run = store.run_folder(name)
    except ValueError as error:
        raise Refused(400, str(error), "name", "bad_value") from error
    is_mine = _about(learner.folder / name, asker) is not None
    if name in names() or (run.exists() and not is_mine):
        told = f"There is a model or a run called {name} already: give another name."
        raise Refused(400, told, "name", "taken")
    if not learner.learns(name):
        shutil.rmtree(run, ignore_errors=True)


def _about(place: Path, asker: Asker) -> dict[str, Any] | None:
    """What was asked, if it was that asker."""
    try:
        about = json.loads((place / ABOUT).read_text())
    except (OSError, ValueError):
        return None
    return about if about["owner"] == asker.owner else None


def _seen(about: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in about.items() if key != "owner"}
    return {"object": "learning", "id": about["name"], **shown}


def _status(learner: Learner, name: str) -> str:
    """running; completed, where there is a model; else stopped, if that was asked, or failed."""
    if learner.learns(name):
        return "running"
    if name in store.names():
        return "completed"
    return "stopped" if (learner.folder / name / STOPPED).exists() else "failed"


def _told(learner: Learner, asker: Asker, name: str) -> dict[str, Any]:
    """All of it. Refused where there is none."""
    place = learner.folder / name
    about = _about(place, asker) if store.NAME.fullmatch(name) else None
    if about is None:
        raise Refused(404, "Nothing of that name was learned here.", "name", "not_found")
    lines = _numbers(name)
    return {
        **_seen(about),
        "status": _status(learner, name),
        "steps": max((line["step"] for line in lines), default=0),
        "steps_total": _planned(name),
        "held_out": _held_out(lines),
        "loss": _thinned([[one["step"], one["loss"]] for one in lines if "loss" in one]),
        "pictures": _pictures(name),
        "said": _said(place),
    }


def _numbers(name: str) -> list[dict[str, Any]]:
    """The run's log so far; a line that is just being written is left for the next time."""
    try:
        text = (store.run_folder(name) / "log.jsonl").read_text()
    except OSError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("}\n")]


def _planned(name: str) -> int | None:
    try:
        return int(json.loads((store.run_folder(name) / "plan.json").read_text())["steps"])
    except (OSError, ValueError, KeyError):
        return None


def _held_out(lines: list[dict[str, Any]]) -> list[list[float]]:
    """Steps, and how well what is held out is answered then, in dB."""
    found = []
    for line in lines:
        number = next((line[key] for key in line if key.startswith("held_out/")), None)
        if number is not None:
            found.append([line["step"], float(scoring.decibels(torch.tensor(number)))])
    return found


def _thinned(points: list[list[float]]) -> list[list[float]]:
    return points[:: max(1, len(points) // MOST_POINTS)]


def _pictures(name: str) -> list[str]:
    """The newest pictures, oldest first."""
    found = store.run_folder(name).glob("strip-*.png")
    return sorted((path.stem for path in found), key=lambda one: one[-8:])[-MOST_PICTURES:]


def _said(place: Path) -> list[str]:
    """What it said last, without where this machine keeps its files."""
    try:
        with (place / SAID).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - MOST_SAID))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    for folder in (place, store.folder()):
        text = text.replace(f"{folder}{os.sep}", "").replace(str(folder), "")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return lines[-MOST_LINES:]
