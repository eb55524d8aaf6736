"""What is served answers at once: nothing small waits in a connection for more."""

import socket
from collections.abc import Callable
from functools import partial

import pytest

from kineograph.cli import pages, serving


@pytest.mark.parametrize(
    "listened", [partial(pages.loopback, 0), partial(serving.listening_at, "127.0.0.1", 0)]
)
def test_a_connection_sends_small_answers_at_once(listened: Callable[[], socket.socket]) -> None:
    with listened() as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_only_this_machine_reaches_a_page() -> None:
    with pages.loopback(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
