"""What the server sends: only the fields that are read, as loosely typed as servers differ.

Source: https://platform.openai.com/docs/api-reference/chat, and recorded answers of the servers
that imitate it.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder

Number = int | float | None


class Function(Struct, gc=False):
    """A called function; some servers send its arguments as an object instead of as JSON text."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


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
    reasoning_details: list[Any] | None = None
    tool_calls: list[ToolCall] | None = None


class StreamChoice(Struct, gc=False):
    """A choice in a stream; `stop_reason` is vLLM's: the stop sequence, or a token's number."""

    index: int | None = None
    delta: Message | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    error: Any = None


class BodyChoice(Struct, gc=False):
    """A choice in a whole answer."""

    message: Message | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    error: Any = None


class PromptDetails(Struct, gc=False):
    """What the prompt's tokens were."""

    cached_tokens: Number = None
    cache_write_tokens: Number = None


class CompletionDetails(Struct, gc=False):
    """What the completion's tokens were."""

    reasoning_tokens: Number = None


class TokenUsage(Struct, gc=False):
    """Token counts; DeepSeek's older models report cached ones as `prompt_cache_hit_tokens`."""

    prompt_tokens: Number = None
    completion_tokens: Number = None
    total_tokens: Number = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: Number = None


class Groq(Struct, gc=False):
    """Groq's own corner of a chunk."""

    usage: TokenUsage | None = None
    error: Any = None


class Chunk(Struct, gc=False):
    """One event of a stream; `object` is "error" in errors of older vLLM servers."""

    choices: list[StreamChoice] | None = None
    usage: TokenUsage | None = None
    error: Any = None
    object: str | None = None
    x_groq: Groq | None = None


class Body(Struct, gc=False):
    """A whole answer."""

    choices: list[BodyChoice] | None = None
    usage: TokenUsage | None = None
    error: Any = None
    object: str | None = None
    x_groq: Groq | None = None


CHUNK: Final = Decoder(Chunk)
BODY: Final = Decoder(Body)
