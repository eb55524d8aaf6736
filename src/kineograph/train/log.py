"""A run is told in three places: a plain JSONL file, TensorBoard, and a progress line."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor


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

    def __enter__(self) -> "RunLog":
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()
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
        """A picture `c h w` in 0..1 to TensorBoard."""
        if self.board is not None:
            self.board.add_image(name, picture, step)

    def tell(self, step: int, note: str, as_line: bool) -> None:
        """The progress bar on a terminal; now and then a line elsewhere."""
        self.progress.update(self.task, completed=step, note=note)
        if as_line and not self.quiet and not self.console.is_terminal:
            self.console.print(f"step {step}  {note}", highlight=False)


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
