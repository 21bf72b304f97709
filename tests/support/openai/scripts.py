"""Ready scripts for answers that go well, and for one that is refused."""

import json
from collections.abc import Iterator, Mapping, Sequence

from support.openai.chunks import (
    Json,
    ToolCall,
    completion,
    finish_chunk,
    role_chunk,
    text_chunk,
    tool_head_chunk,
    tool_piece_chunk,
    usage_chunk,
    usage_object,
)
from support.upstream import Conn, Script

REQUEST_ID = "req_7c1e5bb0f4a94d6ea1c0"
"""What every answer here carries as `x-request-id`."""

_COMMON_HEADERS = {"x-request-id": REQUEST_ID, "openai-processing-ms": "42"}
_JSON_HEADERS = {"content-type": "application/json", **_COMMON_HEADERS}
_SSE_HEADERS = {"content-type": "text/event-stream; charset=utf-8", **_COMMON_HEADERS}


async def start_stream(conn: Conn, *, chunked: bool = True) -> None:
    """Send the head of a streamed answer."""
    await conn.head(200, _SSE_HEADERS, chunked=chunked)


def stream_text(
    texts: Sequence[str],
    *,
    delay: float = 0.0,
    usage: bool = True,
    finish: str | None = "stop",
) -> Script:
    """Stream these texts, one a chunk.

    Args:
        texts: The pieces of the answer.
        delay: Seconds before each piece.
        usage: Report usage at the end, to a request that asks for it as OpenAI wants it asked.
        finish: The reason to finish with; None ends with a bare [DONE], as Snowflake does.
    """
    chunks = [text_chunk(text) for text in texts]
    return stream_chunks(chunks, delay=delay, usage=usage, finish=finish)


def stream_tools(*calls: ToolCall, delay: float = 0.0, usage: bool = True) -> Script:
    """Stream these tool calls one after the other, each piece of their arguments a chunk."""
    chunks = [chunk for index, call in enumerate(calls) for chunk in _tool_chunks(index, call)]
    return stream_chunks(chunks, delay=delay, usage=usage, finish="tool_calls")


def stream_chunks(
    chunks: Sequence[Json], *, delay: float = 0.0, usage: bool = True, finish: str | None = "stop"
) -> Script:
    """Stream a role chunk, these chunks, and what ends a stream; see `stream_text`."""

    async def script(conn: Conn) -> None:
        await start_stream(conn)
        await conn.event(role_chunk())
        for chunk in chunks:
            if delay:
                await conn.sleep(delay)
            await conn.event(chunk)
        if finish is not None:
            await conn.event(finish_chunk(finish))
        if usage and _asks_for_usage(conn):
            await conn.event(usage_chunk())
        await conn.done()

    return script


def plain_completion(
    text: str | None,
    *,
    tool_calls: Sequence[ToolCall] = (),
    finish: str = "stop",
    usage: bool = True,
) -> Script:
    """Answer in one JSON body, as to a request that does not ask for a stream."""
    body = completion(text, tool_calls, finish, usage_object(12, 5) if usage else None)

    async def script(conn: Conn) -> None:
        await respond_json(conn, body)

    return script


def error(
    status: int, body: Json | str | bytes, headers: Mapping[str, str] | None = None
) -> Script:
    """Refuse with this status and body; text and bytes go as they are, anything else as JSON."""

    async def script(conn: Conn) -> None:
        await respond_json(conn, body, status=status, headers=headers)

    return script


async def respond_json(
    conn: Conn,
    body: Json | str | bytes,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send a whole JSON answer; text and bytes go as they are."""
    text = body if isinstance(body, str | bytes) else json.dumps(body, indent=2)
    data = text.encode() if isinstance(text, str) else text
    await conn.respond(status, data, {**_JSON_HEADERS, **(headers or {})})


def _tool_chunks(index: int, call: ToolCall) -> Iterator[Json]:
    yield tool_head_chunk(index, call.id, call.name)
    for piece in call.pieces:
        yield tool_piece_chunk(index, piece)


def _asks_for_usage(conn: Conn) -> bool:
    options = conn.received.json().get("stream_options") or {}
    return bool(options.get("include_usage"))
