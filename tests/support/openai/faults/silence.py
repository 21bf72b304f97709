"""Silence, and noise that is no better; it lasts until the gateway hangs up."""

from support.openai.chunks import role_chunk
from support.openai.faults.catalogue import fault, start_with_content
from support.openai.scripts import start_stream
from support.upstream import Conn


@fault
async def stall_before_headers(conn: Conn) -> None:
    await conn.stall()


@fault
async def headers_then_stall(conn: Conn) -> None:
    await start_stream(conn)
    await conn.stall()


@fault
async def role_chunk_then_stall(conn: Conn) -> None:
    await start_stream(conn)
    await conn.event(role_chunk())
    await conn.stall()


@fault
async def stall_mid_stream(conn: Conn) -> None:
    await start_with_content(conn)
    await conn.stall()


@fault
async def drip_bytes(conn: Conn) -> None:
    """One byte of a never-ending line every 200 ms."""
    await start_stream(conn)
    await _drip(conn)


@fault
async def drip_bytes_after_content(conn: Conn) -> None:
    await start_with_content(conn)
    await _drip(conn)


@fault
async def comments_forever(conn: Conn) -> None:
    """OpenRouter's keep-alive, and nothing to keep alive for."""
    await start_stream(conn)
    await _comment_forever(conn)


@fault
async def comments_forever_after_content(conn: Conn) -> None:
    await start_with_content(conn)
    await _comment_forever(conn)


@fault
async def empty_deltas_forever(conn: Conn) -> None:
    """Whole events without content, as some servers send while they think."""
    await start_stream(conn)
    while True:
        await conn.event(role_chunk())
        await conn.sleep(0.1)


async def _drip(conn: Conn) -> None:
    await conn.chunk(b":")
    while True:
        await conn.sleep(0.2)
        await conn.chunk(b".")


async def _comment_forever(conn: Conn) -> None:
    while True:
        await conn.comment("OPENROUTER PROCESSING")
        await conn.sleep(0.1)
