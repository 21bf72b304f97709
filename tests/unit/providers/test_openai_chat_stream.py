"""Chat Completions streams as events: every server's habits, ends and failures."""

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    ReasoningDelta,
    TextDelta,
)
from llmgateway_server.providers.openai_chat.stream import ChatStream
from support.chat_stream import (
    DONE,
    STOP,
    USAGE,
    Json,
    answered,
    calls,
    chunk,
    failed,
    fed,
    piece,
    sse,
    text,
)
from support.decoding import deltas


def test_text_arrives_as_it_was_sent_and_the_finish_is_last() -> None:
    assert answered(chunk({"role": "assistant", "content": ""}), text("Hi"), STOP, USAGE) == [
        TextDelta(0, "Hi"),
        Usage(input_token_count=9, output_token_count=4),
        Finish(FinishReason.STOP, "stop"),
    ]


def test_nothing_is_finished_before_the_end_is_sure() -> None:
    decoder = ChatStream()
    assert decoder.feed(sse(text("Hi"), STOP)) == [TextDelta(0, "Hi")]
    assert decoder.feed(sse(USAGE)) == []
    assert [type(event) for event in decoder.feed(DONE)] == [Usage, Finish]


def test_usage_is_known_before_the_end() -> None:
    decoder = ChatStream()
    decoder.feed(sse(text("Hi"), USAGE))
    assert decoder.usage == Usage(input_token_count=9, output_token_count=4)


def test_an_end_after_a_reason_needs_no_done() -> None:
    events, failure = fed(sse(text("Hi"), STOP))
    assert failure is None
    assert events[-1] == Finish(FinishReason.STOP, "stop")


def test_a_done_without_its_line_end_counts() -> None:
    events, failure = fed(sse(text("Hi")) + b"data: [DONE]")
    assert failure is None
    assert events[-1] == Finish(FinishReason.OTHER, "")


def test_a_done_without_a_reason_is_an_end_for_another_reason() -> None:
    assert answered(text("4"))[-1] == Finish(FinishReason.OTHER, "")


def test_an_end_without_reason_and_done_is_a_failure() -> None:
    assert failed(sse(text("Hi"))).reason is Reason.PROVIDER_ERROR


def test_an_end_in_the_middle_of_an_event_is_a_cut_and_no_malformed_event() -> None:
    assert failed(sse(text("Hi")) + b'data: {"choices":[{"del').reason is Reason.PROVIDER_ERROR


def test_an_end_in_the_middle_of_the_usage_costs_the_usage_only() -> None:
    events, failure = fed(sse(text("Hi"), STOP) + sse(USAGE)[:20])
    assert failure is None
    assert events == [TextDelta(0, "Hi"), Finish(FinishReason.STOP, "stop")]


@pytest.mark.parametrize("data", [b"", b": ping\n\n" * 9, DONE, sse(USAGE) + DONE, b"<html>"])
def test_a_stream_without_an_answer_is_none(data: bytes) -> None:
    assert failed(data).reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_what_follows_the_done_is_not_read() -> None:
    decoder = ChatStream()
    decoder.feed(sse(text("Hi"), STOP) + DONE + b"data: garbage\n\n")
    assert decoder.feed(b"data: more garbage\n\n") == []
    assert decoder.end() == []
    assert decoder.failure is None


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: null\n\n",
        b"data: []\n\n",
        b'data: {"choices": {}}\n\n',
        b'data: {"choices": [{"delta": {"content": 7}}]}\n\n',
        b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n',
        b'data: {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n",
        b"data: " + b"a" * 2**20 + b"\n\n",
    ],
)
def test_an_event_that_is_no_chunk_breaks_the_answer_and_keeps_what_came(data: bytes) -> None:
    events, failure = fed(sse(text("Hi")) + data, DONE)
    assert events == [TextDelta(0, "Hi")]
    assert failure is not None
    assert failure.reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_empty_events_and_unknown_fields_are_nothing() -> None:
    events, failure = fed(
        b"data:\n\nid: 7\nretry: 5\n\n"
        + sse({"choices": None}, {"p": "pad"}, {"choices": [], "prompt_filter_results": [{}]})
        + sse(text("Hi"), chunk(None), STOP)
        + DONE
    )
    assert failure is None
    assert deltas(events) == [TextDelta(0, "Hi")]


def test_only_the_first_choice_is_heard() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}]}
    assert answered(text("yes"), other, STOP, other) == [
        TextDelta(0, "yes"),
        Finish(FinishReason.STOP, "stop"),
    ]


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "Hm.", "content": "Yes"},
        {"reasoning": "Hm.", "content": "Yes"},
        {"reasoning": "Hm.", "reasoning_content": "Hm.", "content": "Yes"},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                {"type": "reference", "reference_ids": [1]},
                {"type": "text", "text": "Yes"},
                7,
            ]
        },
    ],
)
def test_reasoning_comes_before_its_text_by_whatever_name(delta: Json) -> None:
    assert deltas(answered(chunk(delta), STOP)) == [
        ReasoningDelta(0, "Hm."),
        TextDelta(1, "Yes"),
    ]


def test_empty_text_does_not_divide_reasoning() -> None:
    pieces = [chunk({"role": "assistant", "content": "", "reasoning": word}) for word in "ab"]
    assert deltas(answered(*pieces, text("c"), STOP)) == [
        ReasoningDelta(0, "a"),
        ReasoningDelta(0, "b"),
        TextDelta(1, "c"),
    ]


def test_a_refusal_is_text_with_a_finish_of_its_own() -> None:
    events = answered(chunk({"refusal": "I "}), chunk({"refusal": "won't."}), STOP)
    assert events == [
        TextDelta(0, "I "),
        TextDelta(0, "won't."),
        Finish(FinishReason.REFUSAL, "stop"),
    ]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("model_length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("refusal", FinishReason.REFUSAL),
        ("something_new", FinishReason.OTHER),
    ],
)
def test_the_finish_keeps_the_providers_word(word: str, reason: FinishReason) -> None:
    assert answered(text("a"), chunk({}, word))[-1] == Finish(reason, word)


def test_a_stop_with_tool_calls_is_a_tool_call() -> None:
    events = answered(calls(piece(0, "a", "add", "{}")), STOP)
    assert events[-1] == Finish(FinishReason.TOOL_CALLS, "stop")


def test_a_finish_may_be_repeated_and_corrected() -> None:
    corrected = chunk({"content": ""}, "length")
    events = answered(text("a"), STOP, chunk({}, None), STOP, corrected)
    assert events == [TextDelta(0, "a"), Finish(FinishReason.LENGTH, "length")]


def test_vllm_names_the_stop_sequence() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"}
    assert answered(text("a"), {"choices": [choice]})[-1] == Finish(
        FinishReason.STOP, "stop", stop_sequence="END"
    )


def test_vllms_stop_token_is_no_sequence() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": 128009}
    assert answered(text("a"), {"choices": [choice]})[-1] == Finish(FinishReason.STOP, "stop")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("error", Reason.PROVIDER_ERROR),
        ("abort", Reason.PROVIDER_ERROR),
        ("insufficient_system_resource", Reason.PROVIDER_OVERLOADED),
    ],
)
def test_a_finish_that_means_trouble_is_a_failure(word: str, reason: Reason) -> None:
    assert failed(sse(text("a"), chunk({}, word)) + DONE).reason is reason
