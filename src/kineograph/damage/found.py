"""Every kind of damage is found by its own detector; here their answers meet, frame by frame."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import tee
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kineograph.damage import scratches, spots, timing
from kineograph.damage.seen import Seen, enlarged, seen_of
from kineograph.models.cuts import cuts_of

AHEAD = timing.AHEAD + 3
"""How many frames beyond the one in question are looked at, by the detector that looks farthest."""
KINDS = ("dropped", "frozen", "glitch", "scratch", "dust", "listed")
"""The last one is what a person said."""
Answer = TypeVar("Answer")
MOST_LISTED = 100_000
_SPAN = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class Damage:
    """What to look for: frames gone, frames shown again, broken parts, lines, and specks."""

    dropped: bool = True
    frozen: bool = True
    glitch: bool = True
    scratch: bool = True
    dust: bool = True


@dataclass(frozen=True, eq=False)
class Finding:
    """What is wrong with a frame.

    kinds: of `KINDS`. hole: True where the picture is to be made anew. num_missing: how many
    frames are gone just before it. starts_shot: whether a cut, or the film's start, is before it.
    """

    hole: Bool[Tensor, "1 h w"]
    kinds: frozenset[str] = field(default_factory=frozenset)
    num_missing: int = 0
    starts_shot: bool = False


def found(
    frames: Iterable[Float[Tensor, "3 h w"]],
    what: Damage | None = None,
    said: frozenset[int] = frozenset(),
) -> Iterator[Finding]:
    """What is wrong with each frame of a film, RGB in [-1, 1]; looks `AHEAD` frames ahead.

    What is not sought costs nothing. Lines at the columns `said`, pixels at half the height, are
    scratches without proof. ValueError if the frames change size or have no such column, or if
    scratches are said and not sought.
    """
    what = what or Damage()
    if said and not what.scratch:
        raise ValueError("lines are listed, and scratches are not sought: seek them too")
    measures, for_cuts = tee(seen_of(frames))
    shots = zip(measures, cuts_of(seen.change for seen in for_cuts), strict=True)
    plain, for_time, for_spots, for_lines = tee(shots, 4)
    when = (
        timing.timings(for_time)
        if what.dropped or what.frozen
        else _each(for_time, timing.Timing())
    )
    where = spots.spots(for_spots) if what.glitch or what.dust else _each(for_spots, None)
    lines = scratches.scratches(for_lines, said) if what.scratch else _each(for_lines, None)
    for (seen, starts), told, spot, line in zip(plain, when, where, lines, strict=True):
        yield _finding(what, seen, starts, (told, spot, line))


def _finding(
    what: Damage,
    seen: Seen,
    starts_shot: bool,
    told: tuple[timing.Timing, spots.Spots | None, np.ndarray | None],
) -> Finding:
    when, spot, lines = told
    missing = when.num_missing if what.dropped else 0
    kinds, hole = {"dropped"} if missing else set[str](), np.zeros(seen.size, bool)
    if what.frozen and when.is_frozen:
        kinds.add("frozen")
        hole[:] = True
    parts = [("scratch", lines)]
    if spot is not None:
        parts += [("dust", spot.dust if what.dust else None)]
        parts += [("glitch", spot.glitch if what.glitch else None)]
    for kind, mask in parts:
        if mask is not None and mask.any():
            kinds.add(kind)
            hole |= enlarged(mask, seen.size)
    return Finding(torch.from_numpy(hole)[None], frozenset(kinds), missing, starts_shot)


def _each(frames: Iterable[object], answer: Answer) -> Iterator[Answer]:
    """The same answer for each frame."""
    return (answer for _ in frames)


def listed(text: str, what: str = "frame") -> frozenset[int]:
    """The frames (or columns) of a list such as "12,40-44", the first being 0.

    ValueError if unclear.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        match = _SPAN.fullmatch(part.strip())
        if match is None:
            raise ValueError(
                f"{part.strip()!r} in {text!r} is no {what} or run of {what}s; "
                "write numbers and runs, such as 12,40-44"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(
                f"the run {part.strip()!r} ends before it starts; write {last}-{first}"
            )
        if last - first >= MOST_LISTED:
            raise ValueError(
                f"the run {part.strip()!r} has {last - first + 1} {what}s; "
                f"give runs of at most {MOST_LISTED}"
            )
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def marked(findings: Iterable[Finding], numbers: frozenset[int]) -> Iterator[Finding]:
    """The findings, with all of each listed frame to be made anew.

    ValueError at the end if the film has no frame of such a number.
    """
    count = 0
    for count, finding in enumerate(findings, 1):
        if count - 1 not in numbers:
            yield finding
            continue
        hole = torch.ones_like(finding.hole)
        kinds = finding.kinds | {"listed"}
        yield Finding(hole, kinds, finding.num_missing, finding.starts_shot)
    beyond = sorted(n for n in numbers if n >= count)
    if beyond:
        raise ValueError(
            f"frame {beyond[0]} is listed, and the film has {count} frames, 0 to {count - 1}; "
            "list only those"
        )


def spread(
    frames: Iterable[Float[Tensor, "3 h w"]], findings: Iterable[Finding]
) -> Iterator[tuple[Float[Tensor, "3 h w"], Finding]]:
    """Each frame with its finding; for each that is missing, the next one with an all-True hole."""
    for frame, finding in zip(frames, findings, strict=True):
        gone = Finding(torch.ones_like(finding.hole), frozenset({"dropped"}))
        for _ in range(finding.num_missing):
            yield frame, gone
        yield frame, finding


def missing_by_times(pts_seconds: Iterable[float], fps: Fraction) -> Iterator[int]:
    """How many frames are gone before each, from when frames of a steady film are shown."""
    before = None
    for now in pts_seconds:
        yield 0 if before is None else max(0, round((now - before) * float(fps)) - 1)
        before = now
