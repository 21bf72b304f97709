"""What nobody thought of: any stream, cut anywhere, ends in a finish or in a failure."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.events import (
    SignatureDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.anthropic.stream import decode_body, decode_count
from llmgateway_server.providers.dialect import WireError
from llmgateway_server.providers.request_writing import RESPONSE_TOOL
from support.any_json import SCALARS, anything, bodies, streams
from support.decoding import assert_finish_or_failure, assert_split_changes_nothing, numbered
from support.message_stream import (
    Json,
    block_delta,
    block_start,
    block_stop,
    fed,
    message_end,
    message_start,
    sse,
)

KEYS = st.sampled_from(
    [
        "content",
        "content_block",
        "data",
        "delta",
        "error",
        "id",
        "index",
        "input",
        "input_tokens",
        "message",
        "name",
        "output_tokens",
        "partial_json",
        "signature",
        "stop_reason",
        "text",
        "thinking",
        "type",
        "usage",
    ]
)
WORDS = st.sampled_from(
    [
        "content_block_delta",
        "content_block_start",
        "error",
        "message",
        "message_delta",
        "message_start",
        "message_stop",
        "redacted_thinking",
        "text",
        "text_delta",
        "thinking",
        "tool_use",
    ]
)
ANYTHING = anything(KEYS, SCALARS | WORDS)
INDEX = st.integers(0, 3)
TEXT = st.text(max_size=4)


def starts() -> st.SearchStrategy[Json]:
    names = st.sampled_from(["add", RESPONSE_TOOL])
    return st.one_of(
        st.builds(block_start, INDEX, st.just("text"), text=TEXT),
        st.builds(block_start, INDEX, st.just("thinking"), thinking=TEXT, signature=TEXT),
        st.builds(block_start, INDEX, st.just("redacted_thinking"), data=TEXT),
        st.builds(block_start, INDEX, st.just("tool_use"), id=TEXT, name=names),
        st.builds(
            block_start, INDEX, st.just("tool_use"), id=TEXT, name=names, input=st.just({"x": 1})
        ),
        st.builds(block_start, INDEX, st.just("server_tool_use"), id=TEXT),
    )


def additions() -> st.SearchStrategy[Json]:
    return st.one_of(
        st.builds(block_delta, INDEX, st.just("text_delta"), text=TEXT),
        st.builds(block_delta, INDEX, st.just("thinking_delta"), thinking=TEXT),
        st.builds(block_delta, INDEX, st.just("signature_delta"), signature=TEXT),
        st.builds(block_delta, INDEX, st.just("input_json_delta"), partial_json=TEXT),
        st.builds(block_delta, INDEX, st.just("citations_delta"), citation=TEXT),
    )


KNOWN = (
    starts().map(sse),
    additions().map(sse),
    additions().map(sse),
    st.builds(block_stop, INDEX).map(sse),
    st.sampled_from(
        [
            sse(message_start(input_tokens=1)),
            sse(*message_end(output_tokens=2)),
            b"event: error\n",
            b"event: ping\ndata: {}\n\n",
            b": ping\n\n",
            b"\r\n",
        ]
    ),
)
STREAMS = streams(ANYTHING, KNOWN)
# Those that the API could send, and so come to an end.
WELL_FORMED = st.lists(starts() | additions() | st.builds(block_stop, INDEX), max_size=12).map(
    lambda payloads: sse(message_start(input_tokens=1), *payloads, *message_end())
)


@given(stream=STREAMS | WELL_FORMED, data=st.data())
def test_a_split_changes_nothing_in_any_stream(stream: bytes, data: st.DataObject) -> None:
    assert_split_changes_nothing(fed, stream, data)


@given(stream=STREAMS | WELL_FORMED)
def test_any_stream_ends_in_a_finish_or_a_failure(stream: bytes) -> None:
    events, failure = fed(stream)
    assert_finish_or_failure((events, failure))
    if failure is None:
        usages = [index for index, event in enumerate(events) if isinstance(event, Usage)]
        assert usages in ([], [len(events) - 2])


@given(stream=WELL_FORMED)
def test_what_the_api_could_send_is_an_answer(stream: bytes) -> None:
    _, failure = fed(stream)
    assert failure is None


@given(stream=STREAMS | WELL_FORMED)
def test_parts_are_numbered_without_gaps_and_keep_their_kind(stream: bytes) -> None:
    events, failure = fed(stream)
    arguments: dict[int, str] = {}
    for event, new in numbered(events):
        if isinstance(event, ToolCallDelta):
            assert bool(event.name) is bool(event.tool_call_id) is new
            before = arguments.get(event.part_index, "")
            arguments[event.part_index] = before + event.arguments_json
        elif isinstance(event, SignatureDelta):
            assert event.signature
        else:
            assert event.text
    if failure is None:
        assert all(arguments.values())


@given(body=bodies(ANYTHING))
def test_any_body_is_an_answer_or_a_failure(body: bytes) -> None:
    try:
        events = decode_body(body)
    except WireError:
        pass
    else:
        assert isinstance(events[-1], Finish)


@given(body=bodies(ANYTHING))
def test_any_body_is_a_count_or_a_failure(body: bytes) -> None:
    try:
        count = decode_count(body)
    except WireError:
        return
    assert 0 <= count < 2**31


@given(content=st.lists(ANYTHING, max_size=3), more=st.dictionaries(KEYS, ANYTHING, max_size=2))
def test_any_content_is_an_answer_or_a_failure(content: list[Any], more: dict[str, Any]) -> None:
    try:
        events = decode_body(json.dumps({"content": content} | more).encode())
    except WireError:
        return
    assert isinstance(events[-1], Finish)
