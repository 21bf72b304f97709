"""Chunks of any shape, and what the openai_chat dialect makes of them."""

import json
from typing import Any

from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.openai_chat.stream import ChatStream
from support.decoding import Decoded, failure_in, fed_to

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"


def chunk(delta: Json | None, finish: str | None = None, **more: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def text(value: str) -> Json:
    return chunk({"content": value})


def calls(*pieces: Json) -> Json:
    return chunk({"tool_calls": list(pieces)})


def piece(
    index: int | None = None,
    call_id: str | None = None,
    name: str | None = None,
    arguments: Any = None,
) -> Json:
    fields = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in fields.items() if value is not None}


def sse(*payloads: Json) -> bytes:
    return b"".join(b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads)


def fed(*data: bytes) -> Decoded:
    return fed_to(ChatStream(), data)


def answered(*payloads: Json) -> list[ProviderEvent]:
    """The events of a stream that ends well."""
    events, failure = fed(sse(*payloads) + DONE)
    assert failure is None
    return events


def failed(data: bytes) -> Failure:
    return failure_in(fed(data))


STOP = chunk({}, "stop")
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}
