"""Connections that break, and bytes that are not HTTP."""

from support.openai.chunks import role_chunk
from support.openai.faults.catalogue import fault, start_with_content
from support.openai.scripts import start_stream
from support.upstream import Conn


@fault
async def reset_before_headers(conn: Conn) -> None:
    conn.reset()


@fault
async def fin_before_headers(conn: Conn) -> None:
    conn.close()


@fault
async def reset_mid_stream(conn: Conn) -> None:
    await start_with_content(conn)
    conn.reset()


@fault
async def fin_mid_chunk(conn: Conn) -> None:
    await start_with_content(conn)
    await conn.raw(b'100\r\ndata: {"id":"chatcmpl-')
    conn.close()


@fault
async def end_without_finish(conn: Conn) -> None:
    """A clean end of the body, in the middle of the answer."""
    await start_with_content(conn)
    await conn.end()


@fault
async def end_without_content(conn: Conn) -> None:
    await start_stream(conn)
    await conn.event(role_chunk())
    await conn.end()


@fault
async def close_delimited_end_without_finish(conn: Conn) -> None:
    """The same where the body lasts until the close, so that HTTP sees nothing wrong."""
    await start_with_content(conn, chunked=False)
    conn.close()


@fault
async def garbage_status_line(conn: Conn) -> None:
    await conn.raw(b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\r\n")
    conn.close()


@fault
async def garbage_after_content(conn: Conn) -> None:
    await start_with_content(conn)
    await conn.raw(b"\x00\xff\xfe this is not a chunk\r\n" * 4)
    conn.close()


@fault
async def bad_chunk_size(conn: Conn) -> None:
    await start_stream(conn)
    await conn.raw(b"-5\r\ndata: \r\n")
    conn.close()


@fault
async def giant_header(conn: Conn) -> None:
    await conn.head(200, {"x-padding": "a" * 256 * 1024})
    await conn.stall()


@fault
async def many_headers(conn: Conn) -> None:
    await conn.head(200, {f"x-header-{number}": "a" for number in range(20_000)})
    await conn.stall()
