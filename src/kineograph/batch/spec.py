"""The lines of a CSV or JSON Lines file, as names and values, each with its number in the file."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_LINES = 10_000
MOST_BYTES = 16 * 2**20
DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Line:
    """What one line asks; `wrong` is why it cannot be read, and then it asks nothing."""

    number: int
    said: dict[str, Any]
    wrong: str | None = None


def lines_of(path: Path) -> list[Line]:
    """All lines that ask something. ValueError where the file cannot be read as a whole."""
    readers: dict[str, Callable[[str], Iterator[Line]]] = {".csv": _csv, ".jsonl": _jsonl}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path} is neither a .csv nor a .jsonl file.")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{path} has {size:,} bytes: at most {MOST_BYTES:,} are read.")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 (byte {error.start}): save it so.") from error
    found: list[Line] = []
    for line in readers[path.suffix.lower()](text):
        found.append(line)
        if len(found) > MOST_LINES:
            raise ValueError(f"{path} has more than {MOST_LINES:,} lines: split it.")
    if not found:
        raise ValueError(f"{path} asks nothing: it has no line.")
    return found


def _csv(text: str) -> Iterator[Line]:
    first = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(rows, [])]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"The column {twice[0]!r} is there twice.")
        begin = rows.line_num + 1
        for row in rows:
            if any(cell.strip() for cell in row):
                yield _row(begin, names, row)
            begin = rows.line_num + 1
    except csv.Error as error:
        raise ValueError(f"Line {rows.line_num} is no CSV: {error}.") from error


def _row(number: int, names: list[str], row: list[str]) -> Line:
    if len(row) > len(names):
        wrong = f"it has {len(row)} cells, and the first line names {len(names)}"
        return Line(number, {}, wrong)
    cells = zip(names, row, strict=False)
    return Line(number, {name: cell for name, cell in cells if cell.strip()})


def _jsonl(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, object_pairs_hook=_once, parse_constant=_no_number)
        except RecursionError:
            yield Line(number, {}, "it is nested too deeply")
        except ValueError as error:
            yield Line(number, {}, f"it cannot be read: {error}")
        else:
            wrong = None if isinstance(found, dict) else 'it is no object, such as {"verb": "edit"}'
            said = found if isinstance(found, dict) else {}
            yield Line(number, {k: v for k, v in said.items() if v is not None}, wrong)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is there twice")
        found[name] = value
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")
