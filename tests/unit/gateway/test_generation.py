"""One answer on its way: timers, hold-back, hidden reasoning, and how failures are told."""

import asyncio
from collections.abc import Sequence

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.catalog import ProviderEntry, RouteEntry, RouteTarget, Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import (
    ReasoningDelta,
    SignatureDelta,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.domain.request import (
    CallOptions,
    GenerationRequest,
    Output,
    RecoveryMode,
)
from llmgateway_server.domain.timers import Timers
from llmgateway_server.routing.routes import RouteTable
from support.provider import Batch, ScriptedProvider, Step, gateway_of
from support.virtual_time import run_virtual

TIMERS = Timers(first_content=60.0, idle_bytes=15.0, idle_content=30.0)
HELLO: Batch = [TextDelta(0, "hello")]
END: Batch = [Usage(3, 5), Finish(FinishReason.STOP, "stop")]
NOTHING: Batch = ()


def failure(reason: Reason) -> GatewayError:
    return GatewayError(reason, "no", attempt=AttemptFailure("p", "m", 500))


class Outcome:
    """What a reader of a generation saw, and when."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.error: GatewayError | None = None
        self.ended_at = 0.0


async def drain(
    provider: ScriptedProvider,
    *,
    include_reasoning: bool = False,
    route: str = "",
    deadline: float = 600.0,
    reader_takes: float = 0.0,
) -> Outcome:
    request = GenerationRequest(
        route or "p/m",
        (Message(Role.USER, (TextPart("hi"),)),),
        output=Output(include_reasoning=include_reasoning),
    )
    table = RouteTable(
        [RouteEntry(route, (RouteTarget(Target("p", "m"), TIMERS),))] if route else [],
        [ProviderEntry("p", "scripted", passes_any_model=True, timers=TIMERS)],
        [],
    )
    gateway = gateway_of(table, {"p": provider})
    options = CallOptions(deadline, RecoveryMode.NONE)
    generation = await gateway.generate(request, options)
    outcome = Outcome()
    try:
        while not (outcome.events and isinstance(outcome.events[-1], Finish)):
            outcome.events += await generation.read()
            await asyncio.sleep(reader_takes)
    except GatewayError as error:
        outcome.error = error
    finally:
        generation.close()
    outcome.ended_at = asyncio.get_running_loop().time()
    return outcome


def read(steps: Sequence[Step], **options: object) -> Outcome:
    return run_virtual(drain(ScriptedProvider(steps), **options))  # type: ignore[arg-type]


def reason_of(outcome: Outcome) -> Reason | None:
    return outcome.error.reason if outcome.error else None


def test_a_stream_starts_with_its_start_and_ends_with_its_finish() -> None:
    outcome = read([1.0, HELLO, 2.0, END])
    start, *rest = outcome.events
    assert isinstance(start, StreamStart)
    assert start.model == "p/m"
    assert start.route.time_to_first_token == 1.0
    assert start.route.provider_request_id == "req-1"
    assert rest[:2] == [TextDelta(0, "hello"), Usage(3, 5)]
    assert rest[2] == Finish(FinishReason.STOP, "stop", total_duration=3.0)


def test_nothing_is_delivered_before_the_first_content() -> None:
    steps: list[Step] = [NOTHING, 1.0, NOTHING, failure(Reason.PROVIDER_ERROR)]
    outcome = read([*steps, *steps])
    assert outcome.events == []
    assert reason_of(outcome) is Reason.PROVIDER_ERROR
    assert outcome.error is not None
    assert not outcome.error.partial_output_sent


def test_an_opening_that_hangs_ends_by_the_first_content_timer() -> None:
    outcome = run_virtual(drain(ScriptedProvider([HELLO], opening=3600.0)))
    assert reason_of(outcome) is Reason.PROVIDER_TIMEOUT
    assert outcome.ended_at == 60.0
    assert outcome.error is not None
    assert outcome.error.attempts == (AttemptFailure("p", "m"),)


def test_start_up_frames_do_not_extend_the_first_content_timer() -> None:
    frames: list[Step] = [NOTHING, 10.0]
    outcome = read([*(frames * 10), HELLO])
    assert reason_of(outcome) is Reason.PROVIDER_TIMEOUT
    assert outcome.ended_at == 60.0


def test_a_silent_provider_ends_by_the_idle_bytes_timer() -> None:
    outcome = read([HELLO, 3600.0])
    assert reason_of(outcome) is Reason.STREAM_INTERRUPTED
    assert outcome.ended_at == 15.0
    assert outcome.error is not None
    assert outcome.error.partial_output_sent
    assert ("cause", "PROVIDER_TIMEOUT") in outcome.error.metadata


def test_comments_for_ever_end_by_the_idle_content_timer() -> None:
    comments: list[Step] = [5.0, NOTHING]
    outcome = read([HELLO, *(comments * 100)])
    assert reason_of(outcome) is Reason.STREAM_INTERRUPTED
    assert outcome.ended_at == 30.0


def test_a_slow_reader_does_not_count_against_the_provider() -> None:
    outcome = read([HELLO, 14.0, HELLO, 14.0, END], reader_takes=25.0)
    assert outcome.error is None


def test_the_deadline_ends_a_call_before_its_first_content() -> None:
    outcome = run_virtual(drain(ScriptedProvider([3600.0]), deadline=7.0))
    assert reason_of(outcome) is Reason.DEADLINE_EXCEEDED
    assert outcome.ended_at == 7.0


def test_the_deadline_ends_a_stream_and_tells_that_output_was_sent() -> None:
    outcome = read([HELLO, 5.0, HELLO, 5.0, HELLO], deadline=7.0)
    assert reason_of(outcome) is Reason.DEADLINE_EXCEEDED
    assert outcome.error is not None
    assert outcome.error.partial_output_sent
    assert outcome.ended_at == 7.0


@pytest.mark.parametrize("reason", [Reason.PROVIDER_ERROR, Reason.PROVIDER_PROTOCOL_ERROR])
def test_a_fault_after_content_is_an_interrupted_stream(reason: Reason) -> None:
    outcome = read([HELLO, failure(reason)])
    assert reason_of(outcome) is Reason.STREAM_INTERRUPTED
    assert outcome.error is not None
    assert outcome.error.attempts == (AttemptFailure("p", "m", 500),)
    assert outcome.error.response_id


def test_what_the_caller_can_mend_keeps_its_name_after_content() -> None:
    assert reason_of(read([HELLO, failure(Reason.CONTENT_BLOCKED)])) is Reason.CONTENT_BLOCKED


def test_a_model_that_a_route_leads_to_in_vain_is_the_operators_to_mend() -> None:
    provider = ScriptedProvider(refusal=failure(Reason.MODEL_NOT_FOUND))
    assert reason_of(run_virtual(drain(provider, route="chat"))) is Reason.ROUTE_MISCONFIGURED


def test_a_model_that_the_caller_named_in_vain_is_the_callers_to_mend() -> None:
    provider = ScriptedProvider(refusal=failure(Reason.MODEL_NOT_FOUND))
    assert reason_of(run_virtual(drain(provider))) is Reason.MODEL_NOT_FOUND


REASONED: list[Step] = [
    [ReasoningDelta(0, "hm")],
    [SignatureDelta(0, b"s"), TextDelta(1, "yes")],
    [ToolCallDelta(2, "id", "f", "{}")],
    END,
]


def test_reasoning_is_delivered_to_those_who_ask() -> None:
    events = read(REASONED, include_reasoning=True).events[1:]
    assert events[:2] == [ReasoningDelta(0, "hm"), SignatureDelta(0, b"s")]


def test_reasoning_that_nobody_asked_for_is_left_out_and_the_parts_numbered_anew() -> None:
    events = read(REASONED).events[1:]
    assert events[:2] == [TextDelta(0, "yes"), ToolCallDelta(1, "id", "f", "{}")]


def test_reasoning_between_visible_parts_leaves_no_gap() -> None:
    steps: list[Step] = [
        [TextDelta(0, "a")],
        [ReasoningDelta(1, "hm"), TextDelta(2, "b"), TextDelta(0, "c")],
        END,
    ]
    assert read(steps).events[1:4] == [TextDelta(0, "a"), TextDelta(1, "b"), TextDelta(0, "c")]


def test_hidden_reasoning_counts_as_progress() -> None:
    thinking: list[Step] = [10.0, [ReasoningDelta(0, "hm")]]
    outcome = read([*(thinking * 12), [TextDelta(1, "yes")], *(thinking * 6), END])
    assert outcome.error is None
    assert outcome.ended_at == 180.0


def test_a_reader_that_goes_away_closes_the_upstream() -> None:
    provider = ScriptedProvider([HELLO, 3600.0])

    async def main() -> int:
        task = asyncio.ensure_future(drain(provider))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return provider.stream.closed

    assert run_virtual(main()) == 1
