"""The floor of a gateway: grpc.aio in front of a socket, and only what no gateway can leave out.

It decodes the text of each event, joins what one read brought, and writes it. No HTTP parser,
validation, errors, timers, limits, flow control, usage or finish reasons: what the real server
costs beyond this is the price of those.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import msgspec
import uvloop
from wire import FINISH, Context, serve, text_message, whole_answer

_MODEL = re.compile(rb"[a-z]+-\d+(?:-\d+)?")
_EVENT = re.compile(rb"data: (\{.*\})\n\n")
_LENGTH = re.compile(rb"content-length: (\d+)")
_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: upstream\r\ncontent-length: %d\r\n\r\n"
_BODY = b'{"model":"%b","stream":%b,"messages":[{"role":"user","content":"hi"}]}'


class _Message(msgspec.Struct, frozen=True, gc=False):
    content: str = ""


class _Choice(msgspec.Struct, frozen=True):
    delta: _Message = _Message()
    message: _Message = _Message()


class _Answer(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []


_decode = msgspec.json.Decoder(_Answer).decode


def _text(answers: list[bytes]) -> bytes:
    """The text of the JSON of events, or of a body."""
    texts = [choice.delta.content or choice.message.content
             for answer in answers for choice in _decode(answer).choices]  # fmt: skip
    return "".join(texts).encode()


class _Upstream(asyncio.Protocol):
    """A kept connection: collects bytes until they are asked for."""

    _transport: asyncio.Transport
    _waiter: asyncio.Future[None] | None = None
    _data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._waiter:
            self._waiter.set_result(None)
            self._waiter = None

    def ask(self, request: bytes, *, stream: bool) -> None:
        found = _MODEL.search(request)
        assert found
        body = _BODY % (found[0], b"true" if stream else b"false")
        self._transport.write(_HEAD % len(body) + body)

    async def read(self) -> bytes:
        if not self._data:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data, self._data = self._data, b""
        return data


_idle: list[_Upstream] = []


async def _connection() -> _Upstream:
    if _idle:
        return _idle.pop()
    loop = asyncio.get_running_loop()
    _, upstream = await loop.create_connection(_Upstream, "127.0.0.1", int(sys.argv[1]))
    return upstream


async def _stream(request: bytes, context: Context) -> None:
    upstream = await _connection()
    upstream.ask(request, stream=True)
    rest, over = b"", False
    while not over:
        data = rest + await upstream.read()
        over = data.endswith(b"\r\n0\r\n\r\n")
        # What comes after the last whole event waits for its end.
        data, separator, rest = data.rpartition(b"\n\n")
        text = _text(_EVENT.findall(data + separator))
        if text or over:
            await context.write((text_message(text) if text else b"") + (FINISH if over else b""))
    _idle.append(upstream)


async def _unary(request: bytes, context: Context) -> bytes:
    del context
    upstream = await _connection()
    upstream.ask(request, stream=False)
    data, whole = b"", None
    while whole is None or len(data) < whole:
        data += await upstream.read()
        found = _LENGTH.search(data)
        if found and b"\r\n\r\n" in data:
            whole = data.index(b"\r\n\r\n") + 4 + int(found[1])
    _idle.append(upstream)
    return whole_answer(_text([data.partition(b"\r\n\r\n")[2]]))


if __name__ == "__main__":
    sys.exit(uvloop.run(serve(_stream, _unary)))
