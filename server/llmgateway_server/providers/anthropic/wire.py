"""What the server sends: only the fields that are read, as loosely typed as servers differ.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming, and recorded answers.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder


class StartedMessage(Struct, gc=False):
    """The message of message_start."""

    usage: Any = None


class Block(Struct, gc=False):
    """A content block, or the start of one: llama.cpp starts a tool call without `input`."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = Raw(b"{}")


class Delta(Struct, gc=False):
    """What is added to a block, or, in message_delta, to the message."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class Event(Struct, gc=False):
    """One event of a stream."""

    type: str = ""
    index: int | None = None
    delta: Delta | None = None
    content_block: Block | None = None
    message: StartedMessage | None = None
    usage: Any = None
    error: Any = None


class Body(Struct, gc=False):
    """A whole answer."""

    type: str = ""
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Any = None
    error: Any = None


class TokenCount(Struct, gc=False):
    """The answer of count_tokens."""

    type: str = ""
    input_tokens: Any = None
    error: Any = None


class Outline(Struct, gc=False):
    """Of an event, a body or a block that reads as nothing above: what it says that it is."""

    type: Any = None
    delta: Any = None
    content_block: Any = None
    error: Any = None


EVENT: Final = Decoder(Event)
BODY: Final = Decoder(Body)
BLOCK: Final = Decoder(Block)
TOKEN_COUNT: Final = Decoder(TokenCount)
OUTLINE: Final = Decoder(Outline)
