"""What decodes an upload may do little, and whatever becomes of it, the server has a sentence."""

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kineograph.serve.api.apart import FOUND, MOST_BYTES, apart, in_our_words
from kineograph.serve.api.limits import Limits

LIMITS = replace(Limits(), look_seconds=20.0, look_bytes=512 * 2**20)
DEAD = "not a video that can be read"


def said(path: Path, limits: Limits) -> bytes:
    return FOUND + b"as it is"


def crashed(path: Path, limits: Limits) -> bytes:
    os.kill(os.getpid(), signal.SIGSEGV)
    return b""


def left(path: Path, limits: Limits) -> bytes:
    os._exit(0)


def greedy(path: Path, limits: Limits) -> bytes:
    return bytes(2 * limits.look_bytes)


def writing(path: Path, limits: Limits) -> bytes:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    path.write_bytes(b"x")
    return b""


def talkative(path: Path, limits: Limits) -> bytes:
    return bytes(MOST_BYTES)


def broken(path: Path, limits: Limits) -> bytes:
    raise ValueError(f"{path} is\nbroken")


def slow(path: Path, limits: Limits) -> bytes:
    time.sleep(60)
    return b""


def spinning(path: Path, limits: Limits) -> bytes:
    while True:
        pass


def addresses(path: Path, limits: Limits) -> bytes:
    """Whether the loopback that the server listens on can be reached."""
    with socket.socket() as one:
        one.settimeout(5)
        return str(one.connect_ex(("127.0.0.1", int(path.name)))).encode()


def may_part_networks(path: Path, limits: Limits) -> bytes:
    return os.readlink("/proc/self/ns/net").encode()


def test_what_it_finds_comes_back_byte_for_byte(tmp_path: Path) -> None:
    assert apart(said, tmp_path, LIMITS) == FOUND + b"as it is"


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (crashed, DEAD),
        (left, DEAD),
        (talkative, DEAD),
        (greedy, "more memory than there is"),
        (writing, "(?i)file too large"),
        (broken, "The upload is broken."),
    ],
)
def test_its_end_is_a_sentence(
    does: Callable[[Path, Limits], bytes], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        apart(does, tmp_path / "file_1", LIMITS)
    assert str(tmp_path) not in str(refusal.value)
    assert apart(said, tmp_path, LIMITS)  # and the next is none the worse
    assert not sum(one.stat().st_size for one in tmp_path.iterdir())


@pytest.mark.parametrize("does", [slow, spinning])
def test_it_has_so_much_time(does: Callable[[Path, Limits], bytes], tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"takes more than 0.5 s"):
        apart(does, tmp_path, replace(LIMITS, look_seconds=0.5))
    assert time.monotonic() - began < 10


def test_it_reaches_no_network_where_the_kernel_parts_it(tmp_path: Path) -> None:
    here = os.readlink("/proc/self/ns/net").encode()
    if apart(may_part_networks, tmp_path, LIMITS) == here:
        pytest.skip("This machine allows no namespaces to this user.")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            pass
        assert int(apart(addresses, tmp_path / str(port), LIMITS)) != 0


def test_words_of_ours_have_no_place_of_this_machine() -> None:
    error = ValueError("/a/b/file_1 is cut short,\n  as file_1 often is")
    told = in_our_words(error, Path("/a/b/file_1"))
    assert told == "The upload is cut short, as the upload often is."
    assert in_our_words(ValueError("")) == "ValueError."
