"""A film carries its recipe, a JSON object, in its metadata (a GIF: in a comment at its end)."""

import json
from pathlib import Path
from typing import Any, BinaryIO

from kineograph.video import pictures
from kineograph.video.info import VideoError, local_file, opened

KEY = "kineograph"
_GIF_MARK = b"kineograph "
_GIF_TRAILER = b"\x3b"


def recipe_text(recipe: dict[str, Any]) -> str:
    """The recipe as JSON on one line; ValueError if it holds what JSON cannot."""
    try:
        return json.dumps(recipe, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the recipe cannot be kept as JSON ({error}); use plain values"
        ) from error


def read_recipe(path: str | Path) -> dict[str, Any]:
    """The recipe inside a film, {} if it has none; VideoError if there is no such film."""
    path = local_file(path)
    if pictures.is_sequence(path):
        return pictures.sidecar(path).get("recipe", {})
    with opened(path) as container:
        is_gif = container.format.name == "gif"
        tags = {key.lower(): value for key, value in container.metadata.items()}
    text = _gif_comment(path) if is_gif else tags.get(KEY, "{}")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise VideoError(f"{path} holds a damaged recipe; it cannot be read back") from error
    return found if isinstance(found, dict) else {}


def append_gif_comment(file: BinaryIO, text: str) -> None:
    """Put the text into a comment extension before a finished GIF's trailer (GIF89a, 24)."""
    data = _GIF_MARK + text.encode("ascii")
    file.seek(-1, 2)
    if file.read(1) != _GIF_TRAILER:
        file.seek(0, 2)
    else:
        file.seek(-1, 2)
    blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
    body = b"".join(bytes([len(block)]) + block for block in blocks)
    file.write(b"\x21\xfe" + body + b"\x00" + _GIF_TRAILER)


def _gif_comment(path: Path) -> str:
    data = path.read_bytes()
    start = data.rfind(b"\x21\xfe")
    if start < 0 or data[start + 3 : start + 3 + len(_GIF_MARK)] != _GIF_MARK:
        return "{}"
    text, at = b"", start + 2
    while at < len(data) and data[at]:
        text += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    return text[len(_GIF_MARK) :].decode("ascii", errors="replace")
