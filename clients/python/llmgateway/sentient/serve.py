"""The bridge as a server: uvicorn with httptools and uvloop, and an end in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from types import FrameType

import httptools  # noqa: F401 - uvicorn would do with slower ones, in silence
import uvicorn
from starlette.applications import Starlette

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

_STUCK_MS = 60_000
"""A reader that takes nothing for so long loses its connection; its call has ended by then."""

_UNSENT = 64 * 1024
"""Bytes of one answer that the kernel takes ahead of its reader; it would take megabytes."""

_LAST_WORDS = 2.0
"""Seconds that readers have for the last events once the grace is over."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket's address is taken here, so that a taken port is known at once.

    Raises:
        OSError: it is taken, or not this machine's.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # asyncio leaves Nagle's algorithm on for sockets that do not name TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit these.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option, value in (("TCP_USER_TIMEOUT", _STUCK_MS), ("TCP_NOTSENT_LOWAT", _UNSENT)):
            if hasattr(socket, option):  # Linux has both
                listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        listener.bind(address)
        # uvicorn listens too, but only then does the kernel refuse a second server.
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


class BridgeServer(uvicorn.Server):
    """A uvicorn that lets answers end; `run` it with sockets that `listen` made.

    It serves until SIGTERM or SIGINT; a second one ends the grace.

    Args:
        app: What `create_app` made.
        grace: Seconds that answers under way have to end; then each ends with an error and `done`.
        access_log: Write a line a request to stderr: address, method, path and status.
        on_ready: Called once requests are answered.
    """

    def __init__(
        self,
        app: Starlette,
        *,
        grace: float = 20.0,
        access_log: bool = False,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        if access_log:
            logger = logging.getLogger("uvicorn.access")
            logger.addHandler(logging.StreamHandler())
            logger.setLevel(logging.INFO)
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=access_log,
                proxy_headers=False,
                server_header=False,
            )
        )
        self._app = app
        self._grace = grace
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to serve."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no more requests, and returns when all are answered."""
        timer = self._loop.call_later(self._grace, self._end_grace)
        await super().shutdown(sockets)
        timer.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        # Not uvicorn's own, which would raise it again at the end: no exit code 0 after SIGTERM.
        if self.should_exit and self.started:
            self._loop.call_soon_threadsafe(self._end_grace)
        self.should_exit = True

    def _end_grace(self) -> None:
        self._app.state.assist.end_answers()
        self._loop.call_later(_LAST_WORDS, self._hang_up)

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def raise_file_limit() -> None:
    """Every reader is an open file, and the usual soft limit is a thousand."""
    if resource is not None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        # macOS says unlimited and then refuses it.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
