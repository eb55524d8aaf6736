"""Two films are the same if their bytes are, and alike if they change alike at the same moments.

What stands still says little: films of one fixed camera share it. So films are compared by how they
differ from their own mean picture.
"""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

Grey = UInt8[np.ndarray, "h w"]

NUM_MOMENTS, SIDE = 16, 8
"""A signature holds so many pictures, each of 8 x 8 levels."""
LEAST_COMMON = 8
ALIKE, DURATION = 0.85, 0.02
"""The least correlation, and how far durations may differ."""
LEAST_CHANGE = 0.7
"""Levels: below this a film stands still, and no change of it can be compared."""
_NUM_PIECES, _PIECE_BYTES = 16, 2**16


def key_of(path: Path, num_bytes: int) -> str:
    """What tells this content from other content: its size and at most 1 MiB spread over it.

    OSError if the file cannot be read.
    """
    digest = hashlib.sha256(str(num_bytes).encode("ascii"))
    with path.open("rb") as file:
        if num_bytes <= _NUM_PIECES * _PIECE_BYTES:
            digest.update(file.read())
        else:
            for n in range(_NUM_PIECES):
                file.seek(n * (num_bytes - _PIECE_BYTES) // (_NUM_PIECES - 1))
                digest.update(file.read(_PIECE_BYTES))
    return digest.hexdigest()[:32]


def moments(seconds: Fraction) -> list[Fraction]:
    """When the pictures of a signature are taken, in seconds after the start."""
    return [seconds * Fraction(2 * n + 1, 2 * NUM_MOMENTS) for n in range(NUM_MOMENTS)]


def signature_of(pictures: dict[int, Grey]) -> bytes:
    """The pictures, by the number of their moment, averaged to 8 x 8; those not taken are zero."""
    levels = np.zeros((NUM_MOMENTS, SIDE, SIDE), np.uint8)
    for number, picture in pictures.items():
        small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        levels[number] = np.maximum(small, 1)
    return levels.tobytes()


def pairs_alike(signatures: Sequence[bytes], seconds: Sequence[float]) -> list[tuple[int, int]]:
    """The pairs (i, j), i before j, of films that look the same and last as long."""
    if not signatures:
        return []
    changes, means = _normalised(signatures)
    lasts = np.asarray(seconds, np.float32)
    pairs = []
    for first in range(0, len(signatures), 256):  # so that many films take little memory
        part = slice(first, first + 256)
        alike = (changes[part] @ changes.T > ALIKE) & (means[part] @ means.T > ALIKE)
        longer = np.maximum(lasts[part, None], lasts)
        alike &= np.abs(lasts[part, None] - lasts) <= DURATION * longer
        rows, columns = np.nonzero(alike)
        pairs += [(int(i) + first, int(j)) for i, j in zip(rows, columns, strict=True)]
    return [(i, j) for i, j in pairs if i < j]


def _normalised(
    signatures: Sequence[bytes],
) -> tuple[Float32[np.ndarray, "n a"], Float32[np.ndarray, "n b"]]:
    """How each film changes, and its mean picture, of length 1; 0 where that says nothing."""
    each = [_parted(signature) for signature in signatures]
    return np.stack([_unit(c) for c, _ in each]), np.stack([_unit(m) for _, m in each])


def _parted(signature: bytes) -> tuple[Float32[np.ndarray, " a"], Float32[np.ndarray, " b"]]:
    levels = np.frombuffer(signature, np.uint8).astype(np.float32)
    levels = levels.reshape(-1, SIDE * SIDE)
    taken = np.asarray(levels.any(1))
    if taken.sum() < LEAST_COMMON:
        return np.zeros(NUM_MOMENTS * SIDE * SIDE, np.float32), np.zeros(SIDE * SIDE, np.float32)
    mean = levels[taken].mean(0)
    change = np.where(taken[:, None], levels - mean, np.float32(0))
    if float(np.sqrt(np.square(change[taken]).mean())) < LEAST_CHANGE:
        change = np.zeros_like(change)
    return change.ravel(), mean - mean.mean()


def _unit(values: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
    length = float(np.linalg.norm(values))
    return values / np.float32(length) if length > 1e-3 else np.zeros_like(values)
