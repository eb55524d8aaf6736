"""A run is told in three places: a plain JSONL file, TensorBoard, and on the terminal."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float
from rich.color import Color
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.style import Style
from rich.text import Text
from torch import Tensor

STRIP_COLUMNS, SPARED_LINES = 96, 8
"""A picture on the terminal is no wider than that, and leaves so many lines free."""


class RunLog:
    """Writes a run's numbers; a resumed run goes on where its checkpoint stood, with no overlap."""

    def __init__(
        self,
        folder: Path,
        first_step: int,
        num_steps: int,
        tensorboard: bool = True,
        quiet: bool = False,
        console: Console | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        forget_after(path, first_step)
        self.file = path.open("a")
        self.board = board(folder, first_step) if tensorboard else None
        self.console = console or Console(stderr=True)
        self.quiet = quiet
        self.progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.progress.add_task("train", total=num_steps, completed=first_step, note="")
        self.live = Live(self.progress, console=self.console, refresh_per_second=4)

    def __enter__(self) -> "RunLog":
        if not self.progress.disable:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.live.stop()
        self.file.close()
        if self.board is not None:
            self.board.close()

    def write(self, step: int, numbers: Mapping[str, float], to_board: bool = True) -> None:
        """One line of JSON; floats keep every digit."""
        self.file.write(json.dumps({"step": step, **numbers}) + "\n")
        self.file.flush()
        if to_board and self.board is not None:
            for name, value in numbers.items():
                self.board.add_scalar(name, value, step)

    def picture(self, step: int, name: str, picture: Tensor) -> None:
        """A picture `c h w` in 0..1 to TensorBoard, and on a terminal in place of the last one."""
        if self.board is not None:
            self.board.add_image(name, picture, step)
        if self.live.is_started:
            lines = self.console.height - SPARED_LINES
            self.live.update(Group(in_blocks(picture, STRIP_COLUMNS, lines), self.progress))

    def tell(self, step: int, note: str, lasting: bool = False) -> None:
        """The progress bar on a terminal, with lines for what is `lasting`; lines elsewhere."""
        self.progress.update(self.task, completed=step, note=note)
        if not self.quiet and (lasting or not self.console.is_terminal):
            self.console.print(f"step {step}  {note}", highlight=False)


def in_blocks(picture: Float[Tensor, "3 h w"], columns: int, lines: int) -> Text:
    """A picture in 0..1 as half blocks of colour, two pixels in each."""
    h, w = picture.shape[-2:]
    ratio = min(columns / w, 2 * max(1, lines) / h)
    size = max(1, round(w * ratio)), 2 * max(1, round(h * ratio / 2))
    values = picture.detach().float().clamp(0, 1).mul(255).byte().cpu().numpy()
    small = cv2.resize(np.moveaxis(values, 0, -1), size, interpolation=cv2.INTER_AREA)
    text = Text()
    for upper, lower in zip(small[::2].tolist(), small[1::2].tolist(), strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        text.append("\n")
    return text


def board(folder: Path, first_step: int) -> Any:
    """TensorBoard's writer; imported here since that takes seconds."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)


def forget_after(path: Path, first_step: int) -> None:
    """Drops lines that a resumed run will write again, and one torn by a kill."""
    if not path.exists():
        return
    kept = [line for line in path.read_text().splitlines() if stands(line, first_step)]
    aside = path.with_suffix(".tmp")
    aside.write_text("".join(f"{line}\n" for line in kept))
    aside.replace(path)


def stands(line: str, first_step: int) -> bool:
    try:
        return json.loads(line)["step"] <= first_step
    except (json.JSONDecodeError, KeyError, TypeError):
        return False


def read(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, as written so far."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
