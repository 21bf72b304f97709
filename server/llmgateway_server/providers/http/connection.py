"""One connection to a server, which carries one exchange after the other."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

# A body goes out in pieces, between which the event loop serves others.
_PIECE = 256 * 1024


class Receiver(Protocol):
    """What takes the bytes of an exchange."""

    is_answered: bool

    def feed(self, data: bytes) -> None:
        """Takes bytes off the socket."""

    def lost(self, exc: Exception | None) -> None:
        """Takes the end of the connection: the server's close, or what broke it."""


class Connection(asyncio.Protocol):
    """A socket that belongs to at most one exchange at a time.

    Attributes:
        uses: How many exchanges it has served.
        idle_since: Loop time at which it was put by.
        is_paused: It is not read, since what came is not taken.
    """

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self.uses = 0
        self.idle_since = 0.0
        self._receiver: Receiver | None = None
        self.is_paused = False
        self._is_whole = True
        self._writable: asyncio.Future[None] | None = None

    @property
    def is_reusable(self) -> bool:
        """Whether it is open, and the last request was sent whole."""
        return self._is_whole and not self._transport.is_closing()

    def begin(self, receiver: Receiver) -> None:
        """Starts an exchange; what arrives from now on is the receiver's."""
        self._receiver = receiver
        self.uses += 1

    def end(self) -> None:
        """Ends the exchange; the connection can serve the next one."""
        self._receiver = None
        self.resume()

    async def send(self, head: bytes, body: bytes) -> None:
        """Writes a request, as fast as the server takes it.

        Stops where the server answers before it has everything.
        """
        transport = self._transport
        if len(body) <= _PIECE:
            transport.write(head + body)
            return
        self._is_whole = False
        transport.write(head)
        view = memoryview(body)
        for at in range(0, len(body), _PIECE):
            if self._receiver is None or self._receiver.is_answered or transport.is_closing():
                return
            transport.write(view[at : at + _PIECE])
            if self._writable is not None:
                await self._writable
        self._is_whole = True

    def pause(self) -> None:
        """Lets the server wait."""
        if not self.is_paused:
            self.is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads on."""
        if self.is_paused:
            self.is_paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Hangs up now, without TLS's or TCP's farewell."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._receiver is not None:
            self._receiver.feed(data)
            if self._writable is not None:
                # The server may have answered without waiting for the rest.
                self.resume_writing()
        else:
            # Nobody asked; servers say goodbye to idle connections with a 408.
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.resume_writing()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.lost(exc)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
