"""Responses that come as one JSON body."""

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
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.openai_responses.reasoning import signature_of
from llmgateway_server.providers.openai_responses.stream import decode_body
from support.responses_stream import USAGE, Json, call, message, reasoning, response


def failure_in(body: Json | bytes) -> Failure:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(WireError) as raised:
        decode_body(data)
    return raised.value.failure


def test_a_body_becomes_the_same_events() -> None:
    body = response(
        reasoning("Hm.", encrypted="gAAA"),
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        message("Calling"),
        call("add", "{1}"),
        call("mul", "{2}", 2),
        usage=USAGE,
        error=None,
        incomplete_details=None,
    )
    assert decode_body(b"\xef\xbb\xbf" + json.dumps(body).encode()) == [
        ReasoningDelta(0, "Hm."),
        SignatureDelta(0, signature_of("rs_1", "gAAA")),
        TextDelta(1, "Calling"),
        ToolCallDelta(2, "call_1", "add"),
        ToolCallDelta(2, arguments_json="{1}"),
        ToolCallDelta(3, "call_2", "mul"),
        ToolCallDelta(3, arguments_json="{2}"),
        Usage(9, 4, 3, 2, 1),
        Finish(FinishReason.TOOL_CALLS, "completed"),
    ]


def test_an_incomplete_body_says_why() -> None:
    body = response(
        message("a"), status="incomplete", incomplete_details={"reason": "content_filter"}
    )
    assert decode_body(json.dumps(body).encode())[-1] == Finish(
        FinishReason.CONTENT_FILTER, "content_filter"
    )


def test_a_body_without_a_status_ends_for_another_reason() -> None:
    body = json.dumps({"output": [message("a")]}).encode()
    assert decode_body(body) == [TextDelta(0, "a"), Finish(FinishReason.OTHER, "")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": [{"message": {"content": "Hi"}}]}',
        b'{"output": 7}',
        b'{"output": [7]}',
        b'{"x": ' + b"[" * 100_000,
        b'{"output": [], "error": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        # An answer in the background, which nobody asked for.
        b'{"status": "queued", "output": []}',
        b'{"status": "in_progress", "output": []}',
    ],
)
def test_a_body_without_an_answer_is_none(body: bytes) -> None:
    assert failure_in(body).reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_a_failed_body_is_a_failure() -> None:
    error = {"code": "rate_limit_exceeded", "message": "Slower."}
    body = response(message("a"), status="failed", error=error)
    assert failure_in(body) == Failure(
        Reason.PROVIDER_RATE_LIMITED, "Slower.", "rate_limit_exceeded"
    )


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_failure_without_words_is_one(status: str) -> None:
    failure = failure_in(response(status=status, error=None))
    assert (failure.reason, failure.code) == (Reason.PROVIDER_ERROR, status)


@pytest.mark.parametrize("error", [{"code": 429}, "overloaded"])
def test_an_error_in_place_of_an_answer_is_one(error: Json | str) -> None:
    assert failure_in({"error": error}).reason in {
        Reason.PROVIDER_RATE_LIMITED,
        Reason.PROVIDER_OVERLOADED,
    }


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_an_empty_error_is_none(error: object) -> None:
    body = response(message("a"), error=error)
    assert decode_body(json.dumps(body).encode())[-1] == Finish(FinishReason.STOP, "completed")
