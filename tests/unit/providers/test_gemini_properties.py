"""What nobody thought of: any stream, cut anywhere, ends in a finish or in a failure."""

import json

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from llmgateway_server.domain.answer import Finish
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    SignatureDelta,
    StreamEvent,
    ToolCallDelta,
)
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.gemini.counting import read_count
from llmgateway_server.providers.gemini.embeddings import read_embeddings
from llmgateway_server.providers.gemini.failure import failure_in_answer, failure_of_response
from llmgateway_server.providers.gemini.stream import decode_body
from support.any_json import SCALARS, anything, bodies, streams
from support.decoding import assert_finish_or_failure, numbered, pieces_of
from support.gemini_stream import STOP, USAGE, call, chunk, fed, sse, text, thought

KEYS = st.sampled_from(
    [
        *("args", "blockReason", "candidates", "code", "content", "details", "embeddings"),
        *("error", "finishReason", "functionCall", "id", "index", "message", "name", "parts"),
        *("promptFeedback", "promptTokenCount", "quotaId", "quotaValue", "reason", "responseId"),
        *("retryDelay", "status", "text", "thought", "thoughtSignature", "totalTokens"),
        *("usageMetadata", "values", "violations"),
    ]
)
ANYTHING = anything(KEYS)
SIGNED = st.sampled_from([{}, {"thoughtSignature": "c2ln"}, {"thoughtSignature": "\u00e9"}])
TEXTS = st.text(max_size=6)
PARTS = st.one_of(
    st.builds(lambda value, signed: text(value, **signed), TEXTS, SIGNED),
    st.builds(lambda value, signed: thought(value, **signed), TEXTS, SIGNED),
    st.builds(
        lambda args, call_id, signed: call("f", args, call_id, **signed),
        st.none() | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2) | ANYTHING,
        st.none() | st.just("id1"),
        SIGNED,
    ),
    st.dictionaries(KEYS, ANYTHING, max_size=2),
)
CHUNKS = st.builds(
    lambda parts, finish: chunk(*parts, finish=finish),
    st.lists(PARTS, max_size=3),
    st.none() | st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "NEW"]),
)
OTHERS = [
    sse(STOP),
    sse({"usageMetadata": USAGE}),
    sse({"promptFeedback": {"blockReason": "SAFETY"}}),
    sse({"error": {"code": 503, "message": "overloaded"}}),
    b'{\n "error": {\n  "code": 429\n }\n}\n',
    b"[{",
    b": ping\n\n",
    b"\r\n",
    b"\r",
    b"data: ",
]
KNOWN = (
    CHUNKS.map(sse),
    CHUNKS.map(sse),
    st.sampled_from(OTHERS),
)
STREAMS = streams(ANYTHING, KNOWN)
BODIES = bodies(ANYTHING, 60)


def told(*data: bytes) -> tuple[list[StreamEvent], Failure | None]:
    """What `fed` gives, but for ids that are made up where the answer has none."""
    events, failure = fed(*data)
    return [
        replace(event, tool_call_id="made")
        if isinstance(event, ToolCallDelta) and event.tool_call_id.startswith("gemini_")
        else event
        for event in merge(events)
    ], failure


@given(stream=STREAMS, data=st.data())
def test_a_split_changes_nothing_in_any_stream(stream: bytes, data: st.DataObject) -> None:
    assert told(*pieces_of(stream, data)) == told(stream)


@given(stream=STREAMS)
def test_any_stream_ends_in_a_finish_or_a_failure(stream: bytes) -> None:
    assert_finish_or_failure(fed(stream))


@given(stream=STREAMS)
def test_parts_are_numbered_without_gaps_and_keep_their_kind(stream: bytes) -> None:
    for event, new in numbered(fed(stream)[0]):
        match event:
            case ToolCallDelta():
                assert new
                assert event.name
                assert event.tool_call_id
                assert isinstance(json.loads(event.arguments_json), dict)
            case SignatureDelta():
                assert event.signature
            case _:
                assert event.text


@given(body=BODIES)
def test_any_body_is_an_answer_or_a_failure(body: bytes) -> None:
    try:
        events = decode_body(body)
    except WireError:
        return
    assert isinstance(events[-1], Finish)


@given(body=BODIES)
def test_any_count_is_a_number_or_a_failure(body: bytes) -> None:
    try:
        assert read_count(body) >= 0
    except WireError:
        return


VALUES = st.lists(st.floats() | st.integers(), max_size=3)
VECTORS = st.lists(st.fixed_dictionaries({"values": VALUES}), max_size=3)


@given(
    body=BODIES | VECTORS.map(lambda vectors: json.dumps({"embeddings": vectors}).encode()),
    count=st.integers(0, 3),
)
def test_any_embeddings_are_as_many_as_asked_for_or_a_failure(body: bytes, count: int) -> None:
    try:
        answer = read_embeddings(body, count)
    except WireError:
        return
    assert len(answer.vectors) == count
    assert all(vector and len(vector) % 4 == 0 for vector in answer.vectors)


@given(status=st.integers(400, 599), body=BODIES, error=ANYTHING)
def test_no_error_is_too_odd(status: int, body: bytes, error: object) -> None:
    for failure in (
        failure_of_response(status, body),
        failure_of_response(status, json.dumps({"error": error}).encode()),
        failure_in_answer(error),
    ):
        assert isinstance(failure.reason, Reason)
        assert isinstance(failure.message, str)
        assert failure.retry_after is None or failure.retry_after > 0
