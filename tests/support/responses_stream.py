"""Events of any shape, and what the openai_responses dialect makes of them."""

import json
from typing import Any

from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.openai_responses.stream import ResponseStream
from support.decoding import Decoded, failure_in, fed_to

Json = dict[str, Any]


def event(kind: str, **fields: Any) -> Json:
    return {"type": f"response.{kind}", **fields}


def text(delta: str, place: int | None = 0, item_id: str | None = None) -> Json:
    return _placed(event("output_text.delta", delta=delta), place, item_id)


def added(item: Json, place: int | None = 0) -> Json:
    return _placed(event("output_item.added", item=item), place, None)


def done(item: Json, place: int | None = 0) -> Json:
    return _placed(event("output_item.done", item=item), place, None)


def arguments(delta: str, place: int | None = 0, item_id: str | None = None) -> Json:
    return _placed(event("function_call_arguments.delta", delta=delta), place, item_id)


def summary(delta: str, section: int = 0, place: int = 0) -> Json:
    return event(
        "reasoning_summary_text.delta", delta=delta, summary_index=section, output_index=place
    )


def message(words: str, item_id: str = "msg_1") -> Json:
    content = [{"type": "output_text", "annotations": [], "text": words}]
    return {"id": item_id, "type": "message", "role": "assistant", "content": content}


def call(name: str, written: Any = "", number: int = 1) -> Json:
    return {
        "id": f"fc_{number}",
        "type": "function_call",
        "call_id": f"call_{number}",
        "name": name,
        "arguments": written,
    }


def reasoning(*sections: str, encrypted: str | None = None, item_id: str = "rs_1") -> Json:
    return {
        "id": item_id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": section} for section in sections],
        "encrypted_content": encrypted,
    }


def response(*output: Json, status: str = "completed", **more: Any) -> Json:
    return {"id": "resp_1", "object": "response", "status": status, "output": output, **more}


def completed(*output: Json, **more: Any) -> Json:
    return event("completed", response=response(*output, **more))


def sse(*payloads: Json, named: bool = False) -> bytes:
    return b"".join(
        (b"event: " + payload["type"].encode() + b"\n" if named else b"")
        + b"data: "
        + json.dumps(payload).encode()
        + b"\n\n"
        for payload in payloads
    )


def fed(*data: bytes) -> Decoded:
    return fed_to(ResponseStream(), data)


def answered(*payloads: Json) -> list[ProviderEvent]:
    """The events of a stream that ends well."""
    events, failure = fed(sse(*payloads))
    assert failure is None
    return events


def failed(data: bytes) -> Failure:
    return failure_in(fed(data))


def _placed(payload: Json, place: int | None, item_id: str | None) -> Json:
    if place is not None:
        payload["output_index"] = place
    if item_id is not None:
        payload["item_id"] = item_id
    return payload


CREATED = event("created", response=response(status="in_progress"))
COMPLETED = completed()
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 13,
}
