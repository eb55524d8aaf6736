"""What became of every line, for people and for programs."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from kineograph.batch.place import REPORTS, Place, written
from kineograph.batch.running import Done

HEAD = "| line | verb | output | state | seconds | frames | error |"
RULE = "|---:|---|---|---|---:|---:|---|"


def write(place: Place, spec: Path, results: Sequence[Done], seconds: float) -> None:
    """Both reports, each whole or as it was."""
    said = {
        "spec": spec.name,
        "seconds": round(seconds, 3),
        "counts": Counter(one.state for one in results),
        "lines": [asdict(one) for one in results],
    }
    page, table = (place.folder / name for name in REPORTS)
    written(table, json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    written(page, _page(spec, results, seconds))


def counted(results: Sequence[Done]) -> str:
    """How many lines came to what, as "3 made, 1 failed"."""
    return ", ".join(f"{count} {state}" for state, count in _counts(results).items())


def _counts(results: Sequence[Done]) -> dict[str, int]:
    return dict(Counter(one.state for one in results))


def _page(spec: Path, results: Sequence[Done], seconds: float) -> str:
    rows = [
        f"| {one.line} | {one.verb} | {_cell(one.output)} | {one.state} | {one.seconds:.1f} | "
        f"{one.frames} | {_cell(one.error or '')} |"
        for one in results
    ]
    title = f"# {_cell(spec.name)}\n\n{counted(results)}, in {seconds:.1f} s.\n"
    return "\n".join([title, HEAD, RULE, *rows]) + "\n"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
