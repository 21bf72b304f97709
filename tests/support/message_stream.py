"""Events of any shape, and what the anthropic dialect makes of them."""

import json
from typing import Any

from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.anthropic.stream import MessageStream
from llmgateway_server.providers.dialect import Failure
from support.decoding import Decoded, failure_in, fed_to

Json = dict[str, Any]


def message_start(**usage: Any) -> Json:
    return {"type": "message_start", "message": {"content": [], "usage": usage}}


def block_start(index: int, block_type: str, **fields: Any) -> Json:
    block = {"type": block_type, **fields}
    return {"type": "content_block_start", "index": index, "content_block": block}


def block_delta(index: int, delta_type: str, **fields: Any) -> Json:
    delta = {"type": delta_type, **fields}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def block_stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def text_block(index: int, *pieces: str) -> list[Json]:
    deltas = [block_delta(index, "text_delta", text=piece) for piece in pieces]
    return [block_start(index, "text", text=""), *deltas, block_stop(index)]


def thinking_block(index: int, text: str, signature: str) -> list[Json]:
    return [
        block_start(index, "thinking", thinking="", signature=""),
        block_delta(index, "thinking_delta", thinking=text),
        block_delta(index, "signature_delta", signature=signature),
        block_stop(index),
    ]


def call_block(index: int, call_id: str, name: str, *pieces: str) -> list[Json]:
    deltas = [block_delta(index, "input_json_delta", partial_json=piece) for piece in pieces]
    head = block_start(index, "tool_use", id=call_id, name=name, input={})
    return [head, *deltas, block_stop(index)]


def message_end(
    word: str | None = "end_turn", stop_sequence: str | None = None, **usage: Any
) -> list[Json]:
    delta = {"stop_reason": word, "stop_sequence": stop_sequence}
    return [
        {"type": "message_delta", "delta": delta, "usage": usage},
        {"type": "message_stop"},
    ]


def sse(*payloads: Json) -> bytes:
    return b"".join(
        f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n".encode()
        for payload in payloads
    )


def fed(*data: bytes) -> Decoded:
    return fed_to(MessageStream(), data)


def answered(*payloads: Json) -> list[ProviderEvent]:
    """The events of a stream that ends well, between the start and the end that all have."""
    events, failure = fed(sse(message_start(), *payloads))
    assert failure is None
    return events


def failed(data: bytes) -> Failure:
    return failure_in(fed(data))
