"""What nobody thought of: any stream, cut anywhere, ends in a finish or in a failure."""

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish
from llmgateway_server.domain.events import (
    SignatureDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.dialect import WireError
from llmgateway_server.providers.openai_chat.stream import decode_body
from support.any_json import anything, bodies, streams
from support.chat_stream import (
    DONE,
    USAGE,
    chunk,
    fed,
    piece,
    sse,
)
from support.decoding import assert_finish_or_failure, assert_split_changes_nothing, numbered

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
ANYTHING = anything(KEYS)
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
KNOWN = (
    CHUNKS.map(sse),
    CHUNKS.map(sse),
    st.sampled_from([DONE, sse(USAGE), b"event: error\n", b": ping\n\n", b"\r\n"]),
)
STREAMS = streams(ANYTHING, KNOWN)


@given(stream=STREAMS, data=st.data())
def test_a_split_changes_nothing_in_any_stream(stream: bytes, data: st.DataObject) -> None:
    assert_split_changes_nothing(fed, stream, data)


@given(stream=STREAMS)
def test_any_stream_ends_in_a_finish_or_a_failure(stream: bytes) -> None:
    assert_finish_or_failure(fed(stream))


@given(stream=STREAMS)
def test_parts_are_numbered_without_gaps_and_keep_their_kind(stream: bytes) -> None:
    for event, new in numbered(fed(stream)[0]):
        assert not isinstance(event, SignatureDelta)
        if isinstance(event, ToolCallDelta):
            assert bool(event.name) is bool(event.tool_call_id) is new
        else:
            assert event.text


@given(body=bodies(ANYTHING))
def test_any_body_is_an_answer_or_a_failure(body: bytes) -> None:
    try:
        events = decode_body(body)
    except WireError:
        return
    assert isinstance(events[-1], Finish)
