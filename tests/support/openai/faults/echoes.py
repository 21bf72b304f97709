"""Failures that send the key back that they were called with."""

from support.openai.chunks import error_chunk
from support.openai.faults.catalogue import FAULTS, fault, start_with_content
from support.openai.scripts import respond_json, start_stream
from support.upstream import Conn, Script


def _received_key(conn: Conn) -> str:
    """The Authorization header's value; a gateway that sends none has nothing to leak."""
    return conn.received.headers.get("authorization", "")


def _echo_key_http(status: int) -> Script:
    async def echo_key(conn: Conn) -> None:
        key = _received_key(conn)
        body = error_chunk(f"Refused: {key}", f"type {key}", f"code {key}")
        # The id is what gateways pass on and log without a look.
        await respond_json(conn, body, status=status, headers={"x-request-id": key})

    return echo_key


FAULTS.update(
    {f"echo_key_http_{status}": _echo_key_http(status) for status in (400, 401, 429, 500)}
)


@fault
async def echo_key_in_html(conn: Conn) -> None:
    page = f"<html><body>Refused: {_received_key(conn)}</body></html>"
    await conn.respond(503, page.encode(), {"content-type": "text/html"})


@fault
async def echo_key_in_json_200(conn: Conn) -> None:
    await respond_json(conn, error_chunk(f"Refused: {_received_key(conn)}"))


@fault
async def echo_key_in_stream_first(conn: Conn) -> None:
    await start_stream(conn)
    await conn.event(error_chunk(f"Refused: {_received_key(conn)}"))
    await conn.end()


@fault
async def echo_key_in_stream_after_content(conn: Conn) -> None:
    await start_with_content(conn)
    await conn.event(error_chunk(f"Refused: {_received_key(conn)}"))
    await conn.end()


@fault
async def echo_key_in_invalid_json(conn: Conn) -> None:
    await start_stream(conn)
    await conn.event(f'{{"refused": {_received_key(conn)}')
    await conn.end()


@fault
async def echo_key_in_status_line(conn: Conn) -> None:
    """HTTP libraries quote a line that they cannot read."""
    await conn.raw(f"{_received_key(conn)} is refused\r\n\r\n".encode())
    conn.close()


@fault
async def echo_key_in_chunk_size(conn: Conn) -> None:
    await start_with_content(conn)
    await conn.raw(f"{_received_key(conn)}\r\n".encode())
    conn.close()
