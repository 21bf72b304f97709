"""Answers that come as one JSON body, or as a JSON list of chunks."""

import json

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.dialect import WireError
from llmgateway_server.providers.gemini.stream import decode_body
from support.gemini_stream import ANSWER_ID, USAGE, call, chunk, text, thought


def test_a_body_becomes_the_same_events() -> None:
    body = chunk(
        thought("Hm."),
        text("Calling"),
        call("add", {"a": 1}, thoughtSignature="c2ln"),
        finish="STOP",
        usageMetadata=USAGE,
    )
    assert decode_body(b"\xef\xbb\xbf" + json.dumps(body).encode()) == [
        ReasoningDelta(0, "Hm."),
        TextDelta(1, "Calling"),
        SignatureDelta(2, b"call:c2ln"),
        ToolCallDelta(3, f"gemini_{ANSWER_ID}_0", "add", '{"a": 1}'),
        Usage(input_token_count=9, output_token_count=4),
        Finish(FinishReason.TOOL_CALLS, "STOP"),
    ]


def test_a_list_of_chunks_is_a_stream() -> None:
    chunks = [chunk(text("Hi")), chunk(text("!"), finish="STOP", usageMetadata=USAGE)]
    assert decode_body(b"\n" + json.dumps(chunks, indent=1).encode()) == [
        TextDelta(0, "Hi!"),
        Usage(input_token_count=9, output_token_count=4),
        Finish(FinishReason.STOP, "STOP"),
    ]


@pytest.mark.parametrize("in_list", [True, False])
def test_a_blocked_prompt_is_an_answer(*, in_list: bool) -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {}}
    events = decode_body(json.dumps([body] if in_list else body).encode())
    assert events == [Finish(FinishReason.CONTENT_FILTER, "SAFETY")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"[7]",
        b"{}",
        b'{"candidates": []}',
        b'{"candidates": 7}',
        b'{"models": [{"name": "models/x"}]}',
        b'{"x": ' + b"[" * 100_000,
        b"[" * 100_000,
    ],
)
def test_a_body_without_an_answer_is_none(body: bytes) -> None:
    with pytest.raises(WireError) as raised:
        decode_body(body)
    assert raised.value.failure.reason is Reason.PROVIDER_PROTOCOL_ERROR


@pytest.mark.parametrize("body", [chunk(text("Hi")), [chunk(text("Hi")), chunk(text("!"))]])
def test_an_answer_without_a_reason_was_cut(body: object) -> None:
    with pytest.raises(WireError) as raised:
        decode_body(json.dumps(body).encode())
    assert raised.value.failure.reason is Reason.PROVIDER_ERROR


def test_an_error_is_found_wherever_a_list_has_it() -> None:
    error = {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}
    for body in (error, [error], [chunk(text("Hi")), error]):
        with pytest.raises(WireError) as raised:
            decode_body(json.dumps(body).encode())
        assert raised.value.failure.reason is Reason.PROVIDER_RATE_LIMITED
