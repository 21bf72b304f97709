"""Stored answers: whole when they come back, or not there at all."""

import zlib

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from llmgateway_server.cache.entry import decode_entry, encode_entry, is_storable, replay
from llmgateway_server.domain.answer import (
    Answer,
    CacheStatus,
    Finish,
    FinishReason,
    Route,
    Usage,
)
from llmgateway_server.domain.content import MediaPart, ReasoningPart, TextPart, ToolCallPart
from llmgateway_server.domain.events import (
    ReasoningDelta,
    SignatureDelta,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)
from support.shared_source import fold

ROUTE = Route("p", "m", 2, CacheStatus.MISS, "req-1", 0.25, 1.5)
ANSWER = Answer(
    "01",
    "p/m",
    (
        ReasoningPart("hm", b"\x00sig\xff", "p"),
        ReasoningPart("", b"redacted", "p"),
        TextPart("héllo"),
        ToolCallPart("id", "f", '{"a":1}'),
        ToolCallPart("id2", "g", ""),
    ),
    Finish(FinishReason.TOOL_CALLS, "tool_use", "", 3.0),
    Usage(10, 5, 4, 3, 2, 700),
    ROUTE,
)

texts = st.text(max_size=5)
counts = st.integers(0, 2**40)
seconds = st.floats(0, 1e6)
routes = st.builds(
    Route,
    st.sampled_from(["", "p", "q"]),
    texts,
    st.integers(0, 3),
    st.sampled_from(CacheStatus),
    texts,
    seconds,
    seconds,
)
parts = (
    st.builds(TextPart, texts)
    | st.builds(ReasoningPart, texts, st.binary(max_size=4), st.sampled_from(["", "p", "q"]))
    | st.builds(ToolCallPart, texts, texts, texts)
)
answers = st.builds(
    Answer,
    texts,
    texts,
    st.lists(parts, max_size=4).map(tuple),
    st.builds(Finish, st.sampled_from(FinishReason), texts, texts, seconds),
    st.builds(Usage, counts, counts, counts, counts, counts, st.none() | counts, st.booleans()),
    routes,
)


@given(answers)
def test_what_was_encoded_comes_back_whole(answer: Answer) -> None:
    assert decode_entry(encode_entry(answer)) == answer


@given(answers.filter(is_storable), texts, seconds)
def test_the_replay_folds_to_the_answer(answer: Answer, response_id: str, took: float) -> None:
    events = replay(answer, response_id=response_id, total_duration=took)
    assert fold(events) == replace(
        answer,
        response_id=response_id,
        route=Route(answer.route.provider, answer.route.provider_model, 0, CacheStatus.HIT),
        usage=replace(answer.usage, cost_nano_usd=0),
        finish=replace(answer.finish, total_duration=took),
    )
    assert len(events) <= 3 + 2 * len(answer.parts)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_miss(data: bytes) -> None:
    assert decode_entry(data) is None
    assert decode_entry(b"\x01" + data) is None


@given(answers, st.data())
def test_a_damaged_entry_is_a_miss(answer: Answer, draw: st.DataObject) -> None:
    entry = bytearray(encode_entry(answer))
    at = draw.draw(st.integers(0, len(entry) - 1))
    entry[at] ^= draw.draw(st.integers(1, 255))
    assert decode_entry(bytes(entry)) is None
    assert decode_entry(bytes(entry[:at])) is None


def test_an_entry_of_another_version_is_a_miss() -> None:
    entry = encode_entry(ANSWER)
    assert decode_entry(entry) == ANSWER
    assert decode_entry(b"\x02" + entry[1:]) is None


def test_a_sound_entry_of_another_shape_is_a_miss() -> None:
    """As another build would write it that forgot to raise the version."""
    bodies: list[object] = [
        ["01", "p/m"],
        {"response_id": "01"},
        ["01", "p/m", [{}], {"reason": "stop"}, {}, {"provider": "p", "provider_model": "m"}],
        ["01", "p/m", [], {"reason": "new"}, {}, {"provider": "p", "provider_model": "m"}],
    ]
    for body in [*map(msgspec.msgpack.encode, bodies), b"\x91" * 5000]:
        assert decode_entry(b"\x01" + zlib.crc32(body).to_bytes(4, "big") + body) is None


def test_each_piece_is_one_delta() -> None:
    events = replay(ANSWER, response_id="02", total_duration=0.001)
    assert events == [
        StreamStart("02", "p/m", Route("p", "m", 0, CacheStatus.HIT)),
        ReasoningDelta(0, "hm"),
        SignatureDelta(0, b"\x00sig\xff"),
        SignatureDelta(1, b"redacted"),
        TextDelta(2, "héllo"),
        ToolCallDelta(3, "id", "f", '{"a":1}'),
        ToolCallDelta(4, "id2", "g", ""),
        Usage(10, 5, 4, 3, 2, 0),
        Finish(FinishReason.TOOL_CALLS, "tool_use", "", 0.001),
    ]


def test_only_answers_that_came_to_their_own_end_are_kept() -> None:
    kept = {
        reason for reason in FinishReason if is_storable(replace(ANSWER, finish=Finish(reason)))
    }
    assert kept == {FinishReason.STOP, FinishReason.LENGTH, FinishReason.TOOL_CALLS}


def test_what_a_replay_could_not_tell_is_not_kept() -> None:
    for part in (
        MediaPart("image/png", b"x"),
        ReasoningPart("hm", b"sig", "another"),
        ReasoningPart("hm", b"sig"),
    ):
        assert not is_storable(replace(ANSWER, parts=(part,)))
