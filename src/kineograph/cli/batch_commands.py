"""What may be asked of a batch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Batch:
    """Make many films: one line of a CSV or JSON Lines file is one film (see docs/batch.md)."""

    spec: tyro.conf.Positional[Path]
    """The .csv or .jsonl file; paths in it are from its folder."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The folder of the films and the report. What is there and as asked is not made again."""
    font: Path | None = None
    """The font of all texts, a TrueType or OpenType file; by default DejaVu Sans."""
    check: bool = False
    """Only check all lines."""
    debug: bool = False
