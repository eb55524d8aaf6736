"""Damage is found here, by classical means, as films stream by: what is broken, when and where."""

from kineograph.damage.found import (
    AHEAD,
    KINDS,
    Damage,
    Finding,
    found,
    listed,
    marked,
    missing_by_times,
    spread,
)
from kineograph.models.cuts import cuts

__all__ = [
    "AHEAD",
    "KINDS",
    "Damage",
    "Finding",
    "cuts",
    "found",
    "listed",
    "marked",
    "missing_by_times",
    "spread",
]
