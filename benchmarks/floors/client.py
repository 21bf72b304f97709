"""A rung between the relay and the server: our HTTP client and our decoder, and no gateway.

What it costs beyond the relay is the price of a real HTTP client and of reading whole chunks; what
the server costs beyond it is the price of checks, timers, heartbeats, limits and accounts.
"""

from __future__ import annotations

import re
import sys

import httpx
import uvloop
from wire import FINISH, Context, serve, whole_answer

from llmgateway_server.domain.answer import Finish
from llmgateway_server.domain.events import TextDelta
from llmgateway_server.providers.http import HttpTransport, ResponseBody
from llmgateway_server.providers.openai_chat.stream import ChatStream, decode_body
from llmgateway_server.transport.grpc.mapping.response import text_message

_MODEL = re.compile(rb"[a-z]+-\d+(?:-\d+)?")
_BODY = b'{"model":"%b","stream":%b,"messages":[{"role":"user","content":"hi"}]}'
_HEADERS = {"host": "upstream", "content-type": "application/json"}
_url = httpx.URL(f"http://127.0.0.1:{sys.argv[1]}/v1/chat/completions")


async def _ask(request: bytes, *, stream: bool) -> ResponseBody:
    found = _MODEL.search(request)
    assert found
    body = httpx.ByteStream(_BODY % (found[0], b"true" if stream else b"false"))
    outgoing = httpx.Request("POST", _url, headers=_HEADERS, stream=body)
    response = await _transport.handle_async_request(outgoing)
    assert isinstance(response.stream, ResponseBody)
    return response.stream


async def _stream(request: bytes, context: Context) -> None:
    body, decoder = await _ask(request, stream=True), ChatStream()
    async for data in body:
        for event in decoder.feed(data):
            if isinstance(event, TextDelta):
                await context.write(text_message(event))
            elif isinstance(event, Finish):
                body.finish()
                await context.write(FINISH)
                return


async def _unary(request: bytes, context: Context) -> bytes:
    del context
    body = await _ask(request, stream=False)
    events = decode_body(b"".join([data async for data in body]))
    return whole_answer(b"".join(e.text.encode() for e in events if isinstance(e, TextDelta)))


if __name__ == "__main__":
    _transport = HttpTransport(connections=10_000)
    sys.exit(uvloop.run(serve(_stream, _unary)))
