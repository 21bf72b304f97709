"""The one outbound HTTP client: httpx's types and transport interface over aiohttp's connections.

httpx's own pool stays out: it dies for good under cancelled requests, and a gateway cancels all
day.

Sockets have TCP_NODELAY, which aiohttp sets on every connection.
"""

import asyncio
import functools
import io
import ssl
from typing import TYPE_CHECKING, Final, cast

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from llmgateway_server.providers.http_response import (
    Carrier,
    ResponseBody,
    UpstreamResponse,
    translated,
)

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

# aiohttp stops reading the socket above twice this much unread body: 64 KiB. On top of that comes
# at most the one socket read that crossed the mark.
_READ_BUFFER: Final = 32 * 1024
_MAX_HEADER_BYTES: Final = 8 * 1024
_MAX_HEADERS: Final = 128
_MAX_PLAIN_BODY: Final = 1024 * 1024
_CLOSE_SECONDS: Final = 1.0
# Said by us, or not at all: aiohttp would add its own.
_OWN_HEADERS: Final = ("Accept", "Content-Type", "User-Agent")
# These follow from the body and from our rules, not from the request's headers.
_DROPPED_HEADERS: Final = frozenset({b"accept-encoding", b"content-length", b"transfer-encoding"})


class HttpTransport(httpx.AsyncBaseTransport):
    """Sends httpx requests over pooled HTTP/1.1 connections.

    Call it directly with a prebuilt request, or give it to an `httpx.AsyncClient`. Never follows
    redirects, never retries, takes nothing from the environment (proxies, netrc, cookies), asks
    for an unencoded body and refuses any other. Belongs to the event loop of its first request.

    Of `request.extensions["timeout"]` (httpx's own form, seconds) it keeps `pool` and `connect`,
    the latter over name resolution, TCP and TLS together. `read` and `write` are the caller's:
    timers on single reads catch neither a drip nor a stream of pings.

    A cancelled request or a cancelled read leaves no task, connection or slot behind.
    """

    def __init__(
        self,
        *,
        connections: int = 200,
        idle: float = 60.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare a client; nothing is opened before the first request.

        Args:
            connections: Most requests under way at the same time.
            idle: Seconds after which an unused connection is closed.
            ssl_context: How to verify servers; by default against the system's authorities.
        """
        self._slots = asyncio.Semaphore(connections)
        self._idle = idle
        self._ssl_context = ssl_context or _verifying_context()
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._bodies: set[ResponseBody] = set()
        self._drains: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return once the response's head has arrived.

        Returns:
            The response, whose `stream` is a `ResponseBody` that has to be closed.

        Raises:
            httpx.PoolTimeout: No slot within `pool` seconds; nothing was sent.
            httpx.ConnectTimeout: No connection within `connect` seconds; nothing was sent.
            httpx.ConnectError: No address, no connection, or no trusted TLS; nothing was sent.
            StaleConnectionError: A kept-alive connection was dead before it brought a response.
            httpx.RemoteProtocolError: The server sent something that is not HTTP or has oversized
                headers.
            httpx.ReadError: The connection broke, or the server hung up without a response.
            httpx.DecodingError: The body is encoded although that was not asked for.
            httpx.LocalProtocolError, httpx.UnsupportedProtocol: The request cannot be sent.
            RuntimeError: The transport is closed.
        """
        session = self._open_session()
        timeout = request.extensions.get("timeout") or {}
        await self._take_slot(timeout.get("pool"))
        try:
            upstream = await _send(session, request, timeout.get("connect"))
        except BaseException:
            self._slots.release()
            raise
        body = ResponseBody(upstream, self._release, self._drains)
        self._bodies.add(body)
        encodings = {value.lower() for value in upstream.headers.getall("Content-Encoding", ())}
        if encodings - {"", "identity"}:
            body.close()
            raise httpx.DecodingError("the response's body is encoded; identity was asked for")
        return httpx.Response(
            upstream.status, headers=list(upstream.raw_headers), stream=body, request=request
        )

    async def aclose(self) -> None:
        """Close every connection and break off what is under way; may be called again."""
        self._is_closed = True
        for body in list(self._bodies):
            body.hang_up()
        await asyncio.gather(*self._drains)
        if self._session is not None:
            try:
                # A server that reads no more could hold up the farewell for ever.
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._session.close()
            except TimeoutError:
                pass

    def _open_session(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise RuntimeError("the HTTP transport is closed")
        if self._session is None:
            connector = aiohttp.TCPConnector(
                # No limit here: our slots are the limit, released at once and timed by `pool`.
                limit=0,
                keepalive_timeout=self._idle,
                ssl=self._ssl_context,
                resolver=aiohttp.ThreadedResolver(),
            )
            # Not public, and neither is the switch below; tests notice if either stops to work.
            connector._factory = cast(
                "functools.partial[ResponseHandler]",
                functools.partial(Carrier, asyncio.get_running_loop()),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                response_class=UpstreamResponse,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_OWN_HEADERS,
                raise_for_status=False,
                auto_decompress=False,
                trust_env=False,
                read_bufsize=_READ_BUFFER,
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
                max_headers=_MAX_HEADERS,
            )
            # aiohttp would repeat idempotent requests by itself; retries are the gateway's.
            self._session._retry_connection = False
        return self._session

    async def _take_slot(self, seconds: float | None) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("every connection to the provider is in use") from None

    def _release(self, body: ResponseBody) -> None:
        self._bodies.remove(body)
        self._slots.release()


async def _send(
    session: aiohttp.ClientSession, request: httpx.Request, connect: float | None
) -> UpstreamResponse:
    try:
        content = request.content
    except httpx.RequestNotRead:
        content = await request.aread()
    try:
        response = await session.request(
            request.method,
            _url(str(request.url)),
            headers=_headers(request),
            data=_data(content),
            allow_redirects=False,
            timeout=_timeout(connect),
        )
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        failure = translated(exc)
    else:
        return cast("UpstreamResponse", response)
    # Raised out here, so that no aiohttp exception hangs on it as its context.
    raise failure


def _data(content: bytes) -> bytes | io.BytesIO | None:
    # As a file, a large body is written in pieces, between which the event loop serves others.
    return io.BytesIO(content) if len(content) > _MAX_PLAIN_BODY else content or None


def _headers(request: httpx.Request) -> CIMultiDict[str]:
    headers = CIMultiDict(
        (name.decode("ascii"), value.decode())
        for name, value in request.headers.raw
        if name.lower() not in _DROPPED_HEADERS
    )
    headers["Accept-Encoding"] = "identity"
    return headers


@functools.lru_cache(maxsize=256)
def _url(url: str) -> URL:
    return URL(url, encoded=True)


@functools.lru_cache(maxsize=64)
def _timeout(connect: float | None) -> aiohttp.ClientTimeout:
    # aiohttp takes 0 for "for ever", and rounds what is above the threshold up to whole seconds.
    return aiohttp.ClientTimeout(
        connect=None if connect is None else max(connect, 0.001), ceil_threshold=float("inf")
    )


@functools.cache
def _verifying_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
