"""One accepted connection, as bytes, with the moment its peer went away."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast


class PeerGone(ConnectionError):  # noqa: N818 - what happened, not what went wrong
    """The peer closed or reset the connection."""


class Changes:
    """Lets tasks wait until something they can observe holds."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Have every waiting task look again."""
        self._event.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once `holds()` is true."""
        while not holds():
            self._event.clear()
            await self._event.wait()


class Wire(asyncio.Protocol):
    """A connection that is read all the time, so that a close is seen when it happens.

    A protocol and not a stream pair, because a StreamReader stops reading when its buffer is full
    and would then see a close late.
    """

    def __init__(self, on_open: Callable[["Wire"], None], on_close: Callable[[], None]) -> None:
        self.closed_at: float | None = None
        """When the close was seen (loop time), by EOF, reset or our own close."""
        self.is_lost = False
        """The transport has let go of the socket."""
        self._loop = asyncio.get_running_loop()
        self._on_open = on_open
        self._on_close = on_close
        self._changes = Changes()
        self._unread = bytearray()
        self._is_writable = True
        self._transport: asyncio.Transport

    @property
    def is_gone(self) -> bool:
        """Whether nothing written now could arrive."""
        return self.closed_at is not None

    async def until_gone(self) -> None:
        """Return once the connection is closed, by whichever side."""
        await self._changes.until(lambda: self.is_gone)

    async def read_line(self) -> bytes:
        """The bytes before the next CRLF, which is consumed."""
        await self._until(lambda: b"\r\n" in self._unread)
        line, _, self._unread = self._unread.partition(b"\r\n")
        return bytes(line)

    async def read_exactly(self, count: int) -> bytes:
        """The next `count` bytes."""
        await self._until(lambda: len(self._unread) >= count)
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    async def write(self, data: bytes) -> None:
        """Send `data`; wait while the peer does not read."""
        if self.is_gone:
            raise PeerGone
        self._transport.write(data)
        # A script that never waits must not keep the loop from everybody else.
        await asyncio.sleep(0)
        await self._until(lambda: self._is_writable)

    def close(self) -> None:
        """Send what is buffered, then FIN."""
        self._transport.close()

    def half_close(self) -> None:
        """Send what is buffered, then FIN, and go on reading."""
        self._transport.write_eof()

    def reset(self) -> None:
        """Drop what is buffered and send RST."""
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def abort(self) -> None:
        """Let go of the socket at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._on_open(self)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._changes.notify()

    def eof_received(self) -> None:
        self._see_close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._see_close()

    def pause_writing(self) -> None:
        self._is_writable = False

    def resume_writing(self) -> None:
        self._is_writable = True
        self._changes.notify()

    def _see_close(self) -> None:
        if self.closed_at is None:
            self.closed_at = self._loop.time()
        self._changes.notify()
        self._on_close()

    async def _until(self, holds: Callable[[], bool]) -> None:
        await self._changes.until(lambda: self.is_gone or holds())
        if not holds():
            raise PeerGone
