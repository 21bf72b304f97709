"""Chunks of any shape, and what the gemini dialect makes of them."""

import json
from typing import Any

from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.gemini.stream import GeminiStream
from support.decoding import Decoded, failure_in, fed_to

Json = dict[str, Any]
ANSWER_ID = "NgCzaZz6I6nUz7IPhsKmmQw"
USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13}


def chunk(*parts: Json, finish: str | None = None, **more: Any) -> Json:
    candidate: Json = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "responseId": ANSWER_ID, **more}


def text(value: str, **fields: Any) -> Json:
    return {"text": value, **fields}


def thought(value: str, **fields: Any) -> Json:
    return {"text": value, "thought": True, **fields}


def call(name: str, args: Any = None, call_id: str | None = None, **fields: Any) -> Json:
    function = {"id": call_id, "name": name, "args": args}
    said = {key: value for key, value in function.items() if value is not None}
    return {"functionCall": said, **fields}


def sse(*payloads: Json) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\r\n\r\n" for each in payloads)


def fed(*data: bytes) -> Decoded:
    return fed_to(GeminiStream(), data)


def answered(*payloads: Json) -> list[ProviderEvent]:
    """The events of a stream that ends well."""
    events, failure = fed(sse(*payloads))
    assert failure is None
    return events


def failed(data: bytes) -> Failure:
    return failure_in(fed(data))


STOP = chunk(finish="STOP")
