"""Answers that come as one JSON body."""

import json

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.openai_chat.stream import decode_body
from support.chat_stream import (
    USAGE,
)

BODY_CALLS = [
    {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{1}"}},
    {"id": "b", "type": "function", "function": {"name": "mul", "arguments": "{2}"}},
]


def test_a_body_becomes_the_same_events() -> None:
    message = {
        "role": "assistant",
        "reasoning_content": "Hm.",
        "content": "Calling",
        "tool_calls": BODY_CALLS,
    }
    body = {**USAGE, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    assert decode_body(b"\xef\xbb\xbf" + json.dumps(body).encode()) == [
        ReasoningDelta(0, "Hm."),
        TextDelta(1, "Calling"),
        ToolCallDelta(2, "a", "add", "{1}"),
        ToolCallDelta(3, "b", "mul", "{2}"),
        Usage(input_token_count=9, output_token_count=4),
        Finish(FinishReason.TOOL_CALLS, "stop"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": 7}]}',
        b'{"x": ' + b"[" * 100_000,
    ],
)
def test_a_body_without_an_answer_is_none(body: bytes) -> None:
    with pytest.raises(WireError) as raised:
        decode_body(body)
    assert raised.value.failure.reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_an_error_in_a_choice_is_an_error() -> None:
    choice = {"message": {"content": ""}, "finish_reason": "error", "error": {"code": 502}}
    with pytest.raises(WireError) as raised:
        decode_body(json.dumps({"choices": [choice]}).encode())
    assert raised.value.failure == Failure(Reason.PROVIDER_ERROR, "", "502")
