"""What is served is listened for on sockets made here, and small answers go out at once."""

import socket


def listening(host: str, port: int, backlog: int | None = None) -> socket.socket:
    """What listens there; port 0 is any that is free. OSError where that cannot be."""
    made = socket.create_server((host, port), backlog=backlog)
    # Else the end of a small answer waits 40 ms for its beginning to be acknowledged: asyncio asks
    # for no delay only on sockets that name their protocol, and these do not. Connections inherit.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
