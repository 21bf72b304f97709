"""What the server sends: only the fields that are read, as loosely typed as servers differ.

What an answer can do without (counts, details) may be of any type here; what it is made of may
not, since leaving it out would change what was said.

Source: https://platform.openai.com/docs/api-reference/chat, and recorded answers of the servers
that imitate it.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder


class Function(Struct, gc=False):
    """A called function.

    Some servers send its arguments as an object instead of as JSON text, and none as a list.
    """

    name: str | None = None
    arguments: str | dict[str, Any] | list[Any] | None = None


class ToolCall(Struct, gc=False):
    """A tool call, or a piece of one; `index` tells parallel ones apart, where it is there."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Message(Struct, gc=False):
    """A message or a piece of one.

    `content` is a list of blocks at Mistral's reasoning models. Reasoning goes by two names:
    `reasoning_content` (DeepSeek, llama.cpp, Z.ai) and `reasoning` (OpenRouter, Groq, Ollama).
    `reasoning_details` are OpenRouter's, with what has to be given back.
    """

    content: str | list[Any] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: Any = None
    tool_calls: list[ToolCall | None] | None = None


class StreamChoice(Struct, gc=False):
    """A choice in a stream.

    `stop_reason` is vLLM's: the stop sequence, or a token's number. Servers in PHP write an empty
    object, which a last delta is, as an empty list.
    """

    index: int | None = None
    delta: Message | list[Any] | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    usage: Any = None
    error: Any = None


class BodyChoice(Struct, gc=False):
    """A choice in a whole answer."""

    message: Message | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    usage: Any = None
    error: Any = None


class Chunk(Struct, gc=False):
    """One event of a stream.

    `object` is "error" in errors of older vLLM servers; `x_groq` is Groq's own corner.
    """

    choices: list[StreamChoice | None] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    x_groq: Any = None


class Body(Struct, gc=False):
    """A whole answer."""

    choices: list[BodyChoice | None] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    x_groq: Any = None


CHUNK: Final = Decoder(Chunk)
BODY: Final = Decoder(Body)
