"""From an origin to an open connection: names, addresses, TCP, TLS."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import NamedTuple

import aiohappyeyeballs
import httpx

from llmgateway_server.providers.http.connection import Connection
from llmgateway_server.providers.http.resolving import AddrInfo, resolve

# Seconds for which a name's addresses are remembered; short enough to follow a failover in DNS.
_REMEMBER = 10.0
# RFC 8305 section 8: how long an address may take before the next one is tried beside it.
_ATTEMPT_DELAY = 0.25


class Origin(NamedTuple):
    """Where connections are interchangeable; RFC 6454."""

    is_tls: bool
    host: str
    port: int


class Connector:
    """Opens connections, asking for each name once at a time."""

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context
        self._lookups: dict[tuple[str, int], asyncio.Task[list[AddrInfo]]] = {}

    async def connect(self, origin: Origin, seconds: float | None) -> Connection:
        """A connection, with TLS where the origin wants it.

        Args:
            origin: Where to.
            seconds: For name resolution, TCP and TLS together.

        Raises:
            httpx.ConnectTimeout: It took longer.
            httpx.ConnectError: No address, nobody there, or no trusted TLS.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._connect(origin)
        except TimeoutError:
            failure: httpx.TransportError = httpx.ConnectTimeout(
                "no connection to the server in time"
            )
        except (OSError, UnicodeError) as exc:
            failure = httpx.ConnectError(_words(exc))
        # Raised out here, so that the cause, which may name addresses, does not hang on it.
        raise failure

    def close(self) -> None:
        """Gives up on names that are being resolved."""
        for lookup in self._lookups.values():
            lookup.cancel()

    async def _connect(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        addresses = await self._addresses(origin.host, origin.port)
        sock = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_ATTEMPT_DELAY
        )
        connection = Connection()
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.create_connection(
                lambda: connection,
                sock=sock,
                ssl=self._ssl_context if origin.is_tls else None,
                server_hostname=origin.host if origin.is_tls else None,
            )
        except BaseException:
            sock.close()
            raise
        return connection

    async def _addresses(self, host: str, port: int) -> list[AddrInfo]:
        """The addresses of a name; a thousand streams that begin together ask once."""
        key = (host, port)
        lookup = self._lookups.get(key)
        if lookup is None:
            loop = asyncio.get_running_loop()
            lookup = loop.create_task(resolve(host, port))
            self._lookups[key] = lookup
            lookup.add_done_callback(lambda task: self._resolved(key, task))
        # Whoever asked first may be cancelled; the others still wait for the answer.
        return await asyncio.shield(lookup)

    def _resolved(self, key: tuple[str, int], lookup: asyncio.Task[list[AddrInfo]]) -> None:
        if lookup.cancelled() or lookup.exception() is not None:
            del self._lookups[key]
        else:
            asyncio.get_running_loop().call_later(_REMEMBER, self._lookups.pop, key, None)


def _words(exc: Exception) -> str:
    """What went wrong, without the names and addresses in the exception's own words."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"TLS with the server failed: {exc.verify_message}"
    if isinstance(exc, ssl.SSLError):
        return "TLS with the server failed"
    if isinstance(exc, socket.gaierror):
        return f"cannot resolve the server's name: {exc.strerror}"
    if isinstance(exc, OSError):
        words = "cannot connect to the server"
        return f"{words}: {os.strerror(exc.errno)}" if exc.errno else words
    return "cannot resolve the server's name: it is not valid"
