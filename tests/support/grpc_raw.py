"""A gRPC client one layer below gRPC: it sends what no generated stub would.

async with RawGrpc("127.0.0.1", port) as client:
    stream = await client.open(GENERATE, end_stream=True)  # a unary call without a message
    reply = await client.reply(stream)
    assert reply.status == 3
"""

import asyncio
import base64
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes, Settings

Headers = list[tuple[str, str]]


def frame_message(payload: bytes, *, declared_length: int | None = None, flag: int = 0) -> bytes:
    """A message as gRPC frames it: one flag byte (1 = compressed), the length, the payload."""
    length = len(payload) if declared_length is None else declared_length
    return struct.pack(">BI", flag, length) + payload


@dataclass
class Reply:
    """What came back on one stream, as it came."""

    headers: Headers = field(default_factory=list)
    data: bytes = b""
    trailers: Headers = field(default_factory=list)
    """The last header block; of an answer without a body that is its only one."""
    reset_code: int | None = None
    """The error code of an RST_STREAM."""

    @property
    def status(self) -> int:
        """`grpc-status`, or -1 where none came."""
        return int(self.trailer("grpc-status") or -1)

    @property
    def message(self) -> str:
        """`grpc-message`, unescaped."""
        return unquote(self.trailer("grpc-message") or "")

    def trailer(self, name: str) -> str | None:
        """The trailer's value as text."""
        return dict(self.trailers).get(name)

    def binary_trailer(self, name: str) -> bytes | None:
        """The value of a trailer whose name ends in `-bin`."""
        value = self.trailer(name)
        return None if value is None else base64.b64decode(value + "=" * (-len(value) % 4))

    def messages(self) -> list[bytes]:
        """The payload of every whole message."""
        found, rest = [], self.data
        while len(rest) >= 5 and len(rest) - 5 >= (size := int.from_bytes(rest[1:5])):
            found.append(rest[5 : 5 + size])
            rest = rest[5 + size :]
        return found


def _text(headers: Iterable[tuple[str | bytes, str | bytes]]) -> Headers:
    return [(str(name), str(value)) for name, value in headers]


class RawGrpc:
    """One plaintext HTTP/2 connection to a gRPC server."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        window: int = 2**20,
        grants_more: bool = True,
        sock: socket.socket | None = None,
    ) -> None:
        """Prepare a connection.

        Args:
            host: Where to connect.
            port: Where to connect.
            window: How many bytes the server may send on a stream before it needs a grant.
            grants_more: Grant what was read, as clients do. Without it the server meets a reader
                that stops reading: after `window` bytes of a stream, or 65,535 of all of them.
            sock: What to connect with, if it shall be of another network namespace.
        """
        self.goaway_code: int | None = None
        """The error code of a GOAWAY."""
        self.is_closed = False
        """The server closed the connection."""
        self._address = (host, port)
        self._grants_more = grants_more
        self._sock = sock
        self._replies: dict[int, Reply] = {}
        self._ended: set[int] = set()
        self._ping_acks = 0
        self._changed = asyncio.Event()
        config = H2Configuration(header_encoding="utf-8", validate_outbound_headers=False)
        self._h2 = H2Connection(config)
        # As they are from the start: a setting that is changed waits for its acknowledgement.
        self._h2.local_settings = Settings(
            client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window}
        )

    async def open(
        self,
        path: str,
        *,
        end_stream: bool = False,
        timeout: str | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> int:
        """Send a call's headers and return its stream id.

        Args:
            path: `/package.Service/Method`.
            end_stream: End the request here, before any message.
            timeout: `grpc-timeout` as it is written, `1S` or `250m`.
            metadata: Further headers.
        """
        stream = self._h2.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "{}:{}".format(*self._address)),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *([("grpc-timeout", timeout)] if timeout else []),
            *metadata,
        ]
        self._replies[stream] = Reply()
        self._h2.send_headers(stream, headers, end_stream=end_stream)
        await self._flush()
        return stream

    async def send(self, stream: int, data: bytes, *, end_stream: bool = False) -> None:
        """Send bytes of a request's body: `frame_message`, a part of it, or anything else."""
        size = self._h2.max_outbound_frame_size
        pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        for piece in pieces[:-1]:
            await self._send_frame(stream, piece)
        await self._send_frame(stream, pieces[-1], end_stream=end_stream)

    async def call(self, path: str, body: bytes, timeout: float = 5.0) -> Reply:
        """Make a call whose request body is exactly `body`, and wait for its end."""
        stream = await self.open(path)
        await self.send(stream, body, end_stream=True)
        return await self.reply(stream, timeout)

    async def reply(self, stream: int, timeout: float = 5.0) -> Reply:
        """Wait until the stream, or the connection, has ended, and return what came."""
        async with asyncio.timeout(timeout):
            await self._until(lambda: stream in self._ended or self.is_closed)
        return self._replies[stream]

    async def received(self, stream: int, count: int, timeout: float = 5.0) -> Reply:
        """Wait until `count` bytes of body came, and return what came."""
        reply = self._replies[stream]
        async with asyncio.timeout(timeout):
            await self._until(lambda: len(reply.data) >= count or self.is_closed)
        return reply

    async def cancel(self, stream: int) -> None:
        """Reset a stream as a cancelling client does."""
        self._h2.reset_stream(stream, error_code=8)
        await self._flush()

    async def grant(self, count: int, stream: int) -> None:
        """Let the server send `count` more bytes, on the stream and on the connection."""
        self._h2.increment_flow_control_window(count)
        self._h2.increment_flow_control_window(count, stream)
        await self._flush()

    async def ping(self, timeout: float = 5.0) -> None:
        """Send a PING and wait for its acknowledgement, or for the server's close."""
        acks = self._ping_acks + 1
        self._h2.ping(b"raw-grpc")
        await self._flush()
        async with asyncio.timeout(timeout):
            await self._until(lambda: self._ping_acks >= acks or self.is_closed)

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes that need not be HTTP/2."""
        self._writer.write(data)
        await self._writer.drain()

    def hang_up(self, *, reset: bool) -> None:
        """Ends the connection without a word of HTTP/2: by RST, or by FIN."""
        sock = self._writer.get_extra_info("socket")
        linger = struct.pack("ii", int(reset), 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    async def wait_closed(self, timeout: float = 5.0) -> None:
        """Wait until the server closed the connection."""
        async with asyncio.timeout(timeout):
            await self._until(lambda: self.is_closed)

    async def __aenter__(self) -> Self:
        sock = self._sock or socket.socket(proto=socket.IPPROTO_TCP)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self._address)
        self._reader, self._writer = await asyncio.open_connection(sock=sock)
        self._h2.initiate_connection()
        await self._flush()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.transport.abort()
        await self._reading

    async def _send_frame(self, stream: int, data: bytes, *, end_stream: bool = False) -> None:
        await self._until(lambda: self._h2.local_flow_control_window(stream) >= len(data))
        self._h2.send_data(stream, data, end_stream=end_stream)
        await self._flush()

    async def _read(self) -> None:
        while data := await self._read_some():
            for event in self._h2.receive_data(data):
                self._take(event)
            await self._flush()
            self._changed.set()
        self.is_closed = True
        self._changed.set()

    async def _read_some(self) -> bytes:
        try:
            return await self._reader.read(65536)
        except ConnectionError:
            return b""

    def _take(self, event: Event) -> None:
        match event:
            case ResponseReceived():
                reply = self._replies[event.stream_id]
                reply.headers = reply.trailers = _text(event.headers)
            case TrailersReceived():
                self._replies[event.stream_id].trailers = _text(event.headers)
            case DataReceived():
                self._take_data(event)
            case StreamEnded():
                self._ended.add(event.stream_id)
            case StreamReset():
                self._replies[event.stream_id].reset_code = event.error_code
                self._ended.add(event.stream_id)
            case PingAckReceived():
                self._ping_acks += 1
            case ConnectionTerminated():
                self.goaway_code = event.error_code

    def _take_data(self, event: DataReceived) -> None:
        self._replies[event.stream_id].data += event.data
        if self._grants_more:
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    async def _flush(self) -> None:
        if not self._writer.is_closing():
            await self.send_bytes(self._h2.data_to_send())

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()
