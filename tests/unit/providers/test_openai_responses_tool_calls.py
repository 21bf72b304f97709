"""Function calls in Responses streams: in pieces, whole, side by side, without their heads."""

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent, TextDelta, ToolCallDelta
from support.decoding import deltas
from support.responses_stream import (
    COMPLETED,
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
    reasoning,
    sse,
    text,
)

WHOLE = call("add", '{"a":1}')
IN_ONE = [
    ToolCallDelta(0, "call_1", "add"),
    ToolCallDelta(0, arguments_json='{"a":1}'),
    Finish(FinishReason.TOOL_CALLS, "completed"),
]


def folded(events: list[ProviderEvent]) -> dict[int, list[str]]:
    """Id, name and arguments of each call, by its part."""
    calls: dict[int, list[str]] = {}
    for event_ in events:
        if isinstance(event_, ToolCallDelta):
            entry = calls.setdefault(event_.part_index, [event_.tool_call_id, event_.name, ""])
            entry[2] += event_.arguments_json
    return calls


def test_a_call_is_its_head_and_then_its_arguments() -> None:
    assert answered(
        added(call("add")),
        arguments('{"a"'),
        arguments(":1}"),
        event("function_call_arguments.done", arguments='{"a":1}', output_index=0),
        done(WHOLE),
        completed(WHOLE),
    ) == [
        ToolCallDelta(0, "call_1", "add"),
        ToolCallDelta(0, arguments_json='{"a"'),
        ToolCallDelta(0, arguments_json=":1}"),
        Finish(FinishReason.TOOL_CALLS, "completed"),
    ]


@pytest.mark.parametrize(
    "payloads",
    [
        (done(WHOLE), COMPLETED),
        (added(call("add")), done(WHOLE), completed(WHOLE)),
        # xAI's head has the arguments already, and they come again.
        (added(WHOLE), arguments('{"a":1}'), done(WHOLE), completed(WHOLE)),
        (added(WHOLE), completed(WHOLE)),
        (completed(WHOLE),),
        (completed(call("add", {"a": 1})),),
    ],
)
def test_a_call_that_comes_whole_is_told_once(payloads: tuple[Json, ...]) -> None:
    events = answered(*payloads)
    assert [part[:2] for part in folded(events).values()] == [["call_1", "add"]]
    assert folded(events)[0][2].replace(" ", "") == '{"a":1}'
    assert events[-1] == Finish(FinishReason.TOOL_CALLS, "completed")


def test_arguments_sent_as_an_object_keep_their_numbers() -> None:
    data = sse(completed(call("add", 0))).replace(
        b'"arguments": 0', b'"arguments": {"n":12345678901234567890123.10}'
    )
    events, failure = fed(data)
    assert failure is None
    assert folded(events)[0][2] == '{"n":12345678901234567890123.10}'


def test_parallel_calls_may_be_interleaved() -> None:
    events = answered(
        added(call("add"), 0),
        added(call("mul", number=2), 1),
        arguments("{1", 0),
        arguments("{2", 1),
        arguments("}", 0),
        arguments("}", 1),
        done(call("mul", "{2}", 2), 1),
        done(call("add", "{1}"), 0),
        COMPLETED,
    )
    assert folded(events) == {0: ["call_1", "add", "{1}"], 1: ["call_2", "mul", "{2}"]}


def test_a_server_without_places_is_understood_by_its_ids() -> None:
    events = answered(
        added(call("add"), None),
        added(call("mul", number=2), None),
        arguments("{1}", None, "fc_1"),
        # llama.cpp names a call by its call id.
        arguments("{2}", None, "call_2"),
        COMPLETED,
    )
    assert folded(events) == {0: ["call_1", "add", "{1}"], 1: ["call_2", "mul", "{2}"]}


def test_pieces_without_place_and_id_belong_to_the_last_call() -> None:
    events = answered(
        added(call("add"), None),
        arguments("{1}", None),
        added(call("mul", number=2), None),
        arguments("{2}", None),
        COMPLETED,
    )
    assert folded(events) == {0: ["call_1", "add", "{1}"], 1: ["call_2", "mul", "{2}"]}


def test_ids_that_change_with_every_event_do_no_harm() -> None:
    events = answered(
        added({**call("add"), "id": "x1"}, 0),
        arguments("{1", 0, "x2"),
        arguments("}", 0, "x3"),
        done({**call("add", "{1}"), "id": "x4"}, 0),
        completed({**call("add", "{1}"), "id": "x5"}),
    )
    assert folded(events) == {0: ["call_1", "add", "{1}"]}


def test_one_place_for_all_calls_does_not_make_them_one() -> None:
    events = answered(
        added(call("add"), 0),
        arguments("{1}", 0),
        added(call("mul", number=2), 0),
        arguments("{2}", 0),
        COMPLETED,
    )
    assert folded(events) == {0: ["call_1", "add", "{1}"], 1: ["call_2", "mul", "{2}"]}


def test_the_last_list_may_leave_items_out() -> None:
    events = answered(
        done(reasoning("Hm."), 0),
        text("Calling", 1),
        added(call("add"), 2),
        completed(message("Calling"), WHOLE),
    )
    assert deltas(events)[1:] == [
        TextDelta(1, "Calling"),
        ToolCallDelta(2, "call_1", "add"),
        ToolCallDelta(2, arguments_json='{"a":1}'),
    ]


def test_arguments_before_the_name_wait_for_it() -> None:
    events = answered(arguments('{"a"'), arguments(":1}"), done(WHOLE), COMPLETED)
    assert events[0] == ToolCallDelta(0, "call_1", "add", '{"a":1}')
    assert len(deltas(events)) == 1


@pytest.mark.parametrize("written", ["", None])
def test_no_arguments_are_an_empty_object(written: str | None) -> None:
    events = answered(added(call("now", written)), done(call("now", written)), COMPLETED)
    assert folded(events) == {0: ["call_1", "now", "{}"]}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"call_id": None}, "fc_1"),
        ({"call_id": "", "id": None}, "call_0"),
        ({"call_id": 7, "id": []}, "call_0"),
    ],
)
def test_a_call_always_has_an_id_to_answer_it_by(ids: Json, expected: str) -> None:
    events = answered(done({**WHOLE, **ids}), COMPLETED)
    assert folded(events)[0][0] == expected


@pytest.mark.parametrize(
    "payloads",
    [
        (arguments("{}"),),
        (added({"type": "function_call", "id": "fc_1"}),),
        (done({**WHOLE, "name": None}),),
    ],
)
def test_a_call_without_a_name_is_none(payloads: tuple[Json, ...]) -> None:
    assert failed(sse(*payloads, COMPLETED)).reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_arguments_that_are_no_text_are_none() -> None:
    data = sse(completed(call("add", 0))).replace(b'"arguments": 0', b'"arguments": {"n":"\xff"}')
    assert failed(data).reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_calls_go_before_a_refusal() -> None:
    events = answered(event("refusal.delta", delta="No."), done(WHOLE, 1), COMPLETED)
    assert events[-1] == Finish(FinishReason.TOOL_CALLS, "completed")


def test_a_whole_call_is_a_head_and_arguments() -> None:
    assert answered(done(WHOLE), COMPLETED) == IN_ONE
