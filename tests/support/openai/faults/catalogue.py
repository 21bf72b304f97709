"""The catalogue of faults: every script in it by name."""

from support.openai.chunks import role_chunk, text_chunk
from support.openai.scripts import start_stream
from support.upstream import Conn, Script

FAULTS: dict[str, Script] = {}

CONTENT = "Once upon a time"
"""What the caller has got when a fault comes after content."""

# Long enough for what was sent before to be read apart from what follows.
_PAUSE_SECONDS = 0.05


def fault(script: Script) -> Script:
    """Enter a script under its own name."""
    FAULTS[script.__name__] = script
    return script


async def start_with_content(conn: Conn, *, chunked: bool = True) -> None:
    """Begin an answer as any other, up to and with its first content."""
    await start_stream(conn, chunked=chunked)
    await conn.event(role_chunk())
    await conn.event(text_chunk(CONTENT))
    await conn.sleep(_PAUSE_SECONDS)
