"""Whatever a gateway sends, a strict reader of the wire reads it, and its text is the fold's."""

from typing import Any

import grpc
from hypothesis import given
from hypothesis import strategies as st

from llmgateway import Fold, GatewayError, Response, Violation
from llmgateway._errors import Failure, error_for
from llmgateway.sentient.events import EventStream
from llmgateway.sentient.ulid import UlidSequence
from llmgateway.v1.errors_pb2 import AttemptFailure
from llmgateway.v1.generation_service_pb2 import (
    RECOVERY_KIND_CONTINUED,
    RECOVERY_KIND_RESTARTED,
    RECOVERY_KIND_UNSPECIFIED,
    Delta,
    Finish,
    GenerateStreamResponse,
    Recovery,
    StreamStart,
    ToolCallDelta,
)
from llmgateway.v1.usage_pb2 import Route, Usage
from support.sentient_wire import Answer, StrictReader

NASTY = st.sampled_from('\x00\x1f\x7f\x85\u2028\u2029\ufeff\ufffe\uffff\r\n"\\/ \U0001f600')
texts = st.text(NASTY | st.characters(exclude_categories=["Cs"]), max_size=8)
# What did not come by protobuf may hold half characters.
odd_texts = st.text(NASTY | st.characters(exclude_categories=[]), max_size=8)
counts = st.integers(0, 2**31 - 1)
routes = st.builds(Route, provider=texts, provider_model=texts, attempt_count=counts)
usages = st.builds(
    Usage,
    input_token_count=counts,
    output_token_count=counts,
    cost_nano_usd=st.none() | st.integers(0, 2**63 - 1),
)
starts = st.builds(StreamStart, response_id=texts, model=texts, route=routes)
finishes = st.builds(Finish, reason=st.integers(0, 9), provider_reason=texts, stop_sequence=texts)
causes = st.builds(AttemptFailure, provider=texts, model=texts, http_status=counts)
recoveries = st.builds(
    Recovery,
    kind=st.sampled_from(
        [RECOVERY_KIND_UNSPECIFIED, RECOVERY_KIND_CONTINUED, RECOVERY_KIND_RESTARTED]
    ),
    route=routes,
    cause=causes,
)
calls = st.builds(ToolCallDelta, tool_call_id=texts, name=texts, arguments_json=texts)


def deltas_at(indexes: st.SearchStrategy[int]) -> st.SearchStrategy[Delta]:
    return st.one_of(
        st.builds(Delta, text=texts, part_index=indexes),
        st.builds(Delta, reasoning=texts, part_index=indexes),
        st.builds(Delta, tool_call=calls, part_index=indexes),
        st.builds(Delta, reasoning_signature=st.binary(max_size=4), part_index=indexes),
        st.builds(Delta, part_index=indexes),
    )


@st.composite
def anything(draw: st.DrawFn) -> list[GenerateStreamResponse]:
    """Messages that obey no law but the types."""
    rarely = st.integers(0, 9).map(lambda number: number == 0)
    messages = []
    for _ in range(draw(st.integers(0, 8))):
        message = GenerateStreamResponse()
        message.deltas.extend(draw(st.lists(deltas_at(st.integers(-1, 3)), max_size=5)))
        if draw(rarely):
            message.start.CopyFrom(draw(starts))
        if draw(rarely):
            message.usage.CopyFrom(draw(usages))
        if draw(rarely):
            message.recovery.CopyFrom(draw(recoveries))
        if draw(rarely):
            message.finish.CopyFrom(draw(finishes))
        messages.append(message)
    return messages


@st.composite
def in_order(draw: st.DrawFn) -> list[GenerateStreamResponse]:
    """A lawful stream whose parts follow one another, as those of all dialects do."""
    messages = [GenerateStreamResponse(start=draw(starts))]
    index = -1
    kind = None
    for _ in range(draw(st.integers(0, 8))):
        message = GenerateStreamResponse()
        if draw(st.integers(0, 4)) == 0:
            message.recovery.CopyFrom(draw(recoveries))
            if message.recovery.kind == RECOVERY_KIND_RESTARTED:
                index, kind = -1, None
        for delta in draw(st.lists(deltas_at(st.just(0)), max_size=5)):
            if delta.WhichOneof("delta") != kind:
                kind = delta.WhichOneof("delta")
                index += 1
            delta.part_index = index
            message.deltas.append(delta)
        messages.append(message)
    messages.append(GenerateStreamResponse(usage=draw(usages), finish=draw(finishes)))
    return messages


failures = st.builds(
    Failure,
    code=st.sampled_from([code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]),
    message=odd_texts,
    reason=odd_texts,
    retry_after=st.none() | st.floats(0, 1e6),
    violations=st.lists(st.builds(Violation, odd_texts, odd_texts), max_size=2).map(tuple),
    attempts=st.lists(causes, max_size=2).map(tuple),
    usage=st.none() | usages,
    request_id=odd_texts,
    metadata=st.dictionaries(odd_texts, odd_texts, max_size=2),
)
errors = failures.map(error_for)


def read(
    data: st.DataObject, messages: list[GenerateStreamResponse], error: GatewayError | None
) -> Answer:
    """What a strict reader makes of the events, while the clock goes on as it likes."""
    now = 1000
    reader = StrictReader()
    stream = EventStream(source=data.draw(odd_texts), ids=UlidSequence(lambda: now))
    for message in messages:
        now += data.draw(st.integers(0, 3))
        reader.feed(stream.feed(message), now)
    reader.feed(stream.fail(error) if error else stream.finish(), now)
    assert stream.finish() == b""
    return reader.end()


def folded(messages: list[GenerateStreamResponse]) -> tuple[Response, bool]:
    """The answer up to its finish, and whether there is one."""
    fold = Fold()
    for message in messages:
        fold.add(message)
        if fold.finished:
            break
    return Response(fold.answer()), fold.finished


def calls_of(answer: Answer) -> list[Any]:
    return [content for name, content in answer.documents if name == "TOOL_CALL"]


@given(st.data(), in_order(), st.none() | errors)
def test_the_text_is_the_folds(
    data: st.DataObject, messages: list[GenerateStreamResponse], error: GatewayError | None
) -> None:
    # A failure may come at any moment, even after the finish.
    come = messages if error is None else messages[: data.draw(st.integers(0, len(messages)))]
    answer = read(data, come, error)
    expected, finished = folded(come)
    assert "".join(answer.texts()) == expected.text
    assert "".join(answer.texts("REASONING")) == expected.reasoning
    assert bool(answer.errors) is (error is not None)
    made = [
        {
            "tool_call_id": call.tool_call_id,
            "name": call.name,
            "arguments_json": call.arguments_json or "{}",
        }
        for call in expected.tool_calls
    ]
    assert calls_of(answer) == (made if finished else [])


@given(st.data(), anything(), st.none() | errors)
def test_no_input_makes_a_strict_reader_fail_or_loses_text(
    data: st.DataObject, messages: list[GenerateStreamResponse], error: GatewayError | None
) -> None:
    answer = read(data, messages, error)
    expected, finished = folded(messages)
    # Parts that interleave are read in another order than they are folded.
    assert sorted("".join(answer.texts())) == sorted(expected.text)
    assert sorted("".join(answer.texts("REASONING"))) == sorted(expected.reasoning)
    assert bool(answer.errors) is (error is not None or not finished)
    heartbeats = sum(not message.ByteSize() for message in messages)
    assert answer.pings <= heartbeats
