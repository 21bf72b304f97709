"""What streams of Messages come to, block by block."""

import json
from typing import Any

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    ReasoningDelta,
    SignatureDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.anthropic.stream import MessageStream
from support.decoding import deltas
from support.message_stream import (
    Json,
    answered,
    block_delta,
    block_start,
    block_stop,
    call_block,
    failed,
    fed,
    message_end,
    message_start,
    sse,
    text_block,
    thinking_block,
)

PING = {"type": "ping"}
# As llama.cpp (b11549) sent it, cut to one word: no ping, no input in the last usage.
LLAMA_CPP = b"""\
event: message_start
data: {"type":"message_start","message":{"id":"chatcmpl-kTjwHKtYVDoruUtaoFFjr9tDRKT6QIiy",\
"type":"message","role":"assistant","content":[],"model":"tiny","stop_reason":null,\
"stop_sequence":null,"usage":{"cache_read_input_tokens":30,"input_tokens":1,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"I"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},\
"usage":{"output_tokens":3}}

event: message_stop
data: {"type":"message_stop"}

"""


def said(*payloads: Json) -> list[StreamEvent]:
    """The deltas of an answer, neighbouring ones as one."""
    return merge(deltas(answered(*payloads, *message_end())))


def test_llama_cpp_speaks_it_too() -> None:
    assert fed(LLAMA_CPP) == (
        [
            TextDelta(0, "I"),
            Usage(input_token_count=31, output_token_count=3, cached_input_token_count=30),
            Finish(FinishReason.LENGTH, "max_tokens"),
        ],
        None,
    )


def test_text_of_one_read_is_one_delta() -> None:
    events = answered(*text_block(0, "Hel", "", "lo"), *message_end())
    assert events == [TextDelta(0, "Hello"), Finish(FinishReason.STOP, "end_turn")]


def test_text_is_told_as_it_comes() -> None:
    decoder = MessageStream()
    pieces = [sse(message_start(), block_start(0, "text", text="")), b"event: ping\n"]
    pieces += [sse(block_delta(0, "text_delta", text=word)) for word in ("a", "b")]
    assert [decoder.feed(piece) for piece in pieces] == [
        [],
        [],
        [TextDelta(0, "a")],
        [TextDelta(0, "b")],
    ]


def test_every_block_is_the_part_that_it_should_be() -> None:
    events = said(
        *thinking_block(0, "Look.", "c2ln"),
        *text_block(1, "So."),
        PING,
        *text_block(2, " Then."),
        *call_block(3, "toolu_1", "add", "", '{"x":', "1}"),
        *call_block(4, "toolu_2", "now", ""),
        *text_block(5, "Done."),
    )
    assert events == [
        ReasoningDelta(0, "Look."),
        SignatureDelta(0, b"thinking:c2ln"),
        TextDelta(1, "So. Then."),
        ToolCallDelta(2, "toolu_1", "add", '{"x":1}'),
        ToolCallDelta(3, "toolu_2", "now", "{}"),
        TextDelta(4, "Done."),
    ]


def test_each_block_of_thinking_has_its_own_signature() -> None:
    redacted = [block_start(2, "redacted_thinking", data="ZGF0YQ=="), block_stop(2)]
    assert said(*thinking_block(0, "a", "c2ln"), *thinking_block(1, "b", "c2ln"), *redacted) == [
        ReasoningDelta(0, "a"),
        SignatureDelta(0, b"thinking:c2ln"),
        ReasoningDelta(1, "b"),
        SignatureDelta(1, b"thinking:c2ln"),
        SignatureDelta(2, b"redacted_thinking:ZGF0YQ=="),
    ]


def test_thinking_that_is_not_shown_is_its_signature() -> None:
    assert said(*thinking_block(0, "", "c2ln"), *text_block(1, "x")) == [
        SignatureDelta(0, b"thinking:c2ln"),
        TextDelta(1, "x"),
    ]


def test_blocks_without_anything_are_no_parts() -> None:
    assert said(
        *thinking_block(0, "", ""),
        block_start(1, "redacted_thinking", data=""),
        *text_block(2, ""),
        *text_block(3, "x"),
    ) == [TextDelta(0, "x")]


def test_a_block_may_come_whole_with_its_start() -> None:
    assert said(
        block_start(0, "thinking", thinking="Look.", signature="c2ln"),
        block_start(1, "text", text="So."),
        block_start(2, "tool_use", id="toolu_1", name="add", input={"x": 1}),
    ) == [
        ReasoningDelta(0, "Look."),
        TextDelta(1, "So."),
        ToolCallDelta(2, "toolu_1", "add"),
        SignatureDelta(0, b"thinking:c2ln"),
        ToolCallDelta(2, arguments_json='{"x": 1}'),
    ]


@pytest.mark.parametrize("fields", [{}, {"input": None}, {"input": {}}])
def test_a_call_without_arguments_has_an_empty_object(fields: Json) -> None:
    # llama.cpp starts a call without `input`.
    assert said(block_start(0, "tool_use", id="toolu_1", name="now", **fields), block_stop(0)) == [
        ToolCallDelta(0, "toolu_1", "now", "{}")
    ]


def test_a_call_without_an_id_is_given_one() -> None:
    assert said(*call_block(0, "", "now"), *call_block(1, "", "now")) == [
        ToolCallDelta(0, "toolu_0", "now", "{}"),
        ToolCallDelta(1, "toolu_1", "now", "{}"),
    ]


def test_blocks_may_be_interleaved_and_end_late() -> None:
    # llama.cpp ends all blocks at the end.
    assert said(
        block_start(0, "tool_use", id="a", name="f"),
        block_start(1, "tool_use", id="b", name="f"),
        block_delta(0, "input_json_delta", partial_json='{"x":'),
        block_delta(1, "input_json_delta", partial_json='{"y":'),
        block_delta(0, "input_json_delta", partial_json="1}"),
        block_delta(1, "input_json_delta", partial_json="2}"),
        block_stop(0),
        block_stop(1),
    ) == [
        ToolCallDelta(0, "a", "f"),
        ToolCallDelta(1, "b", "f"),
        ToolCallDelta(0, arguments_json='{"x":'),
        ToolCallDelta(1, arguments_json='{"y":'),
        ToolCallDelta(0, arguments_json="1}"),
        ToolCallDelta(1, arguments_json="2}"),
    ]


UNKNOWN: list[list[Json]] = [
    [{"type": "ping"}],
    [{"type": "new_event", "index": "?", "delta": [1], "usage": "?"}],
    [block_delta(0, "citations_delta", citation={"cited_text": "x"})],
    [block_delta(0, "new_delta", text={"x": 1}, thinking=[2])],
    [block_start(9, "new_block", text=[1], input=[2], id=3), block_stop(9)],
    [block_start(9, "new_block"), block_delta(9, "text_delta", text="unheard"), block_stop(9)],
    [
        block_start(9, "server_tool_use", id="srv", name="web_search", input={}),
        block_delta(9, "input_json_delta", partial_json='{"query":"x"}'),
        block_stop(9),
    ],
    [block_start(9, "web_search_tool_result", tool_use_id="srv", content=[{"url": "x"}])],
    [block_delta(9, "input_json_delta", partial_json="{}")],
    [block_stop(9)],
]


@pytest.mark.parametrize("payloads", UNKNOWN)
def test_what_is_not_known_is_not_heard(payloads: list[Json]) -> None:
    assert said(
        block_start(0, "text", text=""),
        block_delta(0, "text_delta", text="a"),
        *payloads,
        block_delta(0, "text_delta", text="b"),
        block_stop(0),
    ) == [TextDelta(0, "ab")]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("refusal", FinishReason.REFUSAL),
        ("pause_turn", FinishReason.OTHER),
        ("compaction", FinishReason.OTHER),
        (None, FinishReason.OTHER),
    ],
)
def test_the_servers_word_for_the_end_is_kept(word: str | None, reason: FinishReason) -> None:
    *_, finish = answered(*text_block(0, "x"), *message_end(word))
    assert finish == Finish(reason, word or "")


def test_a_stop_sequence_is_named() -> None:
    *_, finish = answered(*text_block(0, "x"), *message_end("stop_sequence", "END"))
    assert finish == Finish(FinishReason.STOP, "stop_sequence", "END")


def test_a_call_is_a_call_whatever_the_servers_word() -> None:
    *_, finish = answered(*call_block(0, "a", "f"), *message_end("end_turn"))
    assert finish == Finish(FinishReason.TOOL_CALLS, "end_turn")


def test_an_answer_may_be_empty() -> None:
    assert answered(*message_end()) == [Finish(FinishReason.STOP, "end_turn")]


def test_nothing_is_heard_after_the_end() -> None:
    stream = sse(message_start(), *text_block(0, "x"), *message_end())
    assert fed(stream, stream, b"data: {\n\n") == fed(stream)
    assert fed(stream + stream + b"data: {\n\n") == fed(stream)


def test_the_names_of_events_do_where_their_types_are_missing() -> None:
    payloads = [message_start(), *text_block(0, "x"), *message_end()]
    untyped = b"".join(
        f"event: {payload.pop('type')}\ndata: {json.dumps(payload)}\n\n".encode()
        for payload in map(dict, payloads)
    )
    assert fed(untyped) == fed(sse(*payloads))


def test_the_types_do_where_the_names_are_missing() -> None:
    stream = sse(message_start(), *text_block(0, "x"), *message_end())
    unnamed = b"".join(
        line + b"\n" for line in stream.split(b"\n") if not line.startswith(b"event:")
    )
    assert fed(unnamed) == fed(stream)


@pytest.mark.parametrize("extra", [b"data: [DONE]\n\n", b"data:\n\n", b": ping\n\n"])
def test_what_other_servers_send_between_events_is_nothing(extra: bytes) -> None:
    start, end = sse(message_start(), *text_block(0, "x")), sse(*message_end())
    assert fed(start + extra + end) == fed(start + end)


def test_line_ends_and_marks_of_every_kind_are_read() -> None:
    stream = sse(message_start(), *text_block(0, "x"), *message_end())
    assert fed(b"\xef\xbb\xbf" + stream.replace(b"\n", b"\r\n")) == fed(stream)


def test_the_last_event_may_lack_its_line_end() -> None:
    stream = sse(message_start(), *text_block(0, "x"), *message_end())
    assert fed(stream[:-2]) == fed(stream)


@pytest.mark.parametrize("upto", range(1, 6))
def test_an_end_in_the_middle_is_a_failure(upto: int) -> None:
    payloads = [message_start(), *text_block(0, "x"), *message_end()]
    failure = failed(sse(*payloads[:upto]))
    assert failure.reason is Reason.PROVIDER_ERROR
    assert failure.message == "its stream ended in the middle of the answer"


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b": nothing\n\n",
        b"event: ping\ndata: {}\n\n",
        b"data: {}\n\ndata: [DONE]\n\n",
        sse({"type": "message_stop"}),
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n',
    ],
)
def test_a_stream_without_an_answer_is_none(stream: bytes) -> None:
    failure = failed(stream)
    assert failure.reason is Reason.PROVIDER_PROTOCOL_ERROR
    assert failure.message == "its stream holds no answer"


@pytest.mark.parametrize(
    "data",
    [
        b"Internal error",
        b"5",
        b"[]",
        b"{",
        b'{"type":"content_block_delta","index":"0","delta":{"type":"text_delta","text":"x"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":5}}',
        b'{"type":"content_block_delta","index":0,"delta":"x"}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":5}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a"}}',
        b'{"type":"message_start","message":5}',
        b'{"type":"message_delta","delta":{"stop_reason":5}}',
        b'{"type":["message_delta"]}',
        b'{"type":"content_block_start","content_block":'
        b'{"type":"tool_use","name":"f","input":[1]}}',
        b'{"type":"content_block_start","content_block":'
        b'{"type":"tool_use","name":"f","input":{"\xff":1}}}',
        b'{"type":"new_event","x":' + b"[" * 100_000,
    ],
)
def test_what_had_to_be_understood_and_is_not_is_a_failure(data: bytes) -> None:
    events, failure = fed(sse(message_start(), *text_block(0, "x")) + b"data: " + data + b"\n\n")
    assert failure is not None
    assert failure.reason is Reason.PROVIDER_PROTOCOL_ERROR
    assert deltas(events) == [TextDelta(0, "x")]


def test_a_line_without_end_is_a_failure() -> None:
    failure = failed(sse(message_start()) + b"data: " + b"x" * (1024 * 1024 + 1))
    assert failure.message == "one line of it is longer than allowed"


def test_many_blocks_take_linear_time() -> None:
    payloads: list[Any] = [block_start(n, "tool_use", id=f"t{n}", name="f") for n in range(20_000)]
    events = answered(*payloads, *message_end("tool_use"))
    assert len(events) == 2 * 20_000 + 1


def test_large_integers_are_carried_as_text() -> None:
    huge = 10**400
    events = said(block_start(0, "tool_use", id="a", name="f", input={"n": huge}), block_stop(0))
    assert events == [ToolCallDelta(0, "a", "f", json.dumps({"n": huge}))]
