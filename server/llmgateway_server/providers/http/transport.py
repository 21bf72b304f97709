"""httpx's transport interface over pooled connections."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections import deque

import httpx

from llmgateway_server.providers.http.connecting import Connector, Origin
from llmgateway_server.providers.http.connection import Connection
from llmgateway_server.providers.http.request import head_of, origin_of
from llmgateway_server.providers.http.response import ResponseBody


class HttpTransport(httpx.AsyncBaseTransport):
    """Sends httpx requests over pooled HTTP/1.1 connections.

    Call it directly with a prebuilt request, or give it to an `httpx.AsyncClient`. Never follows
    redirects, never retries, takes nothing from the environment (proxies, netrc, cookies), asks
    for an unencoded body and refuses any other. Belongs to the event loop of its first request.

    Of `request.extensions["timeout"]` (httpx's own form, seconds) it keeps `pool` and `connect`,
    the latter over name resolution, TCP and TLS together. `read` and `write` are the caller's:
    timers on single reads catch neither a drip nor a stream of pings.

    `request.extensions["fresh"]` asks for a connection that nobody has used.

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
        self._connector = Connector(ssl_context or _verifying_context())
        self._idle_seconds = idle
        # Of each origin, those used last at the right.
        self._idle: dict[Origin, deque[Connection]] = {}
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._bodies: set[ResponseBody] = set()
        self._is_closed = False

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
        if self._is_closed:
            raise RuntimeError("the HTTP transport is closed")
        content = await _content(request)
        origin = origin_of(request.url)
        head = head_of(request, len(content))
        timeout = request.extensions.get("timeout") or {}
        await self._take_slot(timeout.get("pool"))
        try:
            connection = None if request.extensions.get("fresh") else self._idle_one(origin)
            if connection is None:
                connection = await self._new_one(origin, timeout.get("connect"))
        except BaseException:
            self._slots.release()
            raise
        body = ResponseBody(connection, request.method, functools.partial(self._ended, origin))
        self._bodies.add(body)
        try:
            await connection.send(head, content)
            await body.head()
        except BaseException:
            body.hang_up()
            raise
        if any(name == b"content-encoding" and _is_encoded(v) for name, v in body.headers):
            body.hang_up()
            raise httpx.DecodingError("the response's body is encoded; identity was asked for")
        return httpx.Response(body.status, headers=body.headers, stream=body, request=request)

    async def aclose(self) -> None:
        """Close every connection and break off what is under way; may be called again."""
        self._is_closed = True
        for body in list(self._bodies):
            body.hang_up()
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        self._connector.close()
        # What was aborted is reported, and its socket closed, in the next turn of the loop.
        await asyncio.sleep(0)

    async def _take_slot(self, seconds: float | None) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("every connection to the provider is in use") from None

    def _idle_one(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_reusable:
                return connection
        return None

    async def _new_one(self, origin: Origin, seconds: float | None) -> Connection:
        connection = await self._connector.connect(origin, seconds)
        if self._is_closed:
            connection.abort()
            raise httpx.ConnectError("the client was closed meanwhile")
        return connection

    def _ended(self, origin: Origin, body: ResponseBody) -> None:
        self._bodies.remove(body)
        self._slots.release()
        if body.is_reusable and not self._is_closed:
            loop = asyncio.get_running_loop()
            body.connection.idle_since = loop.time()
            self._idle.setdefault(origin, deque()).append(body.connection)
            if self._sweep_timer is None:
                self._sweep_timer = loop.call_later(self._idle_seconds, self._sweep)

    def _sweep(self) -> None:
        """Closes what was not used for too long; runs as long as anything is idle."""
        loop = asyncio.get_running_loop()
        due = loop.time() - self._idle_seconds
        for origin, idle in list(self._idle.items()):
            while idle and (idle[0].idle_since <= due or not idle[0].is_reusable):
                idle.popleft().abort()
            if not idle:
                del self._idle[origin]
        oldest = min((idle[0].idle_since for idle in self._idle.values()), default=None)
        self._sweep_timer = (
            loop.call_at(oldest + self._idle_seconds, self._sweep) if oldest is not None else None
        )


async def _content(request: httpx.Request) -> bytes:
    if isinstance(request.stream, httpx.ByteStream):
        return b"".join(request.stream)
    return await request.aread()


def _is_encoded(value: bytes) -> bool:
    return value.strip().lower() not in (b"", b"identity")


@functools.cache
def _verifying_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
