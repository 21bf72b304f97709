"""Chunks of any shape, and what the openai_chat dialect makes of them."""

import json
from collections.abc import Sequence
from typing import Any

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.openai_chat.stream import ChatStream

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


def fed(*data: bytes) -> tuple[list[ProviderEvent], Failure | None]:
    decoder = ChatStream()
    events = [event for piece_ in data for event in decoder.feed(piece_)]
    return events + decoder.end(), decoder.failure


def answered(*payloads: Json) -> list[ProviderEvent]:
    """The events of a stream that ends well."""
    events, failure = fed(sse(*payloads) + DONE)
    assert failure is None
    return events


def failed(data: bytes) -> Failure:
    events, failure = fed(data)
    assert failure is not None
    assert not any(isinstance(event, Finish) for event in events)
    return failure


def deltas(events: Sequence[ProviderEvent]) -> list[ProviderEvent]:
    return [event for event in events if not isinstance(event, Usage | Finish)]


STOP = chunk({}, "stop")
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}
