"""Law 1 through the whole gRPC side: what a stream's reader folds is what Generate answers."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from llmgateway._fold import Fold
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.catalog import ProviderEntry
from llmgateway_server.domain.events import (
    Delta,
    ProviderEvent,
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.domain.timers import Timers
from llmgateway_server.routing.routes import RouteTable
from llmgateway_server.transport.grpc.call import Call, MethodBudget
from llmgateway_server.transport.grpc.generation import GenerationHandlers
from support.gateway import question
from support.provider import ScriptedProvider, Step, gateway_of
from support.virtual_time import run_virtual

TABLE = RouteTable([], [ProviderEntry("up", "x", True, Timers())], [])
BUDGET = MethodBudget(default=600.0, maximum=600.0)


class Caller:
    """A caller without metadata or deadline."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> None:
        return None


@st.composite
def answers(draw: st.DrawFn) -> list[ProviderEvent]:
    """A provider's events: parts of random kinds that grow interleaved, then usage and finish."""
    kinds = draw(st.lists(st.sampled_from(["text", "reasoning", "tool"]), min_size=1, max_size=4))
    order = draw(st.lists(st.integers(0, len(kinds) - 1), max_size=20))
    text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
    headed: set[int] = set()
    events: list[Delta] = []
    for index in [*range(len(kinds)), *order]:
        if kinds[index] == "text":
            events.append(TextDelta(index, draw(text)))
        elif kinds[index] == "reasoning":
            reasoned = draw(st.booleans())
            piece = draw(text)
            events.append(ReasoningDelta(index, piece) if reasoned else SignatureDelta(index, b"s"))
        else:
            head = ("", "") if index in headed else (f"call-{index}", "f")
            headed.add(index)
            events.append(ToolCallDelta(index, *head, draw(text)))
    return [*events, Usage(3, 4, 1, 0, 2), Finish(FinishReason.STOP, "stop")]


@st.composite
def partitions(draw: st.DrawFn) -> list[Step]:
    """The same events, cut into reads at random, with pauses long enough for heartbeats."""
    events = draw(answers())
    steps: list[Step] = []
    while events:
        size = draw(st.integers(1, len(events)))
        steps.append(events[:size])
        events = events[size:]
        if draw(st.booleans()):
            steps.append(draw(st.sampled_from([0.05, 12.0])))
    return steps


async def both(
    steps: Sequence[Step], *, reasoning: bool, delay_ms: int
) -> tuple[pb.GenerateResponse, list[bytes]]:
    request = question(output=pb.OutputOptions(include_reasoning=reasoning))
    options = pb.StreamOptions()
    options.max_coalesce_delay.FromMilliseconds(delay_ms)
    options.heartbeat_interval.FromSeconds(5)
    sent: list[bytes] = []

    async def write(message: bytes) -> None:
        await asyncio.sleep(0.01)
        sent.append(message)

    async def handlers() -> GenerationHandlers:
        return GenerationHandlers(gateway_of(TABLE, {"up": ScriptedProvider(steps)}))

    whole = await (await handlers()).generate(pb.GenerateRequest(input=request), _call())
    streamed = pb.GenerateStreamRequest(input=request, stream_options=options)
    await (await handlers()).generate_stream(streamed, _call(), write)
    return whole, sent


def _call() -> Call:
    return Call(Caller(), BUDGET)  # type: ignore[arg-type]


@given(partitions(), st.booleans(), st.sampled_from([0, 100]))
def test_the_fold_of_the_stream_is_generates_answer(
    steps: list[Step], reasoning: bool, delay_ms: int
) -> None:
    whole, sent = run_virtual(both(steps, reasoning=reasoning, delay_ms=delay_ms))
    fold = Fold()
    for message in sent:
        fold.add(pb.GenerateStreamResponse.FromString(message))
    folded = fold.answer()
    assert list(folded.parts) == list(whole.parts)
    assert folded.usage == whole.usage
    assert folded.finish.reason == whole.finish.reason
    assert folded.finish.provider_reason == whole.finish.provider_reason
    assert folded.model == whole.model
    assert folded.route.provider == whole.route.provider
