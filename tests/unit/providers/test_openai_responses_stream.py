"""Responses streams as events: the items, the ends, and what servers leave out."""

from typing import Any

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import TextDelta, ToolCallDelta
from llmgateway_server.providers.openai_responses.stream import ResponseStream
from support.decoding import deltas
from support.responses_stream import (
    COMPLETED,
    CREATED,
    USAGE,
    Json,
    added,
    answered,
    arguments,
    call,
    completed,
    done,
    event,
    failed,
    fed,
    message,
    response,
    sse,
    text,
)


def test_text_arrives_as_it_was_sent_and_the_finish_is_last() -> None:
    assert answered(
        CREATED, added(message("")), text("Hi"), done(message("Hi")), completed(usage=USAGE)
    ) == [
        TextDelta(0, "Hi"),
        Usage(
            input_token_count=9,
            output_token_count=4,
            cached_input_token_count=3,
            cache_write_input_token_count=2,
            reasoning_token_count=1,
        ),
        Finish(FinishReason.STOP, "completed"),
    ]


def test_the_text_of_one_read_is_one_delta() -> None:
    assert answered(text("Good "), text("mor"), text(""), text("ning"), COMPLETED) == [
        TextDelta(0, "Good morning"),
        Finish(FinishReason.STOP, "completed"),
    ]


@pytest.mark.parametrize("named", [True, False])
def test_events_are_known_by_their_payload(named: bool) -> None:
    decoder = ResponseStream()
    assert decoder.feed(sse(CREATED, text("Hi"), named=named)) == [TextDelta(0, "Hi")]
    finish = decoder.feed(sse(COMPLETED, named=named))
    assert finish == [Finish(FinishReason.STOP, "completed")]


def test_openrouters_done_is_neither_an_end_nor_a_fault() -> None:
    events, failure = fed(sse(text("Hi")), b"data: [DONE]\n\n", sse(COMPLETED))
    assert failure is None
    assert events[-1] == Finish(FinishReason.STOP, "completed")
    assert failed(sse(text("Hi")) + b"data: [DONE]\n\n").reason is Reason.PROVIDER_ERROR


def test_messages_are_parts_of_their_own() -> None:
    events = answered(
        text("Let me see.", 0), done(message("Let me see.")), text("It is.", 1), COMPLETED
    )
    assert deltas(events) == [TextDelta(0, "Let me see."), TextDelta(1, "It is.")]


def test_messages_of_a_server_that_counts_no_places_are_told_apart_by_their_heads() -> None:
    first, second = message("", "msg_1"), message("", "msg_2")
    events = answered(
        added(first, None),
        text("a", None, "msg_1"),
        done(message("a", "msg_1"), None),
        added(second, None),
        text("b", None, "msg_2"),
        done(message("b", "msg_2"), None),
        completed(message("a", "msg_1"), message("b", "msg_2")),
    )
    assert deltas(events) == [TextDelta(0, "a"), TextDelta(1, "b")]


def test_a_refusal_is_text_with_a_finish_of_its_own() -> None:
    refusal: Json = {"id": "msg_1", "type": "message", "content": [{"refusal": "I won't."}]}
    assert answered(
        event("refusal.delta", delta="I ", output_index=0),
        event("refusal.delta", delta="won't.", output_index=0),
        done(refusal),
        completed(refusal),
    ) == [
        TextDelta(0, "I "),
        TextDelta(0, "won't."),
        Finish(FinishReason.REFUSAL, "completed"),
    ]


@pytest.mark.parametrize(
    "rest",
    [
        (done(message("whole")), COMPLETED),
        (added(message("")), text(""), done(message("whole")), COMPLETED),
        (completed(message("whole")),),
        (added(message("")), completed(message("whole"))),
        (done(message("whole")), completed(message("whole"))),
    ],
)
def test_text_that_comes_whole_is_told_once(rest: tuple[Json, ...]) -> None:
    assert deltas(answered(*rest)) == [TextDelta(0, "whole")]


def test_a_whole_refusal_is_a_refusal() -> None:
    item: Json = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    assert answered(completed(item)) == [
        TextDelta(0, "No."),
        Finish(FinishReason.REFUSAL, "completed"),
    ]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("max_output_tokens", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("steered", FinishReason.OTHER),
    ],
)
def test_an_incomplete_answer_says_why(reason: str, expected: FinishReason) -> None:
    incomplete = response(status="incomplete", incomplete_details={"reason": reason})
    events = answered(text("a"), event("incomplete", response=incomplete))
    assert events[-1] == Finish(expected, reason)


def test_an_incomplete_answer_without_a_reason_ends_for_another() -> None:
    last = event("incomplete", response=response(status="incomplete"))
    assert answered(text("a"), last)[-1] == Finish(FinishReason.OTHER, "incomplete")


def test_the_status_goes_before_the_events_name() -> None:
    incomplete = response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    last = event("completed", response=incomplete)
    assert answered(text("a"), last)[-1] == Finish(FinishReason.LENGTH, "max_output_tokens")


@pytest.mark.parametrize("last", [event("completed", response={}), completed(status="in_progress")])
def test_an_end_that_says_nothing_of_its_status_is_what_its_name_says(last: Json) -> None:
    assert answered(text("a"), last)[-1] == Finish(FinishReason.STOP, "completed")


def test_a_length_is_a_length_with_tool_calls_too() -> None:
    incomplete = response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    events = answered(added(call("f")), event("incomplete", response=incomplete))
    assert events[-1] == Finish(FinishReason.LENGTH, "max_output_tokens")


def test_an_end_without_a_last_event_is_a_failure() -> None:
    failure = failed(sse(CREATED, text("Hi"), done(message("Hi"))))
    assert failure.reason is Reason.PROVIDER_ERROR
    assert "middle" in failure.message
    assert failed(sse(CREATED)).reason is Reason.PROVIDER_ERROR
    assert failed(sse(text("Hi"))).reason is Reason.PROVIDER_ERROR


def test_an_end_in_the_middle_of_an_event_is_a_cut_and_no_malformed_event() -> None:
    failure = failed(sse(text("Hi")) + sse(COMPLETED)[:-20])
    assert failure.reason is Reason.PROVIDER_ERROR


def test_a_last_event_without_its_line_end_counts() -> None:
    events, failure = fed(sse(text("Hi"), COMPLETED).rstrip(b"\n"))
    assert failure is None
    assert events[-1] == Finish(FinishReason.STOP, "completed")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b": ping\n\n" * 9,
        b"data: [DONE]\n\n",
        b"<html>",
        # Chat Completions.
        b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n',
    ],
)
def test_a_stream_without_an_answer_is_none(data: bytes) -> None:
    assert failed(data).reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_what_follows_the_last_event_is_not_read() -> None:
    decoder = ResponseStream()
    decoder.feed(sse(text("Hi"), COMPLETED) + b"data: garbage\n\n")
    assert decoder.feed(b"data: more garbage\n\n") == []
    assert decoder.end() == []
    assert decoder.failure is None


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: null\n\n",
        b"data: []\n\n",
        b'data: {"type": "response.output_text.delta", "delta": 7}\n\n',
        b'data: {"type": "response.output_text.delta", "delta": "\xff"}\n\n',
        b'data: {"type": "response.refusal.delta", "delta": []}\n\n',
        b'data: {"type": "response.reasoning_text.delta", "delta": {}}\n\n',
        b'data: {"type": "response.function_call_arguments.delta", "delta": {}}\n\n',
        b'data: {"type": "response.output_item.done", "item": 7}\n\n',
        b'data: {"type": "response.completed", "response": []}\n\n',
        b'data: {"type": "response.completed", "response": {"output": 7}}\n\n',
        b'data: {"type": "response.completed", "response": {"error": ' + b"[" * 9999 + b"]}}\n\n",
        b'data: {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n",
        b"data: " + b"a" * 2**20 + b"\n\n",
    ],
)
def test_an_event_that_cannot_be_read_breaks_the_answer_and_keeps_what_came(data: bytes) -> None:
    events, failure = fed(sse(text("Hi")) + data, sse(COMPLETED))
    assert events == [TextDelta(0, "Hi")]
    assert failure is not None
    assert failure.reason is Reason.PROVIDER_PROTOCOL_ERROR


@pytest.mark.parametrize(
    "unknown",
    [
        {},
        {"type": None},
        {"type": 7, "delta": []},
        {"type": ["response.output_text.delta"], "delta": "no"},
        {"type": {"response.completed": 1}},
        event("something_new", delta={"a": 1}, output_index="x", item=7, response=[]),
        event("web_search_call.searching", output_index=0, item_id="ws_1"),
        event("custom_tool_call_input.delta", delta="no", output_index=0),
        event("output_text.done", text="no", output_index=0),
        added({"id": "ws_1", "type": "web_search_call", "action": {"type": "search"}}),
        done({"id": "ct_1", "type": "custom_tool_call", "name": 7, "content": "no"}),
        done({"type": ["message"]}),
        done({}),
        event("output_text.delta", delta=None, output_index=0),
        event("output_text.delta", output_index=0),
    ],
)
def test_what_is_not_known_is_nothing(unknown: Any) -> None:
    events, failure = fed(b"data:\n\nid: 7\n\n" + sse(unknown, text("Hi"), unknown, COMPLETED))
    assert failure is None
    assert events == [TextDelta(0, "Hi"), Finish(FinishReason.STOP, "completed")]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ({"input_tokens": 0, "output_tokens": 0}, Usage()),
        (
            {"input_tokens": 5, "output_tokens": None, "input_tokens_details": None},
            Usage(input_token_count=5),
        ),
        (
            {
                "input_tokens": 5,
                "input_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 8},
                "output_tokens": 3,
                "output_tokens_details": {"reasoning_tokens": 4},
            },
            Usage(12, 3, 7, 8, 3),
        ),
        ({"input_tokens": 10**12, "output_tokens": -1}, Usage(2**31 - 1, 0)),
        ({"input_tokens": 1.0, "output_tokens": 1e300}, Usage(1, 2**31 - 1)),
    ],
)
def test_usage_is_counted_as_the_contract_counts(usage: Any, expected: Usage | None) -> None:
    events = answered(text("a"), completed(usage=usage))
    assert [event_ for event_ in events if isinstance(event_, Usage)] == (
        [expected] if expected else []
    )


def test_usage_is_known_after_a_failure() -> None:
    decoder = ResponseStream()
    broken = response(status="failed", error={"code": "server_error"}, usage=USAGE)
    decoder.feed(sse(text("a"), event("failed", response=broken)))
    assert decoder.failure is not None
    assert decoder.usage is not None
    assert decoder.usage.input_token_count == 9


def test_a_call_between_texts_keeps_their_order() -> None:
    events = answered(
        text("a", 0), added(call("f"), 1), arguments("{}", 1), text("b", 2), COMPLETED
    )
    assert deltas(events) == [
        TextDelta(0, "a"),
        ToolCallDelta(1, "call_1", "f"),
        ToolCallDelta(1, arguments_json="{}"),
        TextDelta(2, "b"),
    ]
