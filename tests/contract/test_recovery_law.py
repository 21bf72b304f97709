"""Laws 1 and 6 with failovers anywhere in a stream: readers fold what the core meant."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from llmgateway import Fold
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.answer import Finish, FinishReason, Route, Usage
from llmgateway_server.domain.errors import AttemptFailure
from llmgateway_server.domain.events import (
    Delta,
    ReasoningDelta,
    Recovery,
    RecoveryKind,
    SignatureDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.transport.grpc.call import Call, MethodBudget
from llmgateway_server.transport.grpc.generation import GenerationHandlers
from support.gateway import question
from support.scripted_core import START, ScriptedCore, Step
from support.virtual_time import run_virtual

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)
# What one part is made of; an answer has one kind a part.
PIECES = (
    st.builds(TextDelta, st.just(0), TEXT),
    st.one_of(
        st.builds(ReasoningDelta, st.just(1), TEXT),
        st.builds(SignatureDelta, st.just(1), st.binary(min_size=1, max_size=3)),
    ),
    st.builds(ToolCallDelta, st.just(2), st.just(""), st.just(""), TEXT),
)
HEAD = ToolCallDelta(2, "call", "f")
ROUTES = st.builds(Route, st.sampled_from(["up", "q", "r"]), st.just("m"), st.integers(1, 3))
RECOVERIES = st.builds(
    Recovery,
    st.sampled_from(RecoveryKind),
    ROUTES,
    st.builds(AttemptFailure, st.just("p"), st.just("m"), st.sampled_from([0, 503])),
)
END: list[StreamEvent] = [Usage(3, 4), Finish(FinishReason.STOP, "stop")]


class Caller:
    """A caller without metadata or deadline."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> None:
        return None


@st.composite
def streams(draw: st.DrawFn) -> list[StreamEvent]:
    """A start, then deltas with recoveries at any place, also one after the other, and the end."""
    pieces: list[Delta | Recovery] = draw(st.lists(st.one_of(*PIECES, RECOVERIES), max_size=20))
    events: list[StreamEvent] = [START]
    headed = False
    for piece in pieces:
        if isinstance(piece, Recovery) and piece.kind is RecoveryKind.RESTARTED:
            headed = False
        if isinstance(piece, ToolCallDelta) and not headed:
            headed = True
            events.append(HEAD)
        events.append(piece)
    return [*events, *END]


@st.composite
def reads(draw: st.DrawFn) -> list[Step]:
    """A stream as the core may give it: cut anywhere, with pauses that heartbeats fill."""
    events = draw(streams())
    steps: list[Step] = []
    while events:
        size = draw(st.integers(1, len(events)))
        steps.append(events[:size])
        events = events[size:]
        if draw(st.booleans()):
            steps.append(draw(st.sampled_from([0.05, 12.0])))
    return steps


async def both(steps: Sequence[Step]) -> tuple[pb.GenerateResponse, list[bytes]]:
    """Generate's answer, and the messages of the stream."""
    sent: list[bytes] = []

    async def write(message: bytes) -> None:
        await asyncio.sleep(0.01)
        sent.append(message)

    handlers = GenerationHandlers(ScriptedCore(steps).gateway)
    caller: Any = Caller()
    budget = MethodBudget(default=600.0, maximum=600.0)
    whole = await handlers.generate(pb.GenerateRequest(input=question()), Call(caller, budget))
    request = pb.GenerateStreamRequest(input=question())
    request.stream_options.heartbeat_interval.FromSeconds(5)
    request.stream_options.recovery = pb.RECOVERY_MODE_RESTART
    await handlers.generate_stream(request, Call(caller, budget), write)
    return whole, sent


def flat(message: pb.GenerateStreamResponse) -> list[tuple[object, ...]]:
    """What a message holds, in the order in which the contract lets readers apply it."""
    held: list[tuple[object, ...]] = []
    if message.HasField("start"):
        held.append(("StreamStart",))
    if message.HasField("recovery"):
        held.append(("recovery", message.recovery.kind, message.recovery.route.provider))
    for delta in message.deltas:
        content = delta.text or delta.reasoning or delta.reasoning_signature
        held += [(delta.part_index, unit) for unit in content or delta.tool_call.arguments_json]
    if message.HasField("finish"):
        held.append(("Finish",))
    return held


def meant(event: StreamEvent) -> list[tuple[object, ...]]:
    """The same of an event, character by character, since deltas may be joined and cut."""
    match event:
        case TextDelta() | ReasoningDelta():
            return [(event.part_index, unit) for unit in event.text]
        case SignatureDelta():
            return [(event.part_index, unit) for unit in event.signature]
        case ToolCallDelta():
            return [(event.part_index, unit) for unit in event.arguments_json]
        case Recovery():
            kind = f"RECOVERY_KIND_{event.kind.name}"
            return [("recovery", pb.RecoveryKind.Value(kind), event.route.provider)]
        case _:
            return [] if isinstance(event, Usage) else [(type(event).__name__,)]


AGAIN = Recovery(RecoveryKind.RESTARTED, Route("q", "m"), AttemptFailure("p", "m"))


@example([[START, AGAIN, AGAIN, TextDelta(0, "a"), *END]])
@example([[START, TextDelta(0, "a"), AGAIN, TextDelta(0, "b"), AGAIN, *END]])
@given(reads())
def test_readers_apply_every_recovery_where_it_happened(steps: list[Step]) -> None:
    whole, sent = run_virtual(both(steps))
    messages = [pb.GenerateStreamResponse.FromString(message) for message in sent]
    batches = [step for step in steps if not isinstance(step, float)]
    events = [event for batch in batches if isinstance(batch, Sequence) for event in batch]
    assert [unit for m in messages for unit in flat(m)] == [u for e in events for u in meant(e)]
    fold = Fold()
    for message in messages:
        fold.add(message)
    assert fold.answer() == whole
