"""Addresses nobody answers at."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def closed_port() -> Iterator[int]:
    """A loopback port that refuses connections; held, so that nobody else gets it meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        yield port


@contextmanager
def black_hole() -> Iterator[int]:
    """A loopback port where connecting never ends: neither accepted nor refused.

    The kernel drops every SYN while the queue of connections not yet accepted is full.
    """
    with ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(4):
            queued = held.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(("127.0.0.1", port))
        yield port
