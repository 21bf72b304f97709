"""Errors inside a stream that began with 200."""

from support.openai.chunks import error_chunk, finish_chunk
from support.openai.faults.catalogue import fault, start_with_content
from support.openai.scripts import start_stream
from support.upstream import Conn


@fault
async def in_stream_error_first(conn: Conn) -> None:
    await start_stream(conn)
    await conn.event(error_chunk())
    await conn.end()


@fault
async def in_stream_error_after_content(conn: Conn) -> None:
    await start_with_content(conn)
    await conn.event(error_chunk())
    await conn.end()


@fault
async def in_stream_error_event_first(conn: Conn) -> None:
    """The same as Groq sends it: an event with a name, the status inside, no [DONE]."""
    await start_stream(conn)
    await conn.event(_groq_error(), name="error")
    await conn.end()


@fault
async def in_stream_error_event_after_content(conn: Conn) -> None:
    await start_with_content(conn)
    await conn.event(_groq_error(), name="error")
    await conn.end()


@fault
async def in_stream_error_with_choices_after_content(conn: Conn) -> None:
    """The same as OpenRouter sends it: beside choices that look like a finish, then [DONE]."""
    await start_with_content(conn)
    error_ = {"code": 502, "message": "Provider disconnected"}
    await conn.event({**finish_chunk("error"), "error": error_})
    await conn.done()


@fault
async def in_stream_rate_limit_first(conn: Conn) -> None:
    await start_stream(conn)
    await conn.event(error_chunk("Rate limit reached.", "requests", "rate_limit_exceeded"))
    await conn.end()


def _groq_error() -> dict[str, object]:
    details = {
        "message": "Tool call validation failed",
        "type": "invalid_request_error",
        "code": "tool_use_failed",
        "failed_generation": '{"name": "add"}',
        "status_code": 400,
    }
    return {"error": details}
