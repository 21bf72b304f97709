"""Streams that begin well and carry events nobody can use."""

from support.openai.chunks import (
    ToolCall,
    finish_chunk,
    role_chunk,
    text_chunk,
    tool_head_chunk,
    tool_piece_chunk,
    usage_chunk,
)
from support.openai.faults.catalogue import fault, start_with_content
from support.openai.scripts import start_stream
from support.upstream import Conn


@fault
async def invalid_json_event(conn: Conn) -> None:
    await start_stream(conn)
    await conn.event('{"id":"chatcmpl-CT3stq7m","choices":[{"index":0,"del')
    await conn.stall()


@fault
async def invalid_json_event_after_content(conn: Conn) -> None:
    await start_with_content(conn)
    await conn.event('{"id":"chatcmpl-CT3stq7m","choices":[{"index":0,"del')
    await conn.stall()


@fault
async def wrong_types_event(conn: Conn) -> None:
    """JSON, with every field of another type than it should be."""
    await start_stream(conn)
    await conn.event({"id": 7, "choices": {"index": "0", "delta": ["content"]}, "usage": "12"})
    await conn.stall()


@fault
async def deep_json_event(conn: Conn) -> None:
    """More nesting than a recursive parser has stack for."""
    await start_stream(conn)
    await conn.event('{"choices":' + "[" * 100_000 + "]" * 100_000 + "}")
    await conn.stall()


@fault
async def invalid_utf8_event(conn: Conn) -> None:
    await start_stream(conn)
    await conn.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"\xc3\x28\xff"}}]}\n\n')
    await conn.stall()


@fault
async def giant_line_3mib(conn: Conn) -> None:
    await start_stream(conn)
    await conn.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"')
    for _ in range(48):
        await conn.chunk(b"a" * 64 * 1024)
    await conn.chunk(b'"}}]}\n\n')
    await conn.stall()


@fault
async def endless_event(conn: Conn) -> None:
    """Lines of one event without end: each is short, together they pass any bound."""
    await start_stream(conn)
    line = b"data: " + b" " * 1024 + b"\n"
    while True:
        await conn.chunk(line * 64)


@fault
async def endless_stream(conn: Conn) -> None:
    """Good events without end, as fast as they are read."""
    await start_stream(conn)
    while True:
        await conn.event(text_chunk("a" * 64 * 1024))


@fault
async def truncated_tool_json(conn: Conn) -> None:
    """A tool call that is finished although its arguments are not."""
    call = ToolCall("call_8ElDxJj6u7IUDEwQ", "add", ['{"a"', ": 2, "])
    await start_stream(conn)
    await conn.event(role_chunk(content=None))
    await conn.event(tool_head_chunk(0, call.id, call.name))
    for piece in call.pieces:
        await conn.event(tool_piece_chunk(0, piece))
    await conn.event(finish_chunk("tool_calls"))
    await conn.done()


@fault
async def negative_usage(conn: Conn) -> None:
    await start_with_content(conn)
    await conn.event(finish_chunk())
    await conn.event(usage_chunk(-12, -5))
    await conn.done()
