"""The rows whose fault is on the way to an upstream: ports, names, TLS."""

import asyncio
import datetime as dt
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

import trustme

from support.fault_table.expected import ERROR, LATE, TIMEOUT, UNREACHED
from support.fault_table.row import MakePlace, Place, Row
from support.openai import stream_text
from support.ports import black_hole, closed_port
from support.upstream import Upstream

_SOON = {"connect": "300ms"}
_LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)

Resolve = Callable[[threading.Event], Sequence[Any]]


@asynccontextmanager
async def _refusing() -> AsyncIterator[Place]:
    with closed_port() as port:
        yield Place(f"http://127.0.0.1:{port}/v1")


@asynccontextmanager
async def _swallowing() -> AsyncIterator[Place]:
    with black_hole() as port:
        yield Place(f"http://127.0.0.1:{port}/v1")


@asynccontextmanager
async def _nowhere() -> AsyncIterator[Place]:
    yield Place("http://nowhere.invalid/v1")


def _named(resolve: Resolve) -> MakePlace:
    """A place by name, with a resolver of its own."""

    @asynccontextmanager
    async def place() -> AsyncIterator[Place]:
        others = socket.getaddrinfo
        over = threading.Event()

        def getaddrinfo(host: Any, *args: Any, **options: Any) -> Sequence[Any]:
            return resolve(over) if host == "stub.example" else others(host, *args, **options)

        with patch.object(socket, "getaddrinfo", getaddrinfo):
            yield Place("http://stub.example/v1")
            over.set()

    return place


def _unknown(_: threading.Event) -> Sequence[Any]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _unavailable(_: threading.Event) -> Sequence[Any]:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def _empty(_: threading.Event) -> Sequence[Any]:
    return []


def _never(over: threading.Event) -> Sequence[Any]:
    over.wait(10)
    return []


def _by_tls(host: str, *, trusted: bool = True, expired: bool = False) -> MakePlace:
    """A place with a certificate; its authority is among the system's, or is not."""

    @asynccontextmanager
    async def place() -> AsyncIterator[Place]:
        authority = trustme.CA()
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        not_after = _LONG_AGO if expired else None
        authority.issue_cert(
            host, not_before=_LONG_AGO - dt.timedelta(days=9), not_after=not_after
        ).configure_cert(serving)
        with ExitStack() as stack:
            if trusted:
                stack.enter_context(_trusting(authority))
            async with Upstream(stream_text(["never"]), ssl_context=serving) as upstream:
                yield Place(upstream.base_url, upstream)

    return place


@contextmanager
def _trusting(authority: trustme.CA) -> Iterator[None]:
    """The authority as the system's only one; OpenSSL reads its file when a context is made."""
    with authority.cert_pem.tempfile() as path, patch.dict(os.environ, {"SSL_CERT_FILE": path}):
        yield


@asynccontextmanager
async def _plain_text() -> AsyncIterator[Place]:
    """Says hello in clear before anybody could begin TLS."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 not for you\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield Place(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")


@asynccontextmanager
async def _stalling_tls() -> AsyncIterator[Place]:
    async with Upstream(stall_tls=True) as upstream:
        yield Place(upstream.base_url, upstream)


PLACES = [
    Row("U1", "loopback", _refusing, ERROR, UNREACHED, counts="nothing"),
    Row("U2", "full_queue", _swallowing, TIMEOUT, LATE, timeouts=_SOON, counts="nothing"),
    Row("U3", "unknown_to_the_system", _nowhere, ERROR, UNREACHED, counts="nothing"),
    Row("U3", "unknown", _named(_unknown), ERROR, UNREACHED, counts="nothing"),
    Row("U3", "resolver_unavailable", _named(_unavailable), ERROR, UNREACHED, counts="nothing"),
    Row("U3", "no_address", _named(_empty), ERROR, UNREACHED, counts="nothing"),
    Row("U3", "slow", _named(_never), TIMEOUT, LATE, timeouts=_SOON, counts="nothing"),
    Row(
        "U4",
        "unknown_authority",
        _by_tls("127.0.0.1", trusted=False),
        ERROR,
        UNREACHED,
        counts="nothing",
    ),
    Row("U4", "wrong_host", _by_tls("example.org"), ERROR, UNREACHED, counts="nothing"),
    Row("U4", "expired", _by_tls("127.0.0.1", expired=True), ERROR, UNREACHED, counts="nothing"),
    Row("U4", "plain_text", _plain_text, ERROR, UNREACHED, counts="nothing"),
    Row("U5", "handshake", _stalling_tls, TIMEOUT, LATE, timeouts=_SOON, counts="connections"),
]
