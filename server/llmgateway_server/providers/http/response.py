"""A response as it comes in: parsed, buffered, and given back to the pool or hung up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final, Self

import httptools
import httpx

from llmgateway_server.providers.http.connection import Connection

# Above it the socket is no longer read; on top comes at most the one read that crossed the mark.
_READ_BUFFER: Final = 64 * 1024
_MAX_FIELD: Final = 8 * 1024
_MAX_FIELDS: Final = 128
_MAX_HEAD: Final = 64 * 1024
_DRAIN_SECONDS: Final = 1.0
_DRAIN_BYTES: Final = 64 * 1024

_HUNG_UP: Final = "the server hung up without a whole response"
_NOT_HTTP: Final = "the response is not HTTP or its headers are too large"
_MALFORMED: Final = "the response's body is malformed"


class StaleConnectionError(httpx.ReadError):
    """A kept-alive connection turned out to be dead before any response arrived on it.

    Ordinary bad luck and no sign of an unwell server: it closed an idle connection while the
    request was on its way (RFC 9112 section 9.3.1).
    """


class ResponseBody(httpx.AsyncByteStream):
    """A response; iterate it for all the bytes of its body that are buffered at each step.

    An iterator and not a generator: an abandoned generator is finalised in a foreign task. A
    cancelled read loses no bytes. While nobody reads, at most about 64 KiB pile up here before
    the server is no longer read.

    Exactly one of these must end it: reading to the end, `close`, `finish`.

    Attributes:
        is_answered: The head is there; `status` and `headers` are set.
        status: The HTTP status.
        headers: Names in lower case, and values.
    """

    def __init__(
        self, connection: Connection, method: str, on_end: Callable[[ResponseBody], None]
    ) -> None:
        """Takes over a connection.

        Args:
            connection: To which the request is about to be written.
            method: The request's.
            on_end: Called once, when the exchange is over; `is_reusable` tells how.
        """
        self.is_answered = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.connection = connection
        self._is_head_only = method == "HEAD"
        self._on_end: Callable[[ResponseBody], None] | None = on_end
        self._parser = httptools.HttpResponseParser(self)
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._received = 0  # bytes, until the head is there
        self._pieces: list[bytes] = []
        self._size = 0
        self._has_length = False
        self._is_complete = False
        self._keeps_alive = False
        self._is_read = False
        self._failure: httpx.TransportError | None = None
        self._drain: asyncio.TimerHandle | None = None
        connection.begin(self)

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can carry another exchange."""
        return self._keeps_alive and self.connection.is_reusable

    async def head(self) -> None:
        """Returns when the head has arrived.

        Raises:
            StaleConnectionError: The connection had been in use before and is dead.
            httpx.RemoteProtocolError: What came is no HTTP.
            httpx.ReadError: The connection broke, or the server hung up.
        """
        while not self.is_answered:
            if self._failure is not None:
                raise self._failure
            await self._arrival()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The bytes that have arrived, waiting for some if there are none.

        Raises:
            httpx.RemoteProtocolError: The body is malformed.
            httpx.ReadError: The body was cut short, the connection broke, or it was closed by
                this side meanwhile.
            httpx.StreamClosed: The body was closed before.
        """
        pieces = self._pieces
        while not pieces:
            if self._failure is not None:
                self.hang_up()
                raise self._failure
            if self._is_complete and self._on_end is not None:
                self._is_read = True
                self.hang_up()
            if self._is_read:
                raise StopAsyncIteration
            if self._on_end is None:
                raise httpx.StreamClosed
            await self._arrival()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self.connection.is_paused:
            self.connection.resume()
        return data

    def close(self) -> None:
        """Lets go of the response, now; may be called again, and does nothing after `finish`.

        The connection is dropped at once, without TLS's or TCP's farewell, unless the whole body
        has arrived; then it is kept for the next request.
        """
        if self._drain is None:
            self.hang_up()

    def finish(self) -> None:
        """Lets go of a response whose meaning is complete but whose body may not have ended.

        The rest, usually nothing but the end mark, is dropped as it comes, so that the connection
        can be used again; it is closed if that takes more than 1 s or 64 KiB.
        """
        if self._on_end is None or self._is_complete:
            self.hang_up()
        elif self._drain is None:
            self._drain = self._loop.call_later(_DRAIN_SECONDS, self.hang_up)
            self._pieces.clear()
            self._size = 0
            self.connection.resume()

    def hang_up(self) -> None:
        """What `close` does, also to a response that `finish` took over."""
        on_end, self._on_end = self._on_end, None
        if on_end is None:
            return
        if self._drain is not None:
            self._drain.cancel()
        if self._waiter is not None and not self._waiter.done():
            self._fail(httpx.ReadError("the response was closed while it was read"))
            self._wake()
        self._pieces.clear()
        self.connection.end()
        # It refers to this object, and so would keep it until the next garbage collection.
        del self._parser
        if not self.is_reusable:
            self.connection.abort()
        on_end(self)

    async def aclose(self) -> None:
        """Closes; see `close`."""
        self.close()

    def feed(self, data: bytes) -> None:
        """Takes bytes off the socket."""
        if self._is_complete:
            # Nobody asked for more.
            self._keeps_alive = False
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            words = _MALFORMED if self.is_answered else _NOT_HTTP
            self._fail(httpx.RemoteProtocolError(words))
        if not self.is_answered:
            self._received += len(data)
            if self._received > _MAX_HEAD:
                self._fail(httpx.RemoteProtocolError(_NOT_HTTP))
        if self._drain is not None:
            self._drop()
            return
        if self._size > _READ_BUFFER:
            self.connection.pause()
        self._wake()

    def lost(self, exc: Exception | None) -> None:
        """Takes the end of the connection: the server's close, or what broke it."""
        if exc is None and self.is_answered and not self._has_length:
            self._is_complete = True
        elif self.connection.uses > 1 and not self._received and not self.is_answered:
            self._fail(StaleConnectionError("the server closed a kept-alive connection"))
        elif isinstance(exc, OSError):
            # Whether the kernel reports a reset to our read or to our write is chance, and the
            # server may have seen the request either way: one class for both.
            detail = f": {os.strerror(exc.errno)}" if exc.errno else ""
            self._fail(httpx.ReadError(f"the connection to the server broke{detail}"))
        else:
            self._fail(httpx.ReadError(_HUNG_UP))
        if self._drain is not None:
            self.hang_up()
        self._wake()

    # What follows is called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header field, or a trailer."""
        if len(name) + len(value) > _MAX_FIELD or len(self.headers) == _MAX_FIELDS:
            self._fail(httpx.RemoteProtocolError(_NOT_HTTP))
        elif not self.is_answered:
            name = name.lower()
            self.headers.append((name, value))
            if name in (b"content-length", b"transfer-encoding"):
                self._has_length = True

    def on_headers_complete(self) -> None:
        """Takes the end of the head."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            # Interim responses, RFC 9110 section 15.2: the real one follows.
            self.headers.clear()
            self._has_length = False
        elif not self.is_answered and self._failure is None:
            self.status = status
            self.is_answered = True
            # The parser does not know what was asked, and would wait for a body.
            self._is_complete = self._is_head_only

    def on_body(self, data: bytes) -> None:
        """Takes a piece of the body."""
        if not self._is_complete:
            self._pieces.append(data)
            self._size += len(data)

    def on_message_complete(self) -> None:
        """Takes the end of the response."""
        if self.is_answered and not self._is_complete:
            self._is_complete = True
            self._keeps_alive = self._parser.should_keep_alive()

    def on_message_begin(self) -> None:
        """Takes the beginning of a response, or of one too many."""
        self._keeps_alive = False

    # No coroutine: it is one more frame to resume for every read.
    def _arrival(self) -> asyncio.Future[None]:
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, failure: httpx.TransportError) -> None:
        # What comes after a whole response is not a part of it.
        self._keeps_alive = False
        if self._failure is None and not self._is_complete:
            self._failure = failure

    def _drop(self) -> None:
        self._pieces.clear()
        if self._is_complete or self._failure is not None or self._size > _DRAIN_BYTES:
            self.hang_up()
