"""The jobs of a file: every line is checked, and all that are wrong are said at once."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from kineograph import video
from kineograph.batch import checking, options, texts, weighed
from kineograph.batch.burning import check_ffmpeg
from kineograph.batch.spec import Line, lines_of
from kineograph.batch.texts import Text
from kineograph.batch.weighed import stamp
from kineograph.verbs import asked as verbs

MOST_TOLD = 50
"""So many wrong lines are said; of more, only how many there are."""
MOST_NAME_BYTES = 180
KINDS = tuple(suffix for suffix in video.CODECS_OF if suffix != ".png")
OWN = ("verb", "output", "sound", "texts", "text")
"""What a line may say beside the flags of its verb and text_position, text_size and so on."""
PREFIX = "text_"
_NAME = re.compile(r'[^\x00-\x1f\x7f/\\:*?"<>|.][^\x00-\x1f\x7f/\\:*?"<>|]*')
_SPOKEN = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Job:
    """One film to be made. The digest is of all that it depends on."""

    line: int
    verb: str
    asked: verbs.Asked
    texts: tuple[Text, ...]
    sound: bool
    digest: str

    @property
    def out(self) -> Path:
        """Where the film will be."""
        assert self.asked.out is not None
        return self.asked.out


def jobs_of(spec: Path, folder: Path, font: Path) -> list[Job]:
    """The jobs of a file, whose films go into the folder. ValueError names every bad line."""
    characters = texts.characters_of(font)
    found: list[Job] = []
    wrong: dict[int, str] = {}
    for line in lines_of(spec):
        try:
            found.append(_job(line, spec.resolve().parent, folder.resolve(), font, characters))
        except (ValueError, OSError) as error:
            wrong[line.number] = " ".join(str(error).split()).rstrip(".")
    wrong |= _clashes(found)
    if wrong:
        raise ValueError(_told(spec, wrong))
    if any(job.texts for job in found):
        check_ffmpeg()
    return found


def _told(spec: Path, wrong: Mapping[int, str]) -> str:
    lines = [f"  line {number}: {why}." for number, why in sorted(wrong.items())]
    more = len(lines) - MOST_TOLD
    rest = [f"  and {more} more."] if more > 0 else []
    count = "1 line" if len(lines) == 1 else f"{len(lines)} lines"
    head = f"{spec} has {count} that cannot be run; nothing was begun."
    return "\n".join([head, *lines[:MOST_TOLD], *rest])


def _job(line: Line, folder: Path, outputs: Path, font: Path, characters: frozenset[int]) -> Job:
    if line.wrong is not None:
        raise ValueError(line.wrong)
    verb = str(line.said.get("verb", "")).strip()
    if verb not in options.VERBS:
        raise ValueError(f"verb is {options.shown(verb)}: give {', '.join(options.VERBS)}")
    drawn = texts.texts_of(_said_texts(line.said), characters)
    rest = {
        name: value
        for name, value in line.said.items()
        if name not in OWN and not name.startswith(PREFIX)
    }
    out = outputs / _output(line, verb)
    asked = options.question(verb, rest, folder, out)
    checking.check(asked)
    if drawn:
        size = checking.size_of(asked)
        for text in drawn:
            texts.check_fits(text, font, *size)
    sound = _sound(line.said, out)
    return Job(line.number, verb, asked, drawn, sound, _digest(verb, asked, drawn, sound, font))


def _said_texts(said: Mapping[str, Any]) -> Any:
    """The line's texts: its list, in JSON where it is a cell, and the one of its own names."""
    one = {
        k.removeprefix(PREFIX): v for k, v in said.items() if k == "text" or k.startswith(PREFIX)
    }
    found = said.get("texts", [])
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError) as error:
            told = f'texts is {options.shown(found)}: give a list in JSON, as [{{"text": "Hello"}}]'
            raise ValueError(told) from error
    return [*found, one] if one and isinstance(found, list) else found


def _output(line: Line, verb: str) -> str:
    """The film's name, which is a name alone: no path leads out of the batch's folder."""
    given = line.said.get("input") or line.said.get(options.GIVEN.get(verb, "video")) or verb
    said = line.said.get("output", f"{line.number:04d}-{Path(str(given)).stem[:60]}-{verb}.mp4")
    sound = isinstance(said, str) and _NAME.fullmatch(said) and said == said.strip()
    if not sound or len(said.encode()) > MOST_NAME_BYTES:
        raise ValueError(f"output is {options.shown(said)}: give a file's name without a folder")
    if Path(said).suffix.lower() not in KINDS:
        raise ValueError(f"output is {options.shown(said)}: end it in {', '.join(KINDS)}")
    return said


def _sound(said: Mapping[str, Any], out: Path) -> bool:
    if "sound" not in said:
        return True
    found = said["sound"]
    found = _SPOKEN.get(found.strip().lower()) if isinstance(found, str) else found
    if not isinstance(found, bool):
        raise ValueError(f"sound is {options.shown(said['sound'])}: give true or false")
    if found and out.suffix.lower() not in video.SOUND_OF:
        raise ValueError(f"sound is asked for, and a {out.suffix} film holds none")
    return found


def _digest(verb: str, asked: verbs.Asked, drawn: tuple[Text, ...], sound: bool, font: Path) -> str:
    inputs = [*options.inputs_of(asked), *([font.resolve()] if drawn else [])]
    model = getattr(asked, "model", None)
    about = {
        "verb": verb,
        "asked": {name: value for name, value in vars(asked).items() if name != "out"},
        "texts": [asdict(text) for text in drawn],
        "sound": sound,
        "inputs": [(path, stamp(path)) for path in inputs],
        "model": None if model is None else weighed.digest(model),
    }
    return sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()


def _clashes(jobs: list[Job]) -> dict[int, str]:
    """The lines that write where another line writes, or over what any line reads."""
    read = {path.resolve() for job in jobs for path in options.inputs_of(job.asked)}
    first: dict[str, int] = {}
    wrong: dict[int, str] = {}
    for job in jobs:
        before = first.setdefault(job.out.name.casefold(), job.line)
        if before != job.line:
            wrong[job.line] = f"output is {job.out.name!r}, as in line {before}: give another name"
        elif job.out in read:
            wrong[job.line] = f"output is {job.out.name!r}, which is read: give another name"
    return wrong
