"""The ready scripts say what an OpenAI-compatible server says."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from support.openai import (
    CONTENT,
    FAULTS,
    HTTP_ERRORS,
    REQUEST_ID,
    ToolCall,
    plain_completion,
    stream_text,
    stream_tools,
)
from support.upstream import Script, Upstream

KEY = "sk-canary-1234567890"
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


async def post(script: Script, request: object) -> tuple[aiohttp.ClientResponse, bytes]:
    """Play the script to one request; the answer and its body."""
    async with Upstream(script) as upstream, aiohttp.ClientSession() as session:
        response = await session.post(f"{upstream.base_url}/chat/completions", json=request)
        return response, await response.read()


async def events(script: Script, request: object) -> list[Any]:
    """The events of a streamed answer, without [DONE]."""
    response, body = await post(script, request)
    assert response.content_type == "text/event-stream"
    *data, done, rest = body.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(line.removeprefix("data: ")) for line in data]


async def test_text_is_streamed_between_role_and_finish() -> None:
    role, once, upon, finish = await events(stream_text(["Once ", "upon"]), {"stream": True})

    assert role["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["delta"] for chunk in (once, upon)] == [
        {"content": "Once "},
        {"content": "upon"},
    ]
    assert finish["choices"][0]["finish_reason"] == "stop"


async def test_usage_is_reported_to_those_who_ask() -> None:
    *_, finish, usage = await events(stream_text(["a"]), WITH_USAGE)

    assert finish["usage"] is None
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 17


async def test_a_stream_may_end_without_a_finish_reason() -> None:
    chunks = await events(stream_text(["a"], finish=None), {"stream": True})

    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks)


async def test_tool_calls_are_streamed_head_first() -> None:
    calls = [ToolCall("call_1", "add", ['{"a":', " 1}"]), ToolCall("call_2", "now", ["{}"])]

    _, *chunks, finish = await events(stream_tools(*calls), {"stream": True})

    deltas = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in chunks]
    assert [delta.get("id") for delta in deltas] == ["call_1", None, None, "call_2", None]
    assert [delta["index"] for delta in deltas] == [0, 0, 0, 1, 1]
    assert "".join(d["function"]["arguments"] for d in deltas if d["index"] == 0) == '{"a": 1}'
    assert finish["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_plain_answer_is_one_body() -> None:
    _, data = await post(plain_completion("Hi"), {})

    body = json.loads(data)
    assert body["choices"][0]["message"]["content"] == "Hi"
    assert body["usage"]["prompt_tokens"] == 12


@pytest.mark.parametrize("name", HTTP_ERRORS)
async def test_a_refusal_has_the_status_in_its_name(name: str) -> None:
    response, body = await post(FAULTS[name], {})

    assert response.status == int(name.split("_")[1])
    assert response.headers["x-request-id"] == REQUEST_ID
    assert body


async def bytes_of(name: str) -> bytes:
    """What the fault sends within a second, at most 8 MiB of it."""
    request = f"POST /v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    received = b""
    async with Upstream(FAULTS[name]) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port, limit=2**20)
        writer.write(request)
        with suppress(TimeoutError, ConnectionResetError):
            async with asyncio.timeout(1):
                while len(received) < 8 * 2**20 and (data := await reader.read(2**20)):
                    received += data
        writer.transport.abort()
        await upstream.wait_closed()
    return received


async def test_every_fault_plays_and_ends_when_its_peer_leaves() -> None:
    names = sorted(FAULTS.keys() - HTTP_ERRORS.keys())
    received = dict(zip(names, await asyncio.gather(*map(bytes_of, names)), strict=True))

    silent = {"stall_before_headers", "reset_before_headers", "fin_before_headers"}
    assert {name for name in names if not received[name]} == silent
    shows_key = {name for name in names if KEY.encode() in received[name]}
    assert shows_key == {name for name in names if name.startswith("echo_key")}
    after_content = {name for name in names if "after_content" in name or "_mid_" in name}
    assert all(CONTENT.encode() in received[name] for name in after_content)


async def test_the_giant_line_is_3_mib() -> None:
    received = await bytes_of("giant_line_3mib")

    unchunked = received.replace(b"\r\n10000\r\n", b"")
    assert max(map(len, unchunked.split(b"\n"))) > 3 * 2**20 - 64 * 1024


async def test_the_endless_event_passes_4_mib_without_ending() -> None:
    _, _, body = (await bytes_of("endless_event")).partition(b"\r\n\r\n")

    assert len(body) > 4 * 2**20
    assert b"\n\n" not in body
