"""Further misbehaviour, beside the catalogue in support.openai.faults."""

import gzip
import json

from support.openai.chunks import finish_chunk, role_chunk, text_chunk, usage_chunk, usage_object
from support.openai.faults import CONTENT
from support.openai.faults.catalogue import start_with_content
from support.openai.scripts import start_stream
from support.upstream import Conn, Script

# Members of a gzip file follow one another (RFC 1952, 2.2).
_BOMB = gzip.compress(bytes(1024 * 1024)) * 300

TEXT = "Zoë 🎈 says\nok"
"""An answer with letters of two and four bytes, and a line break."""


async def half_closed_before_headers(conn: Conn) -> None:
    conn.half_close()
    await conn.stall()


async def half_closed_mid_stream(conn: Conn) -> None:
    await start_with_content(conn, chunked=False)
    conn.half_close()
    await conn.stall()


async def half_closed_mid_chunk(conn: Conn) -> None:
    await start_with_content(conn)
    conn.half_close()
    await conn.stall()


async def gzip_bomb(conn: Conn) -> None:
    """A body of 300 KB that would become 300 MB."""
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    await conn.respond(200, _BOMB, headers)


async def redirect_to_metadata(conn: Conn) -> None:
    """To where clouds tell a machine its own credentials."""
    target = "http://169.254.169.254/latest/meta-data/"
    await conn.respond(307, b"", {"location": target})


async def million_comments(conn: Conn) -> None:
    """A million events that say nothing, then an answer."""
    await start_stream(conn)
    for _ in range(100):
        await conn.chunk(b":\n\n" * 10_000)
    await conn.chunk(_whole())
    await conn.end()


async def byte_by_byte(conn: Conn) -> None:
    await start_stream(conn)
    for byte in _whole():
        await conn.chunk(bytes([byte]))
    await conn.end()


async def no_trailing_newline(conn: Conn) -> None:
    """The last event's line is not ended, and there is no [DONE]."""
    await start_stream(conn)
    await conn.chunk(_whole().removesuffix(b"\n\ndata: [DONE]\n\n"))
    await conn.end()


async def multi_line_data(conn: Conn) -> None:
    """One JSON over several `data` lines, as servers write that indent theirs."""
    await start_stream(conn)
    for chunk in _chunks():
        lines = json.dumps(chunk, indent=1, ensure_ascii=False).split("\n")
        await conn.chunk("".join(f"data: {line}\n" for line in lines).encode() + b"\n")
    await conn.done()


async def usage_twice(conn: Conn) -> None:
    """The later usage counts."""
    await _answer(conn, finish_chunk(), usage_chunk(90, 80), usage_chunk(12, 5))


async def usage_missing(conn: Conn) -> None:
    await _answer(conn, finish_chunk())


async def usage_negative(conn: Conn) -> None:
    await _answer(conn, finish_chunk(), usage_chunk(-12, -5))


async def usage_in_every_chunk(conn: Conn) -> None:
    """As some servers send it, with numbers that go down again."""
    counted = [
        {**text_chunk(text), "usage": usage_object(12, n)} for n, text in ((9, "a"), (3, "b"))
    ]
    await _answer(conn, *counted, finish_chunk(), usage_chunk(12, 5), before=())


async def finish_twice(conn: Conn) -> None:
    await _answer(conn, finish_chunk(), finish_chunk("length"), usage_chunk())


async def content_after_finish(conn: Conn) -> None:
    """A chunk that comes late."""
    await _answer(conn, finish_chunk(), text_chunk(" too late"), usage_chunk())


async def content_after_done(conn: Conn) -> None:
    await _answer(conn, finish_chunk(), usage_chunk(), "[DONE]", text_chunk(" too late"))


def framed(prefix: bytes, newline: bytes) -> Script:
    """An answer after a prefix, whose lines end in another way."""

    async def script(conn: Conn) -> None:
        await start_stream(conn)
        data = prefix + _whole().replace(b"\n", newline)
        # Between the two bytes of every CRLF, and elsewhere too.
        for at in range(0, len(data), 7):
            await conn.chunk(data[at : at + 7])
        await conn.end()

    return script


async def _answer(
    conn: Conn, *last: object, before: tuple[object, ...] = (text_chunk(CONTENT),)
) -> None:
    await start_stream(conn)
    for chunk in (role_chunk(), *before, *last):
        await conn.event(chunk)
    await conn.done()


def _chunks() -> list[object]:
    return [role_chunk(), *map(text_chunk, (TEXT[:2], TEXT[2:])), finish_chunk()]


def _whole() -> bytes:
    lines = [json.dumps(chunk, ensure_ascii=False) for chunk in _chunks()]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()
