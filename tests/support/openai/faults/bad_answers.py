"""HTTP answers that are not what was asked for."""

import gzip
import json

from support.openai.chunks import error_chunk, finish_chunk, role_chunk, text_chunk
from support.openai.faults.catalogue import CONTENT, fault
from support.openai.scripts import respond_json
from support.upstream import Conn


@fault
async def html_200(conn: Conn) -> None:
    page = b"<!doctype html><html><head><title>Sign in</title></head><body></body></html>"
    await conn.respond(200, page, {"content-type": "text/html; charset=utf-8"})


@fault
async def json_error_200(conn: Conn) -> None:
    """A refusal with a status that says success."""
    await respond_json(conn, error_chunk("The engine is overloaded.", "server_error"))


@fault
async def json_not_a_completion_200(conn: Conn) -> None:
    await respond_json(conn, {"status": "ok"})


@fault
async def bad_content_type_json_for_stream(conn: Conn) -> None:
    """A stream that calls itself JSON."""
    await conn.respond(200, _whole_stream(), {"content-type": "application/json"})


@fault
async def empty_200(conn: Conn) -> None:
    await conn.respond(200, b"", {"content-type": "text/event-stream"})


@fault
async def status_204(conn: Conn) -> None:
    await conn.raw(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
    conn.close()


@fault
async def redirect_302(conn: Conn) -> None:
    """To this same upstream, which notices a second request."""
    host = conn.received.headers["host"]
    await conn.respond(302, b"", {"location": f"http://{host}/v1/redirected"})


@fault
async def gzip_body(conn: Conn) -> None:
    """A good answer in an encoding that nobody asked for."""
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    await conn.respond(200, gzip.compress(_whole_stream()), headers)


def _whole_stream() -> bytes:
    events = (role_chunk(), text_chunk(CONTENT), finish_chunk())
    lines = [*(f"data: {json.dumps(event)}" for event in events), "data: [DONE]", ""]
    return "\n\n".join(lines).encode()
