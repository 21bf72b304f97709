"""The tests' own upstream: an HTTP/1.1 server whose every byte and pause a script decides.

Raw sockets and not a server library, because a library would refuse to send most of what these
tests are about. A test says what happens in a script and reads it back from the upstream:

    async def two_words_then_silence(conn: Conn) -> None:
        await conn.head()
        await conn.event(text_chunk("two words"))
        await conn.stall()

    async with Upstream(two_words_then_silence) as upstream:
        ...  # call the gateway, whose provider is at upstream.base_url; cancel it
        closed_at = await upstream.wait_closed()
"""

import asyncio
import http.client
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from support.wire import Changes, PeerGone, Wire


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case; a repeated header's values joined with a comma."""
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Conn:
    """One request's connection, in the hands of a script.

    Everything that writes raises PeerGone once the peer went away, which ends the script quietly.
    """

    def __init__(self, wire: Wire, received: Received) -> None:
        self.received = received
        self.is_complete = False
        """The answer ended in a way that lets the connection serve another request."""
        self._wire = wire
        self._is_chunked = False

    async def head(
        self, status: int = 200, headers: Mapping[str, str] | None = None, *, chunked: bool = True
    ) -> None:
        """Send status line and headers; a body that is not chunked lasts until the close."""
        framing = {"transfer-encoding": "chunked"} if chunked else {"connection": "close"}
        self._is_chunked = chunked
        await self.raw(
            _head(status, {"content-type": "text/event-stream", **(headers or {}), **framing})
        )

    async def chunk(self, data: bytes) -> None:
        """Send one HTTP chunk, or the bare bytes when the head was not chunked."""
        await self.raw(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    async def event(self, data: object, *, name: str | None = None) -> None:
        """Send one server-sent event; what is not text goes as JSON."""
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        prefix = "" if name is None else f"event: {name}\n"
        await self.chunk(f"{prefix}data: {text}\n\n".encode())

    async def comment(self, text: str = "") -> None:
        """Send one server-sent comment, the keep-alive of many providers."""
        await self.chunk(f": {text}\n\n".encode())

    async def done(self) -> None:
        """Send [DONE] and end the body."""
        await self.event("[DONE]")
        await self.end()

    async def end(self) -> None:
        """End the body cleanly: the terminating chunk, or FIN when the head was not chunked."""
        if self._is_chunked:
            await self.raw(b"0\r\n\r\n")
            self.is_complete = True
        else:
            self.close()

    async def respond(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer of known length."""
        await self.raw(_head(status, {**(headers or {}), "content-length": str(len(body))}) + body)
        self.is_complete = True

    async def raw(self, data: bytes) -> None:
        """Send these bytes and no others."""
        await self._wire.write(data)

    def close(self) -> None:
        """Send FIN after what is buffered."""
        self._wire.close()

    def half_close(self) -> None:
        """Send FIN after what is buffered, and go on reading."""
        self._wire.half_close()

    def reset(self) -> None:
        """Send RST."""
        self._wire.reset()

    async def sleep(self, seconds: float) -> None:
        """Wait, unless the peer goes away first."""
        try:
            async with asyncio.timeout(seconds):
                await self._wire.until_gone()
        except TimeoutError:
            return
        raise PeerGone

    async def stall(self) -> None:
        """Do nothing until the peer goes away."""
        await self._wire.until_gone()


Script = Callable[[Conn], Awaitable[None]]


async def unscripted(conn: Conn) -> None:
    """What an upstream without a script answers."""
    await conn.respond(501, b"this upstream was given no script")


class Upstream:
    """An upstream on a free loopback port, for as long as the `async with` lasts.

    `script` answers every request whose path has no script of its own in `paths`; both may be
    changed at any time. An exception in a script fails the `async with`.
    """

    def __init__(
        self,
        script: Script = unscripted,
        *,
        ssl_context: ssl.SSLContext | None = None,
        stall_tls: bool = False,
        listener: socket.socket | None = None,
    ) -> None:
        """Prepare an upstream.

        Args:
            script: What happens to a request.
            ssl_context: Serve HTTPS with this; a connection counts from its handshake's end.
            stall_tls: Give an https URL and never answer the handshake.
            listener: A bound socket to serve, of any address or network namespace.
        """
        self.script = script
        self.paths: dict[str, Script] = {}
        self.requests: list[Received] = []
        self._ssl_context = ssl_context
        self._stall_tls = stall_tls
        self._listener = listener
        self._wires: list[Wire] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._changes = Changes()
        self._server: asyncio.Server

    @property
    def base_url(self) -> str:
        """What to write as a provider's base URL."""
        scheme = "https" if self._ssl_context or self._stall_tls else "http"
        host: str = self._server.sockets[0].getsockname()[0]
        return f"{scheme}://{host}:{self.port}/v1"

    @property
    def port(self) -> int:
        """The port listened on."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections_open(self) -> int:
        """How many connections neither side has closed."""
        return sum(not wire.is_gone for wire in self._wires)

    @property
    def connections_total(self) -> int:
        """How many connections were ever accepted."""
        return len(self._wires)

    async def wait_connections(self, count: int, timeout: float = 5.0) -> None:
        """Wait until `count` connections were accepted."""
        await self._wait(lambda: self.connections_total >= count, timeout, f"{count} connections")

    async def wait_requests(self, count: int, timeout: float = 5.0) -> None:
        """Wait until `count` requests were read whole."""
        await self._wait(lambda: len(self.requests) >= count, timeout, f"{count} requests")

    async def wait_closed(self, n: int | None = None, timeout: float = 5.0) -> float:
        """Wait until connection `n` (in order of acceptance), or each of them, was seen closed.

        Returns:
            When the close was seen, the last one's if there are several, as `loop.time()`.
        """
        wires = self._wires if n is None else [self._wires[n]]
        if not wires:
            raise LookupError("no connection was ever accepted")
        await self._wait(lambda: all(wire.is_gone for wire in wires), timeout, "the close")
        return max(wire.closed_at for wire in wires if wire.closed_at is not None)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        listener = self._listener
        if listener is None:
            listener = socket.socket(proto=socket.IPPROTO_TCP)  # or asyncio sets no TCP_NODELAY
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", 0))
        self._server = await loop.create_server(
            lambda: Wire(self._accept, self._changes.notify),
            sock=listener,
            ssl=None if self._stall_tls else self._ssl_context,
            backlog=4096,
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for wire in self._wires:
            wire.abort()
        await self._changes.until(lambda: all(wire.is_lost for wire in self._wires))
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if failures and exc is None:
            raise failures[0]
        if failures and exc is not None:
            exc.add_note(f"the upstream's script failed too: {failures[0]!r}")

    def _accept(self, wire: Wire) -> None:
        self._wires.append(wire)
        self._tasks.append(asyncio.get_running_loop().create_task(self._serve(wire)))
        self._changes.notify()

    async def _serve(self, wire: Wire) -> None:
        try:
            if self._stall_tls:
                await wire.until_gone()
                return
            while await self._serve_request(wire):
                pass
        except PeerGone:
            pass
        finally:
            wire.close()

    async def _serve_request(self, wire: Wire) -> bool:
        """Answer one request; say whether the connection can serve another."""
        received = await _read_request(wire)
        self.requests.append(received)
        self._changes.notify()
        conn = Conn(wire, received)
        await self.paths.get(received.path, self.script)(conn)
        return conn.is_complete and received.headers.get("connection") != "close"

    async def _wait(self, holds: Callable[[], bool], timeout: float, what: str) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._changes.until(holds)
        except TimeoutError:
            raise TimeoutError(
                f"waited {timeout} s for {what}; the upstream has {self.connections_open} of "
                f"{self.connections_total} connections open and read {len(self.requests)} requests"
            ) from None


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    phrase = http.client.responses.get(status, "Unknown")
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _read_request(wire: Wire) -> Received:
    method, path, _ = (await wire.read_line()).decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while line := (await wire.read_line()).decode("latin-1"):
        name, _, value = line.partition(":")
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = await _read_chunks(wire)
    else:
        body = await wire.read_exactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body)


async def _read_chunks(wire: Wire) -> bytes:
    body = b""
    while size := int(await wire.read_line(), 16):
        body += await wire.read_exactly(size)
        await wire.read_line()
    await wire.read_line()
    return body
