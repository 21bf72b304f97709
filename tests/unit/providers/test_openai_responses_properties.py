"""What nobody thought of: any stream, cut anywhere, ends in a finish or in a failure."""

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.events import (
    SignatureDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.dialect import WireError
from llmgateway_server.providers.openai_responses.stream import decode_body
from support.any_json import anything, bodies, streams
from support.decoding import assert_finish_or_failure, assert_split_changes_nothing, numbered
from support.responses_stream import COMPLETED, CREATED, Json, fed, sse

KEYS = st.sampled_from(
    [
        *("arguments", "call_id", "content", "delta", "encrypted_content", "error", "id", "item"),
        *("incomplete_details", "input_tokens", "item_id", "message", "name", "output"),
        *("output_index", "output_tokens", "reason", "response", "status", "summary"),
        *("summary_index", "text", "type", "usage"),
    ]
)
ANYTHING = anything(KEYS)
PLACES = st.none() | st.integers(0, 2)
NAMES = st.none() | st.sampled_from(["", "a", "b"])
WORDS = st.text(max_size=6)


def _item(kind: str, name: str | None, words: str, encrypted: str | None) -> Json:
    block = {"type": "output_text", "text": words}
    return {
        "type": kind,
        "id": name,
        "call_id": name,
        "name": name,
        "arguments": words,
        "content": [block],
        "summary": [block],
        "encrypted_content": encrypted,
    }


ITEMS = st.builds(
    _item,
    st.sampled_from(["message", "reasoning", "function_call", "web_search_call"]),
    NAMES,
    WORDS,
    NAMES,
)
PIECES = st.builds(
    lambda kind, place, name, words: {
        "type": f"response.{kind}.delta",
        "output_index": place,
        "item_id": name,
        "summary_index": place,
        "delta": words,
    },
    st.sampled_from(
        [
            *("output_text", "refusal", "function_call_arguments"),
            *("reasoning_summary_text", "reasoning_text"),
        ]
    ),
    PLACES,
    NAMES,
    WORDS,
)
HEADS = st.builds(
    lambda kind, place, item: {
        "type": f"response.output_item.{kind}",
        "output_index": place,
        "item": item,
    },
    st.sampled_from(["added", "done"]),
    PLACES,
    ITEMS,
)
LASTS = st.builds(
    lambda kind, output, usage: {
        "type": f"response.{kind}",
        "response": {"output": output, "usage": usage},
    },
    st.sampled_from(["completed", "incomplete", "failed", "cancelled"]),
    st.lists(ITEMS, max_size=3),
    ANYTHING,
)
KNOWN = (
    st.one_of(PIECES, PIECES, HEADS, LASTS, st.sampled_from([CREATED, COMPLETED])).map(sse),
    PIECES.map(sse),
    st.sampled_from([b"data: [DONE]\n\n", b"event: error\n", b": ping\n\n", b"\r\n"]),
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
        if isinstance(event, ToolCallDelta):
            assert bool(event.name) is bool(event.tool_call_id) is new
        elif not isinstance(event, SignatureDelta):
            assert event.text


@given(stream=STREAMS)
def test_counts_always_fit_the_contract(stream: bytes) -> None:
    for event in fed(stream)[0]:
        if isinstance(event, Usage):
            assert 0 <= event.cached_input_token_count <= event.input_token_count < 2**31
            assert 0 <= event.cache_write_input_token_count <= event.input_token_count
            assert 0 <= event.reasoning_token_count <= event.output_token_count < 2**31


@given(body=bodies(ANYTHING))
def test_any_body_is_an_answer_or_a_failure(body: bytes) -> None:
    try:
        events = decode_body(body)
    except WireError:
        return
    assert isinstance(events[-1], Finish)
