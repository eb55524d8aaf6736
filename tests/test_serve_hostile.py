"""A mutated upload is refused with a sentence or is a film that can be used; the server lives on.

KINEO_MUTANTS says how many there are; the full measure is 1,000.
"""

import os
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import httpx
import pytest

from films import ffmpeg, simple
from serve_support import Server, shared

MUTANTS = int(os.environ.get("KINEO_MUTANTS", "60"))
WHOLE = ("film.mp4", "film.mkv", "film.webm", "film.gif", "picture.png", "film.y4m")


@pytest.fixture(scope="module")
def server() -> Server:
    return shared()


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Sound files of many kinds."""
    folder = tmp_path_factory.mktemp("wholes")
    first = simple(folder / WHOLE[0], num_frames=6, sound_seconds=0.2)
    for name in WHOLE[1:]:
        more = ["-frames:v", "1"] if name.endswith("png") else []
        ffmpeg(["-i", str(first), *more, str(folder / name)])
    return [(folder / name).read_bytes() for name in WHOLE]


def flipped(data: bytes, luck: random.Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(luck.choice((1, 4, 64))):
        mutant[luck.randrange(len(mutant))] ^= 1 << luck.randrange(8)
    return bytes(mutant)


def flipped_ahead(data: bytes, luck: random.Random) -> bytes:
    """In the head, where sizes and counts are."""
    head = min(len(data), 400)
    return flipped(data[:head], luck) + data[head:]


def cut(data: bytes, luck: random.Random) -> bytes:
    return data[: luck.randrange(1, len(data))]


def without_middle(data: bytes, luck: random.Random) -> bytes:
    start, end = sorted(luck.sample(range(len(data)), 2))
    return data[:start] + data[end:]


def huge_numbers(data: bytes, luck: random.Random) -> bytes:
    at = luck.randrange(len(data) - 4)
    number = luck.choice((b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4))
    return data[:at] + number + data[at + 4 :]


def nested(data: bytes, luck: random.Random) -> bytes:
    """Boxes in boxes."""
    for _ in range(luck.choice((2, 50, 2000))):
        data = struct.pack(">I4s", min(len(data) + 8, 2**32 - 1), b"moov") + data
    return data


def noise(data: bytes, luck: random.Random) -> bytes:
    return luck.randbytes(len(data))


def png(width: int, height: int, num_bytes: int) -> bytes:
    """A picture that says it is so large, and holds so many zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" * num_bytes, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flipped,
    flipped_ahead,
    cut,
    without_middle,
    huge_numbers,
    nested,
    noise,
)
WRONG = {
    "nothing": b"",
    "a byte": b"x",
    "text": b"This is no film.\n" * 100,
    "a playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n",
    "a list": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "a session": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "a page": b"<html><img src='http://127.0.0.1:9/'></html>",
    "a program": b"\x7fELF" + bytes(200),
    "an archive": b"PK\x03\x04" + bytes(200),
    "a dash": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    "65,535 px": png(65_535, 65_535, 10_000_000),
    "65,535 px wide": png(65_535, 2, 1000),
    "a bomb": png(16_000, 16_000, 50_000_000),
    "a pixel": png(1, 1, 4),
    "no pixel": png(0, 0, 0),
}


def mutants(wholes: list[bytes], count: int) -> Iterator[tuple[str, bytes]]:
    for number in range(count):
        luck = random.Random(number)
        change = CHANGES[number % len(CHANGES)]
        kind = luck.randrange(len(wholes))
        yield f"{change.__name__} {WHOLE[kind]} {number}", change(wholes[kind], luck)


def refused_or_sound(name: str, answer: httpx.Response) -> bool:
    """Whether it was taken; else it must say why in a sentence."""
    if answer.status_code == 200:
        return True
    assert answer.status_code in (400, 413, 415), f"{name}: {answer.status_code} {answer.text}"
    message = answer.json()["error"]["message"]
    assert message.endswith("."), name
    assert 10 < len(message) < 600, name
    assert "\n" not in message, name
    for word in ("/tmp", "store", "file_"):  # nothing of where it is kept
        assert word not in message, f"{name}: {message}"
    return False


def uploaded(server: Server, data: bytes) -> httpx.Response:
    return server.ask("POST", "/v1/files", files={"file": ("x", data)})


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_film_is_refused_with_a_sentence(server: Server, name: str) -> None:
    assert not refused_or_sound(name, uploaded(server, WRONG[name]))


def test_mutants_are_refused_or_sound_and_nothing_dies(server: Server, wholes: list[bytes]) -> None:
    for whole, name in zip(wholes, WHOLE, strict=True):
        assert refused_or_sound(name, uploaded(server, whole)), name
    taken = [
        (name, answer.json()["id"])
        for name, data in mutants(wholes, MUTANTS)
        if refused_or_sound(name, answer := uploaded(server, data))
    ]
    print(f"\n{MUTANTS} mutants: {MUTANTS - len(taken)} refused, {len(taken)} taken as films")
    assert len(taken) < MUTANTS
    assert server.process.poll() is None
    fields = {"task": "enhance", "deflicker": "1"}
    for name, file in taken[: 4 + MUTANTS // 50]:  # what was taken is made, or told why it is not
        given = {"input_reference[file_id]": file}
        made = server.ask("POST", "/v1/videos", data={**given, **fields}).json()
        found = server.made(made["id"])
        assert found["status"] == "completed" or found["error"]["code"] == "bad_input", name
        assert not found["error"] or found["error"]["message"].endswith("."), name
