"""Tool calls as servers stream them: whole, in pieces, interleaved, half identified."""

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    TextDelta,
    ToolCallDelta,
)
from support.chat_stream import (
    DONE,
    STOP,
    Json,
    answered,
    calls,
    chunk,
    failed,
    piece,
    sse,
    text,
)
from support.decoding import deltas


def test_parallel_calls_may_be_interleaved() -> None:
    events = answered(
        text("Calling"),
        calls(piece(0, "a", "add", "")),
        calls(piece(1, "b", "mul", "")),
        calls(piece(0, arguments='{"x"')),
        calls(piece(1, arguments="{}")),
        calls(piece(0, arguments=":1}")),
        chunk({}, "tool_calls"),
    )
    assert events == [
        TextDelta(0, "Calling"),
        ToolCallDelta(1, "a", "add", ""),
        ToolCallDelta(2, "b", "mul", ""),
        ToolCallDelta(1, arguments_json='{"x"'),
        ToolCallDelta(2, arguments_json="{}"),
        ToolCallDelta(1, arguments_json=":1}"),
        Finish(FinishReason.TOOL_CALLS, "tool_calls"),
    ]


WHOLE = [ToolCallDelta(0, "a", "add", "{1}"), ToolCallDelta(1, "b", "mul", "{2}")]


@pytest.mark.parametrize(
    "payloads",
    [
        pytest.param(
            [calls(piece(0, "a", "add", "{1}"), piece(1, "b", "mul", "{2}"))], id="at once"
        ),
        pytest.param(
            [calls(piece(0, "a", "add", "{1}")), calls(piece(1, "b", "mul", "{2}"))], id="in turn"
        ),
        pytest.param(
            [calls(piece(None, "a", "add", "{1}"), piece(None, "b", "mul", "{2}"))], id="no index"
        ),
        pytest.param(
            [calls(piece(0, "a", "add", "{1}")), calls(piece(0, "b", "mul", "{2}"))],
            id="one index, two ids",
        ),
    ],
)
def test_whole_calls_are_told_apart(payloads: list[Json]) -> None:
    assert deltas(answered(*payloads, chunk({}, "tool_calls"))) == WHOLE


def test_pieces_without_an_index_belong_to_the_last_call() -> None:
    events = answered(
        calls(piece(None, "a", "add", "")),
        calls(piece(None, None, None, '{"x":')),
        calls(piece(None, "a", None, "1}")),
        STOP,
    )
    assert deltas(events) == [
        ToolCallDelta(0, "a", "add", ""),
        ToolCallDelta(0, arguments_json='{"x":'),
        ToolCallDelta(0, arguments_json="1}"),
    ]


def test_id_and_name_that_are_repeated_are_said_once() -> None:
    events = answered(
        calls(piece(0, "a", "add", "{")), calls(piece(0, "a", "add", "}")), chunk({}, "tool_calls")
    )
    assert deltas(events) == [
        ToolCallDelta(0, "a", "add", "{"),
        ToolCallDelta(0, arguments_json="}"),
    ]


def test_arguments_wait_for_the_name_that_goes_first() -> None:
    events = answered(
        calls(piece(0, "a")),
        calls(piece(0, arguments="{")),
        calls(piece(0, None, "add", "}")),
        STOP,
    )
    assert deltas(events) == [ToolCallDelta(0, "a", "add", "{}")]


def test_a_call_without_an_id_gets_one() -> None:
    events = answered(calls(piece(0, None, "add", "{}")), calls(piece(1, None, "mul", "{}")), STOP)
    ids = [event.tool_call_id for event in events if isinstance(event, ToolCallDelta)]
    assert len(set(ids)) == len(ids) == 2
    assert all(ids)


def test_arguments_that_are_an_object_become_json_text() -> None:
    events = answered(calls(piece(0, "a", "add", {"x": 1})), STOP)
    assert deltas(events) == [ToolCallDelta(0, "a", "add", '{"x":1}')]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = answered(calls(piece(0, "a", "now", "")), chunk({}, "tool_calls"))
    assert deltas(events) == [
        ToolCallDelta(0, "a", "now", ""),
        ToolCallDelta(0, arguments_json="{}"),
    ]


def test_a_call_without_a_name_cannot_be_made() -> None:
    failure = failed(sse(calls(piece(0, "a", None, "{}")), STOP) + DONE)
    assert failure.reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_an_answer_given_as_a_call_is_text_and_ends_as_an_answer() -> None:
    events = answered(
        calls(piece(0, "a", "llmgateway_response", "")),
        calls(piece(0, arguments='{"n":')),
        calls(piece(0, arguments="1}")),
        chunk({}, "tool_calls"),
    )
    assert events == [
        TextDelta(0, '{"n":'),
        TextDelta(0, "1}"),
        Finish(FinishReason.STOP, "tool_calls"),
    ]
