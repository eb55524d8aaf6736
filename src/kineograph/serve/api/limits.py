"""What may be uploaded and asked; all of it is checked before anything is decoded or queued."""

from dataclasses import dataclass

TEXT_BYTES = 64 * 2**10
"""The longest field of a form."""
MOST_FIELDS, MOST_FILES = 64, 4
"""Parts of a form."""


@dataclass(frozen=True)
class Limits:
    """frame_px, frames and seconds are of one film, given or made; answer_px is all its pixels.

    json_bytes bounds a body that is no form. look_seconds is how long an upload may be looked at;
    decode_seconds is how much of that goes into decoding it.
    """

    upload_bytes: int = 2 * 2**30
    json_bytes: int = 32 * 2**20
    frame_px: int = 4096 * 2304
    frames: int = 100_000
    seconds: float = 3600.0
    answer_px: int = 200_000_000_000
    look_seconds: float = 30.0
    decode_seconds: float = 5.0
    look_bytes: int = 2 * 2**30
    requests_a_second: float = 50.0
    burst: int = 200
    waiting: int = 100
    keep_days: float = 7.0
    keep_bytes: int = 20 * 2**30
    attempts: int = 5
    lease_seconds: float = 10.0
