"""A response as it comes in: its connection, its body, and what its failures mean.

aiohttp's exceptions end here: they carry URLs and headers, and what a failed request may have done
(nothing, or cost money) must be told by the exception's class alone.
"""

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self, cast

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

if TYPE_CHECKING:
    from aiohttp.connector import Connection

_DRAIN_SECONDS: Final = 1.0
_DRAIN_BYTES: Final = 64 * 1024

# Whether the kernel reports a reset to our read or to our write is chance, and the server may have
# seen the request either way: one class for both.
_BROKEN: Final = "the connection to the server broke"
_HUNG_UP: Final = "the server hung up without a whole response"
_BAD_URL: Final = "the URL has to start with http or https and name a host"

# The first line that fits holds, so a special case stands before the general one.
_TRANSLATIONS: Final[tuple[tuple[type[Exception], type[httpx.TransportError], str], ...]] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout, "no connection to the server in time"),
    (aiohttp.ClientSSLError, httpx.ConnectError, "TLS with the server failed"),
    (aiohttp.ClientConnectorDNSError, httpx.ConnectError, "cannot resolve the server's name"),
    (aiohttp.ClientConnectorError, httpx.ConnectError, "cannot connect to the server"),
    (aiohttp.ServerDisconnectedError, httpx.ReadError, _HUNG_UP),
    (
        aiohttp.ClientResponseError,
        httpx.RemoteProtocolError,
        "the response is not HTTP or its headers are too large",
    ),
    (
        aiohttp.ClientPayloadError,
        httpx.RemoteProtocolError,
        "the response's body is malformed",
    ),
    (aiohttp.NonHttpUrlClientError, httpx.UnsupportedProtocol, _BAD_URL),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol, _BAD_URL),
    (OSError, httpx.ReadError, _BROKEN),
    (ValueError, httpx.LocalProtocolError, "the request's method, URL or headers are not valid"),
)


class StaleConnectionError(httpx.ReadError):
    """A kept-alive connection turned out to be dead before any response arrived on it.

    Ordinary bad luck and no sign of an unwell server: it closed an idle connection while the
    request was on its way (RFC 9112 section 9.3.1).
    """


class Carrier(ResponseHandler):
    """One connection, with what aiohttp does not tell about it."""

    requests = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes off the socket."""
        super().data_received(data)
        # A malformed chunk behind the head closes the connection, but whoever reads the body is
        # not told and would wait for ever.
        if self.is_malformed and self._payload is not None:
            self._payload.set_exception(aiohttp.ClientPayloadError("malformed"))

    @property
    def is_broken(self) -> bool:
        """Whether the connection ended by a reset or the like, and not by the server's close."""
        return isinstance(self.exception(), OSError)

    @property
    def is_malformed(self) -> bool:
        """Whether what came over the connection was no HTTP."""
        return isinstance(self.exception(), HttpProcessingError)


class UpstreamResponse(aiohttp.ClientResponse):
    """aiohttp's response, made to hang up at once and to know its connection's past."""

    carrier: Carrier

    async def start(self, connection: "Connection") -> aiohttp.ClientResponse:
        """Receive the response's head.

        Raises:
            StaleConnectionError: The connection had been in use before and is dead.
        """
        self.carrier = cast("Carrier", connection.protocol)
        self.carrier.requests += 1
        is_reused = self.carrier.requests > 1
        try:
            return await super().start(connection)
        except aiohttp.ServerDisconnectedError as exc:
            # Its message holds the head of the response, if part of one arrived.
            if not is_reused or not isinstance(exc.message, str):
                raise
        except aiohttp.ClientOSError:
            if not is_reused:
                raise
        raise StaleConnectionError("the server closed a kept-alive connection")

    def close(self) -> None:
        """Hang up, unless the whole response has arrived."""
        # aiohttp would first flush what is unsent and say farewell in TLS, and wait for both.
        if self.connection is not None and self.connection.transport is not None:
            self.connection.transport.abort()
        super().close()


class ResponseBody(httpx.AsyncByteStream):
    """A response's body: iterate it for all the bytes buffered at each step.

    An iterator and not a generator: an abandoned generator is finalised in a foreign task. A
    cancelled read loses no bytes. While nobody reads, at most about 64 KiB pile up here before
    the server is no longer read.

    Exactly one of these must end it: reading to the end, `close`, `finish`.
    """

    def __init__(
        self,
        upstream: UpstreamResponse,
        on_close: Callable[["ResponseBody"], None],
        drains: set[asyncio.Task[None]],
    ) -> None:
        """Take over a response whose head has arrived.

        Args:
            upstream: The response.
            on_close: Called once, when the connection is free or closed.
            drains: Where the task that `finish` may start is kept as long as it runs.
        """
        self._upstream = upstream
        self._on_close: Callable[[ResponseBody], None] | None = on_close
        self._drains = drains
        self._ends_with_close = not (
            "Content-Length" in upstream.headers or "Transfer-Encoding" in upstream.headers
        )
        self._failure: httpx.TransportError | None = None
        self._is_ended = False
        self._is_draining = False

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
        if self._failure is not None:
            raise self._failure
        if self._is_ended:
            raise StopAsyncIteration
        if self._on_close is None:
            raise httpx.StreamClosed
        try:
            data = await self._upstream.content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as exc:
            data = self._fail(exc)
        if data:
            return data
        # Where the close is the end, aiohttp takes a reset for one.
        if self._failure is None and self._ends_with_close and self._upstream.carrier.is_broken:
            self._failure = httpx.ReadError(_BROKEN)
        self._is_ended = True
        self.close()
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    def close(self) -> None:
        """Let go of the response, now; may be called again, and does nothing after `finish`.

        The connection is dropped at once, without TLS's or TCP's farewell, unless the whole body
        has arrived; then it is back in the pool already.
        """
        if not self._is_draining:
            self.hang_up()

    def finish(self) -> None:
        """Let go of a response whose meaning is complete but whose body may not have ended.

        The rest, usually nothing but the end mark, is read and dropped in the background, so that
        the connection can be used again; it is closed if that takes more than 1 s or 64 KiB.
        """
        if self._on_close is None or self._upstream.content.is_eof():
            self.close()
        elif not self._is_draining:
            self._is_draining = True
            task = asyncio.get_running_loop().create_task(self._drain())
            self._drains.add(task)
            task.add_done_callback(self._drains.discard)

    def hang_up(self) -> None:
        """What `close` does, also to a response that `finish` took over."""
        if self._on_close is None:
            return
        on_close, self._on_close = self._on_close, None
        self._upstream.close()
        on_close(self)

    async def aclose(self) -> None:
        """Close; see `close`."""
        self.close()

    async def _drain(self) -> None:
        content = self._upstream.content
        left = _DRAIN_BYTES
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while left > 0 and not content.is_eof():
                    left -= len(await content.readany())
        except (aiohttp.ClientError, OSError, RuntimeError):
            pass
        finally:
            self.hang_up()

    def _fail(self, exc: Exception) -> bytes:
        """Note a failure; return what had arrived before it, which aiohttp would drop."""
        if self._on_close is None:
            self._failure = httpx.ReadError("the response was closed while it was read")
            return b""
        carrier = self._upstream.carrier
        if carrier.is_broken:
            self._failure = httpx.ReadError(_BROKEN)
        elif isinstance(exc, aiohttp.ClientPayloadError) and not carrier.is_malformed:
            self._failure = httpx.ReadError(_HUNG_UP)
        else:
            self._failure = translated(exc)
        content = self._upstream.content
        data = b"".join(content._buffer)
        self.hang_up()
        return data


def translated(exc: Exception) -> httpx.TransportError:
    """What a failure of aiohttp is to us; its words hold no URL, no header and no body."""
    ours, words = next(
        ((ours, words) for theirs, ours, words in _TRANSLATIONS if isinstance(exc, theirs)),
        (httpx.ReadError, _BROKEN),
    )
    detail = _detail(exc)
    return ours(f"{words}: {detail}" if detail else words)


def _detail(exc: Exception) -> str | None:
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return getattr(exc.certificate_error, "verify_message", None)
    if isinstance(exc, aiohttp.ClientConnectorError):
        return getattr(exc.os_error, "reason", None) or exc.strerror
    # Not its own words, in which aiohttp names the URL.
    return os.strerror(exc.errno) if isinstance(exc, OSError) and exc.errno else None
