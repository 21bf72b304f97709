"""generateContent streams as events: texts, thoughts, calls, ends and failures."""

import json
from typing import Any

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.gemini.stream import GeminiStream
from support.decoding import deltas
from support.gemini_stream import (
    ANSWER_ID,
    STOP,
    USAGE,
    answered,
    call,
    chunk,
    failed,
    fed,
    sse,
    text,
    thought,
)

OVERLOADED = {
    "error": {
        "code": 503,
        "message": "The model is overloaded. Please try again later.",
        "status": "UNAVAILABLE",
    }
}


def test_text_arrives_as_it_was_sent_and_the_finish_is_last() -> None:
    events = answered(
        chunk(text("Hi"), usageMetadata={"promptTokenCount": 9}),
        chunk(text(" you"), finish="STOP", usageMetadata=USAGE),
    )
    assert events == [
        TextDelta(0, "Hi you"),
        Usage(input_token_count=9, output_token_count=4),
        Finish(FinishReason.STOP, "STOP"),
    ]


def test_each_piece_is_told_when_it_comes_and_the_finish_at_the_end() -> None:
    decoder = GeminiStream()
    assert decoder.feed(sse(chunk(text("Hi")))) == [TextDelta(0, "Hi")]
    assert decoder.feed(sse(chunk(text("!"), finish="STOP"))) == [TextDelta(0, "!")]
    assert decoder.feed(sse(chunk(usageMetadata=USAGE))) == []
    assert [type(event) for event in decoder.end()] == [Usage, Finish]
    assert decoder.end() == []
    assert decoder.feed(sse(chunk(text("more")))) == []


def test_usage_and_the_answers_id_are_known_before_the_end() -> None:
    decoder = GeminiStream()
    assert (decoder.usage, decoder.request_id) == (None, "")
    decoder.feed(sse(chunk(text("Hi"), usageMetadata=USAGE)))
    assert decoder.usage == Usage(input_token_count=9, output_token_count=4)
    assert decoder.request_id == ANSWER_ID


def test_the_last_event_needs_no_blank_line() -> None:
    events, failure = fed(sse(chunk(text("Hi")), STOP).rstrip())
    assert failure is None
    assert events[-1] == Finish(FinishReason.STOP, "STOP")


@pytest.mark.parametrize(
    "end", [b"", sse({"usageMetadata": USAGE}), b'data: {"candidates": [{"con']
)
def test_an_end_without_a_reason_is_a_failure(end: bytes) -> None:
    failure = failed(sse(chunk(text("Hi"))) + end)
    assert failure.reason is Reason.PROVIDER_ERROR
    assert "in the middle" in failure.message


def test_an_unspecified_reason_is_none() -> None:
    data = sse(chunk(text("Hi"), finish="FINISH_REASON_UNSPECIFIED"))
    assert failed(data).reason is Reason.PROVIDER_ERROR


@pytest.mark.parametrize(
    "data",
    [b"", b": ping\n\n" * 9, sse({}), sse({"usageMetadata": USAGE}), b"<html>", b"data:\n\n"],
)
def test_a_stream_without_an_answer_is_none(data: bytes) -> None:
    assert failed(data).reason is Reason.PROVIDER_PROTOCOL_ERROR


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: null\n\n",
        b"data: []\n\n",
        b'data: {"candidates": {}}\n\n',
        b'data: {"candidates": [{"content": {"parts": [{"text": 7}]}}]}\n\n',
        b'data: {"candidates": [{"content": {"parts": [{"text": "\xff"}]}}]}\n\n',
        sse(chunk(call(""))),
        sse(chunk(call("f", [1]))),
        sse(chunk(call("f", 7))),
        b'data: {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args":'
        b' {"a": "\xff"}}}]}}]}\n\n',
        b'data: {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n",
        b"data: " + b"a" * 2**20 + b"\n\n",
    ],
)
def test_an_event_that_is_no_chunk_breaks_the_answer_and_keeps_what_came(data: bytes) -> None:
    events, failure = fed(sse(chunk(text("Hi"))) + data, sse(STOP))
    assert events == [TextDelta(0, "Hi")]
    assert failure is not None
    assert failure.reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_chunks_may_say_nothing() -> None:
    events = answered(
        {"candidates": None},
        {"candidates": []},
        {"candidates": [{"index": 0}]},
        {"candidates": [{"content": {}}]},
        {"candidates": [{"content": {"parts": None, "role": "model"}}]},
        {"promptFeedback": {"safetyRatings": []}, "modelVersion": "m", "unheard": {"of": 1}},
        chunk(text("")),
        chunk({"executableCode": {"code": "1"}}, {"inlineData": {"mimeType": "image/png"}}),
        chunk(text("Hi"), {"videoMetadata": {}}, text("!")),
        STOP,
    )
    assert events == [TextDelta(0, "Hi!"), Finish(FinishReason.STOP, "STOP")]


def test_only_the_first_candidate_is_heard() -> None:
    other = {"index": 1, "content": {"parts": [text("no")]}, "finishReason": "SAFETY"}
    payload = chunk(text("yes"), finish="STOP")
    payload["candidates"].append(other)
    assert answered(payload, {"candidates": [other]}) == [
        TextDelta(0, "yes"),
        Finish(FinishReason.STOP, "STOP"),
    ]


def test_thoughts_are_reasoning_and_stay_apart_from_the_text() -> None:
    events = answered(
        chunk(thought("**Plan**")),
        chunk(thought(""), thought(" more")),
        chunk(text("Yes")),
        chunk(thought("Hm.")),
        STOP,
    )
    assert deltas(events) == [
        ReasoningDelta(0, "**Plan**"),
        ReasoningDelta(0, " more"),
        TextDelta(1, "Yes"),
        ReasoningDelta(2, "Hm."),
    ]


def test_a_signature_is_a_reasoning_part_directly_before_what_it_came_on() -> None:
    events = answered(
        chunk(text("a")),
        chunk(text("b", thoughtSignature="c2ln")),
        chunk(text("c")),
        chunk(call("f", {}, "id1", thoughtSignature="Y2FsbA=="), call("g", {}, "id2")),
        chunk(text("", thoughtSignature="ZW1wdHk=")),
        STOP,
    )
    assert deltas(events) == [
        TextDelta(0, "a"),
        SignatureDelta(1, b"text:c2ln"),
        TextDelta(2, "b"),
        TextDelta(3, "c"),
        SignatureDelta(4, b"call:Y2FsbA=="),
        ToolCallDelta(5, "id1", "f", "{}"),
        ToolCallDelta(6, "id2", "g", "{}"),
        SignatureDelta(7, b"empty:ZW1wdHk="),
    ]


def test_a_signed_thought_is_a_part_of_its_own() -> None:
    events = answered(
        chunk(thought("a")),
        chunk(thought("b", thoughtSignature="c2ln")),
        chunk(thought("c")),
        chunk(thought("", thoughtSignature="b25seQ==")),
        STOP,
    )
    assert deltas(events) == [
        ReasoningDelta(0, "a"),
        ReasoningDelta(1, "b"),
        SignatureDelta(1, b"thought:c2ln"),
        ReasoningDelta(2, "c"),
        SignatureDelta(3, b"thought:b25seQ=="),
    ]


def test_calls_without_an_id_get_one_that_is_unique() -> None:
    events = answered(chunk(call("f", {"a": 1}), call("f", {"a": 2})), chunk(call("g")), STOP)
    assert deltas(events) == [
        ToolCallDelta(0, f"gemini_{ANSWER_ID}_0", "f", '{"a": 1}'),
        ToolCallDelta(1, f"gemini_{ANSWER_ID}_1", "f", '{"a": 2}'),
        ToolCallDelta(2, f"gemini_{ANSWER_ID}_2", "g", "{}"),
    ]


def test_ids_are_unique_even_where_the_answer_has_none() -> None:
    ids = set()
    for _ in range(2):
        (event, *_) = answered(chunk(call("f"), responseId=None, finish="STOP"))
        assert isinstance(event, ToolCallDelta)
        ids.add(event.tool_call_id)
    assert len(ids) == 2


def test_an_id_that_google_gives_is_kept() -> None:
    (event, *_) = answered(chunk(call("f", {}, "8f2b1a3c"), finish="STOP"))
    assert event == ToolCallDelta(0, "8f2b1a3c", "f", "{}")


def test_arguments_are_kept_as_they_were_written() -> None:
    args = '{"big":12345678901234567890.10,  "e": 1E+3, "s": "\\u00e9\\/"}'
    part = '{"functionCall": {"name": "f", "args": ' + args + "}}"
    body = '{"candidates": [{"content": {"parts": [' + part + ']}, "finishReason": "STOP"}]}'
    events, _ = fed(f"data: {body}\n\n".encode())
    assert isinstance(events[0], ToolCallDelta)
    assert events[0].arguments_json == args


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("RECITATION", FinishReason.CONTENT_FILTER),
        ("BLOCKLIST", FinishReason.CONTENT_FILTER),
        ("PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER),
        ("SPII", FinishReason.CONTENT_FILTER),
        ("IMAGE_SAFETY", FinishReason.CONTENT_FILTER),
        ("MODEL_ARMOR", FinishReason.CONTENT_FILTER),
        ("ESCALATION", FinishReason.CONTENT_FILTER),
        ("LANGUAGE", FinishReason.OTHER),
        ("OTHER", FinishReason.OTHER),
        ("MALFORMED_FUNCTION_CALL", FinishReason.OTHER),
        ("UNEXPECTED_TOOL_CALL", FinishReason.OTHER),
        ("TOO_MANY_TOOL_CALLS", FinishReason.OTHER),
        ("MALFORMED_RESPONSE", FinishReason.OTHER),
        ("MISSING_THOUGHT_SIGNATURE", FinishReason.OTHER),
        ("CONTINUATION", FinishReason.OTHER),
        ("SOMETHING_NEW", FinishReason.OTHER),
    ],
)
def test_the_finish_keeps_the_providers_word(word: str, reason: FinishReason) -> None:
    assert answered(chunk(text("a"), finish=word))[-1] == Finish(reason, word)


def test_a_stop_with_calls_is_a_tool_call_and_other_reasons_stay() -> None:
    for word, reason in (("STOP", FinishReason.TOOL_CALLS), ("MAX_TOKENS", FinishReason.LENGTH)):
        events = answered(chunk(call("f")), chunk(finish=word))
        assert events[-1] == Finish(reason, word)


def test_thoughts_may_use_up_all_tokens() -> None:
    usage = {"promptTokenCount": 9, "thoughtsTokenCount": 64}
    candidate = {"finishReason": "MAX_TOKENS", "index": 0}
    assert answered({"candidates": [candidate], "usageMetadata": usage}) == [
        Usage(input_token_count=9, output_token_count=64, reasoning_token_count=64),
        Finish(FinishReason.LENGTH, "MAX_TOKENS"),
    ]


@pytest.mark.parametrize("usage", [{}, {"usageMetadata": {"promptTokenCount": 7}}])
def test_a_blocked_prompt_is_a_finish_with_the_providers_word(usage: dict[str, Any]) -> None:
    payload = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **usage}
    events = answered(payload)
    assert events[-1] == Finish(FinishReason.CONTENT_FILTER, "PROHIBITED_CONTENT")
    assert len(events) == 1 + len(usage)


def test_an_error_in_the_middle_is_classified_and_keeps_what_came() -> None:
    events, failure = fed(sse(chunk(text("Hi")), OVERLOADED, chunk(text("no"), finish="STOP")))
    assert events == [TextDelta(0, "Hi")]
    assert failure is not None
    assert (failure.reason, failure.code) == (Reason.PROVIDER_OVERLOADED, "UNAVAILABLE")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("error", [OVERLOADED, [OVERLOADED]])
@pytest.mark.parametrize("before", [b"", sse(chunk(text("Hi"))), sse(STOP)])
def test_an_error_may_come_as_bare_json_line_by_line(
    newline: str, error: object, before: bytes
) -> None:
    data = before + json.dumps(error, indent=2).replace("\n", newline).encode()
    whole = fed(data)
    assert whole[1] is not None
    assert whole[1].reason is Reason.PROVIDER_OVERLOADED
    for at in range(len(data)):
        assert fed(data[:at], data[at:]) == whole


@pytest.mark.parametrize("bare", [b'{"a": 1}\n', b"[" * 100_000, b"{" + b" " * 200_000])
def test_bare_json_that_is_no_error_is_a_protocol_error(bare: bytes) -> None:
    assert failed(sse(chunk(text("Hi"))) + bare).reason is Reason.PROVIDER_PROTOCOL_ERROR
