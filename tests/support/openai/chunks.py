"""Builders of chat completion chunks, field for field as OpenAI sends them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

MODEL = "gpt-test-2026-11-01"
COMPLETION_ID = "chatcmpl-CT3stq7mYw0v9ZbR1aUeHd5kLx2nP"
CREATED = 1_793_000_000


@dataclass(frozen=True)
class ToolCall:
    """A tool call and the pieces its arguments are streamed in."""

    id: str
    name: str
    pieces: Sequence[str]

    @property
    def arguments(self) -> str:
        """The arguments, whole."""
        return "".join(self.pieces)


def role_chunk(*, content: str | None = "") -> Json:
    """The first chunk of a choice; it carries no content yet."""
    return _chunk({"role": "assistant", "content": content, "refusal": None})


def text_chunk(text: str) -> Json:
    """A piece of the answer."""
    return _chunk({"content": text})


def reasoning_chunk(text: str) -> Json:
    """A piece of reasoning, as DeepSeek, llama.cpp and Z.ai name it."""
    return _chunk({"content": None, "reasoning_content": text})


def tool_head_chunk(index: int, call_id: str, name: str, arguments: str = "") -> Json:
    """The first chunk of a tool call: the only one with its id and name."""
    function = {"name": name, "arguments": arguments}
    head = {"index": index, "id": call_id, "type": "function", "function": function}
    return _chunk({"tool_calls": [head]})


def tool_piece_chunk(index: int, arguments: str) -> Json:
    """A further piece of a tool call's arguments."""
    return _chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})


def finish_chunk(reason: str = "stop") -> Json:
    """The last chunk of a choice: an empty delta and the reason."""
    return _chunk({}, finish_reason=reason)


def usage_chunk(
    prompt_tokens: int = 12,
    completion_tokens: int = 5,
    *,
    cached_tokens: int = 0,
    reasoning_tokens: int = 0,
) -> Json:
    """The chunk after the last: no choices, the whole call's usage."""
    usage = usage_object(prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens)
    return {**_envelope("chat.completion.chunk"), "choices": [], "usage": usage}


def error_body(message: str, type_: str, code: str | int | None, param: str | None = None) -> Json:
    """The body of a failed call."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def error_chunk(
    message: str = "The server had an error while processing your request.",
    type_: str = "server_error",
    code: str | None = None,
) -> Json:
    """An error inside a stream that began with 200."""
    return error_body(message, type_, code)


def completion(
    text: str | None, tool_calls: Sequence[ToolCall], finish: str, usage: Json | None
) -> Json:
    """The body of a call that was not streamed."""
    message: Json = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in tool_calls
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return {**_envelope("chat.completion"), "choices": [choice], "usage": usage}


def usage_object(prompt: int, completed: int, cached: int = 0, reasoning: int = 0) -> Json:
    """Usage as OpenAI counts: cached is part of prompt, reasoning part of completion."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completed,
        "total_tokens": prompt + completed,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
    }


def _chunk(delta: Json, *, finish_reason: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**_envelope("chat.completion.chunk"), "choices": [choice], "usage": None}


def _envelope(kind: str) -> Json:
    return {
        "id": COMPLETION_ID,
        "object": kind,
        "created": CREATED,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_3f5d2c81ab",
    }
