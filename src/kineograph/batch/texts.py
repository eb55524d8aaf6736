"""Text that is drawn into a film: what, where, how large, in which colour, and when."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.ft2font import FT2Font
from PIL import ImageColor, ImageFont
from pydantic import ConfigDict, TypeAdapter, ValidationError

from kineograph.batch.options import shown

MOST_TEXTS, MOST_CHARACTERS, MOST_SIZE_PX = 20, 500, 1000
MARGIN = 0.04
"""Between a named place and the picture's edge, in picture heights."""
OUTLINE = 1 / 16
"""The width of the letters' outline, in their size."""
DEFAULTS = {"position": "bottom", "size": "8%", "colour": "white", "start": 0.0}
NAMES = ("text", "position", "size", "colour", "start", "end")
POSITIONS = ("top left", "top", "top right", "left", "centre", "right",
             "bottom left", "bottom", "bottom right")  # fmt: skip
_LENGTH = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)(%?)")
_Number = Literal["start", "end"]
_ADAPTER = TypeAdapter(float, config=ConfigDict(allow_inf_nan=False))


@dataclass(frozen=True)
class Length:
    """In pixels or, where `share`, as a share of a side."""

    value: float
    share: bool

    def of(self, side_px: int) -> float:
        """In pixels."""
        return side_px * self.value / 100 if self.share else self.value


@dataclass(frozen=True)
class Text:
    """Where it stands is one of POSITIONS, or its left upper corner; end None is the film's."""

    text: str
    position: str | tuple[Length, Length]
    size: Length
    colour: tuple[int, int, int]
    start: float
    end: float | None


def default_font() -> Path:
    """DejaVu Sans, as it comes with matplotlib."""
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def characters_of(font: Path) -> frozenset[int]:
    """What a font can show. ValueError where it is none."""
    try:
        return frozenset(FT2Font(str(font)).get_charmap())
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{font} cannot be read as a font (TrueType or OpenType).") from error


def texts_of(said: Any, characters: frozenset[int]) -> tuple[Text, ...]:
    """The texts of a line. ValueError where one cannot be drawn."""
    if not isinstance(said, list) or len(said) > MOST_TEXTS:
        raise ValueError(f"texts is {shown(said)}: give a list of at most {MOST_TEXTS}")
    return tuple(text_of(one, characters) for one in said)


def text_of(said: Any, characters: frozenset[int]) -> Text:
    """One text. ValueError where it cannot be drawn."""
    if not isinstance(said, Mapping) or not said.get("text"):
        raise ValueError(f'a text is {shown(said)}: give an object, such as {{"text": "Hello"}}')
    for name in said:
        if name not in NAMES:
            raise ValueError(f"a text takes no {name!r:.60}; it takes {', '.join(NAMES)}")
    found = {**DEFAULTS, **said}
    text = Text(
        _words(found["text"], characters),
        _position(str(found["position"])),
        _length("size", str(found["size"])),
        _colour(str(found["colour"])),
        _seconds("start", found["start"]),
        _seconds("end", found["end"]) if "end" in found else None,
    )
    if not text.size.value or text.size.value > (100 if text.size.share else MOST_SIZE_PX):
        raise ValueError(f"size is {found['size']}: give up to 100% or {MOST_SIZE_PX} pixels")
    if text.end is not None and text.end <= text.start:
        raise ValueError(f"the text ends at {text.end:g} s and starts at {text.start:g} s")
    return text


def _words(said: Any, characters: frozenset[int]) -> str:
    if not isinstance(said, str) or len(said) > MOST_CHARACTERS:
        raise ValueError(f"text is {shown(said)}: give at most {MOST_CHARACTERS} characters")
    text = said.replace("\r\n", "\n").strip("\n")
    missing = [one for one in text if one != "\n" and ord(one) not in characters]
    if missing:
        raise ValueError(f"the font has no {missing[0]!r}, which is in the text: give another font")
    return text


def _position(said: str) -> str | tuple[Length, Length]:
    parts = said.split(",")
    if len(parts) == 2:
        return _length("position", parts[0]), _length("position", parts[1])
    if said.strip() not in POSITIONS:
        raise ValueError(f"position is {shown(said)}: give x,y or {', '.join(POSITIONS)}")
    return said.strip()


def _length(name: str, said: str) -> Length:
    match = _LENGTH.fullmatch(said.strip())
    if match is None:
        raise ValueError(f"{name} is {shown(said)}: write pixels, as 24, or per cent, as 8%")
    return Length(float(match[1]), bool(match[2]))


def _colour(said: str) -> tuple[int, int, int]:
    try:
        found = ImageColor.getrgb(said[:60])
    except ValueError as error:
        told = f"colour is {shown(said)}: give a name, as white, or #rrggbb"
        raise ValueError(told) from error
    return found[0], found[1], found[2]


def _seconds(name: _Number, said: Any) -> float:
    try:
        found = _ADAPTER.validate_python(said)
    except ValidationError as error:
        raise ValueError(f"{name} is {shown(said)}: give seconds") from error
    if not 0 <= found <= 1e6 or math.isnan(found):
        raise ValueError(f"{name} is {shown(said)}: give 0 to a million seconds")
    return found


def check_fits(text: Text, font: Path, width: int, height: int) -> None:
    """ValueError where the text reaches out of a film of that size."""
    size_px = max(1, round(text.size.of(height)))
    letters, lines = ImageFont.truetype(font, size_px), text.text.split("\n")
    wide, tall = max(letters.getlength(line) for line in lines), len(lines) * size_px
    left, top = (0, 0) if isinstance(text.position, str) else _corner(text.position, width, height)
    if left + wide > width or top + tall > height:
        raise ValueError(
            f"the text {shown(text.text)} reaches to {left + wide:.0f},{top + tall:.0f}, and the "
            f"film is {width}x{height}: make it smaller, or break it into lines"
        )


def _corner(position: tuple[Length, Length], width: int, height: int) -> tuple[int, int]:
    return round(position[0].of(width)), round(position[1].of(height))


def filter_of(text: Text, words: str, font: str, width: int, height: int) -> str:
    """FFmpeg's drawtext for it, where `words` and `font` are the files of text and font.

    The text is read from its file and not expanded: nothing in it is a command.
    """
    x, y = _place(text.position, width, height)
    size_px = max(1, round(text.size.of(height)))
    bright = sum(text.colour) > 3 * 110
    options = {
        "textfile": words,
        "fontfile": font,
        "expansion": "none",
        "fontsize": size_px,
        "fontcolor": "0x{:02X}{:02X}{:02X}".format(*text.colour),
        "bordercolor": "black" if bright else "white",
        "borderw": max(1, round(OUTLINE * size_px)),
        "x": x,
        "y": y,
        "enable": _when(text),
    }
    return "drawtext=" + ":".join(f"{name}='{value}'" for name, value in options.items())


def _when(text: Text) -> str:
    begun = f"gte(t,{text.start:.6f})"
    return begun if text.end is None else f"{begun}*lt(t,{text.end:.6f})"


def _place(
    position: str | tuple[Length, Length], width: int, height: int
) -> tuple[str | int, str | int]:
    if not isinstance(position, str):
        return _corner(position, width, height)
    gap = round(MARGIN * height)
    across, down = "(w-text_w)/2", "(h-text_h)/2"
    across = gap if "left" in position else f"w-text_w-{gap}" if "right" in position else across
    down = gap if "top" in position else f"h-text_h-{gap}" if "bottom" in position else down
    return across, down
