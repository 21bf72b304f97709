"""What nobody thought of: any stream, cut anywhere, ends in a finish or in a failure."""

import json

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.events import (
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.dialect import WireError
from llmgateway_server.providers.openai_chat.stream import decode_body
from support.chat_stream import (
    DONE,
    USAGE,
    chunk,
    deltas,
    fed,
    piece,
    sse,
)

# JSON of the right names with anything inside.
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from(
    [
        "arguments",
        "choices",
        "content",
        "delta",
        "error",
        "finish_reason",
        "function",
        "id",
        "index",
        "message",
        "name",
        "object",
        "reasoning",
        "stop_reason",
        "text",
        "tool_calls",
        "type",
        "usage",
        "x_groq",
    ]
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": st.text(max_size=8) | st.none() | st.lists(ANYTHING, max_size=2),
        "reasoning": st.text(max_size=8) | st.none(),
        "refusal": st.text(max_size=8) | st.none(),
        "tool_calls": st.lists(
            st.builds(
                piece,
                st.none() | st.integers(0, 2),
                st.none() | st.sampled_from(["", "a", "b"]),
                st.none() | st.sampled_from(["", "add"]),
                st.none() | st.text(max_size=4) | st.just({"x": 1}),
            ),
            max_size=3,
        ),
    },
)
CHUNKS = st.builds(chunk, DELTAS, st.none() | st.sampled_from(["stop", "tool_calls", "error"]))
EVENTS = st.one_of(
    CHUNKS.map(sse),
    CHUNKS.map(sse),
    ANYTHING.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n"),
    st.binary(max_size=20),
    st.sampled_from([DONE, sse(USAGE), b"event: error\n", b": ping\n\n", b"\r\n"]),
)
STREAMS = st.lists(EVENTS, max_size=12).map(b"".join)


@given(stream=STREAMS, data=st.data())
def test_a_split_changes_nothing_in_any_stream(stream: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(stream)))
    middle = data.draw(st.integers(at, len(stream)))
    events, failure = fed(stream[:at], stream[at:middle], stream[middle:])
    whole, expected = fed(stream)
    # Neighbouring text is joined within a read, so where the reads fall shows in the pieces alone.
    assert (merge(events), failure) == (merge(whole), expected)


@given(stream=STREAMS)
def test_any_stream_ends_in_a_finish_or_a_failure(stream: bytes) -> None:
    events, failure = fed(stream)
    finishes = [event for event in events if isinstance(event, Finish)]
    assert len(finishes) == (1 if failure is None else 0)
    if failure is None:
        assert events[-1] is finishes[0]
        assert [type(event) for event in events].count(Usage) <= 1


@given(stream=STREAMS)
def test_parts_are_numbered_without_gaps_and_keep_their_kind(stream: bytes) -> None:
    events, _ = fed(stream)
    kinds: dict[int, type] = {}
    for event in deltas(events):
        assert isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta)
        assert event.part_index <= len(kinds)
        new = event.part_index not in kinds
        assert kinds.setdefault(event.part_index, type(event)) is type(event)
        if isinstance(event, ToolCallDelta):
            assert bool(event.name) is bool(event.tool_call_id) is new
        else:
            assert event.text


@given(body=ANYTHING.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
def test_any_body_is_an_answer_or_a_failure(body: bytes) -> None:
    try:
        events = decode_body(body)
    except WireError:
        return
    assert isinstance(events[-1], Finish)
