"""Makes a row's calls, and checks everything that has to hold of them.

Three calls: to the faulty target alone; to a route of it and a healthy target of the same model,
streamed; and to a route of it and another model, as one answer. Each has targets of its own, so
that none meets what the others left in a breaker or a cool-down.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
from google.rpc import error_details_pb2

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.catalog import Target
from support.fault_table.expected import Status
from support.fault_table.row import Place, Row
from support.gateway import KEY, Failed, Running, ask, compatible, gateway_from, question, until
from support.openai import CONTENT, stream_text
from support.upstream import Upstream

REST = ", and to the end."
ANSWER = CONTENT + REST
"""What the healthy targets say: what the faulty ones begin with, and how it goes on."""

_PAIRS = {"same": ("a/tiny", "b/tiny"), "other": ("c/tiny", "d/large")}


class Ending:
    """What a caller has in the end: an answer, folded, or a failure."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.recoveries: list[str] = []
        self.failure: Failed | None = None
        self.trailers: dict[str, Any] = {}
        self.messages: list[pb.GenerateStreamResponse] = []

    @property
    def text(self) -> str:
        """The answer as its reader has it."""
        return "".join(self.pieces)

    @property
    def attempts(self) -> int:
        """How many attempts the trailers count."""
        return int(self.trailers["x-llmgateway-attempts"])

    @property
    def everything(self) -> str:
        """All that the caller was told."""
        failure = self.failure.everything if self.failure else ""
        return failure + str(self.trailers) + str(self.messages[:3]) + self.text[:4096]


async def streamed(running: Running, model: str, timeout: float = 20.0) -> Ending:
    """A streamed call to its end."""
    ending = Ending()
    call = running.generation.GenerateStream(ask(model=model), timeout=timeout)
    try:
        async for message in call:
            ending.messages.append(message)
            if message.HasField("recovery"):
                ending.recoveries.append(pb.RecoveryKind.Name(message.recovery.kind))
                if message.recovery.kind == pb.RECOVERY_KIND_RESTARTED:
                    ending.pieces.clear()
            ending.pieces += [delta.text for delta in message.deltas]
    except grpc.aio.AioRpcError as error:
        ending.failure = Failed(error)
    finally:
        call.cancel()
    ending.trailers = dict(await call.trailing_metadata() or ())
    return ending


async def whole(running: Running, model: str, timeout: float = 20.0) -> Ending:
    """A call for a whole answer."""
    ending = Ending()
    request = pb.GenerateRequest(input=question(model=model))
    call = running.generation.Generate(request, timeout=timeout)
    try:
        response = await call
        ending.pieces += [part.text for part in response.parts]
    except grpc.aio.AioRpcError as error:
        ending.failure = Failed(error)
    ending.trailers = dict(await call.trailing_metadata() or ())
    return ending


class Stage:
    """A gateway with the targets of one row."""

    def __init__(self, running: Running, places: dict[str, Place], healthy: dict[str, Upstream]):
        self.running = running
        self.places = places
        self.healthy = healthy

    def assert_idle(self) -> None:
        """Nothing is in flight anywhere."""
        gateway = self.running.gateway
        assert len(self.running.server.calls) == 0
        assert gateway.gate.in_flight == gateway.gate.waiting == 0
        names = ["alone/tiny", *_PAIRS["same"], *_PAIRS["other"]]
        states = [gateway.targets.state(Target(*name.split("/"))) for name in names]
        assert [state.in_flight for state in states] == [0] * len(states)


@asynccontextmanager
async def staged(row: Row) -> AsyncIterator[Stage]:
    """The row's targets and a gateway before them."""
    async with AsyncExitStack() as stack:
        places = {
            name: await stack.enter_async_context(row.place()) for name in ("alone", "a", "c")
        }
        healthy = {
            name: await stack.enter_async_context(
                Upstream(stream_text([CONTENT[:4], CONTENT[4:], REST]))
            )
            for name in ("b", "d")
        }
        providers = {
            **{
                name: {**compatible(place.base_url), "timeouts": dict(row.timeouts)}
                for name, place in places.items()
            },
            **{name: compatible(upstream.base_url) for name, upstream in healthy.items()},
        }
        routes = {name: {"targets": list(targets)} for name, targets in _PAIRS.items()}
        tree = {"providers": providers, "routes": routes}
        running = await stack.enter_async_context(gateway_from(tree))
        yield Stage(running, places, healthy)


async def check(row: Row) -> str:
    """Plays a row; returns all that the callers were told, in which no secret may be."""
    async with staged(row) as stage:
        running = stage.running
        alone, routed, other = await asyncio.gather(
            streamed(running, "alone/tiny", row.timeout),
            streamed(running, "same", row.timeout),
            whole(running, "other", row.timeout),
        )
        await until(lambda: not len(running.server.calls))
        stage.assert_idle()
        _check_failure(row, alone, "alone")
        assert alone.attempts == row.course.alone
        _check_attempts(row, stage.places["alone"], row.course.alone)
        _check_routed(row, stage, routed, ("a", "b"))
        if row.is_restarted:
            # A whole answer may start again where a stream that was partly read may not.
            assert other.failure is None
            assert other.text == ANSWER
        else:
            _check_routed(row, stage, other, ("c", "d"))
        await _check_closed(row, stage)
    for upstream in [*stage.healthy.values(), *_upstreams(stage)]:
        assert upstream.connections_open == 0
    return alone.everything + routed.everything + other.everything


def _check_routed(row: Row, stage: Stage, ending: Ending, names: tuple[str, str]) -> None:
    """A call that had somebody else to go to."""
    faulty, healthy = names
    if row.course.is_answered:
        assert ending.failure is None, ending.failure and ending.failure.message
        assert ending.text == ANSWER
        assert ending.trailers["x-llmgateway-provider"] == healthy
        is_continued = bool(row.text) and bool(ending.messages)
        assert ending.recoveries == ["RECOVERY_KIND_CONTINUED"] * is_continued
    else:
        _check_failure(row, ending, faulty)
    assert ending.attempts == sum(row.course.routed)
    _check_attempts(row, stage.places[faulty], row.course.routed[0])
    assert len(stage.healthy[healthy].requests) == row.course.routed[1]


def _check_failure(row: Row, ending: Ending, provider: str) -> None:
    """A call that failed, with everything that a caller is told then."""
    failure = ending.failure
    assert failure is not None
    status = _by_route(row.status) if provider != "alone" else row.status
    assert (failure.code, failure.reason) == (status.code, status.reason), failure.message
    assert failure.detail(error_details_pb2.ErrorInfo).metadata.get("cause", "") == status.cause
    # The attempts have cost money, and no other layer may multiply them.
    assert failure.trailers["grpc-retry-pushback-ms"] == "-1"
    assert failure.trailers["x-request-id"]
    assert len(bytes(failure.trailers["grpc-status-details-bin"])) <= 4096
    told = failure.failure
    assert told is not None
    assert told.response_id
    attempts = row.course.alone if provider == "alone" else row.course.routed[0]
    assert [attempt.provider for attempt in told.attempts] == [provider] * attempts
    is_stream = provider != "c"
    assert told.partial_output_sent == (bool(row.text) and is_stream)
    if is_stream:
        assert ending.text.startswith(row.text)
        assert bool(ending.messages) == bool(row.text)


def _by_route(status: Status) -> Status:
    """What a caller is told that did not name the model itself."""
    if status.reason == "MODEL_NOT_FOUND":
        return Status(grpc.StatusCode.INTERNAL, "ROUTE_MISCONFIGURED")
    return status


def _check_attempts(row: Row, place: Place, expected: int) -> None:
    """What the upstream itself saw."""
    upstream = place.upstream
    if upstream is None:
        return
    if row.counts == "requests":
        assert len(upstream.requests) == expected
        assert all(each.headers["authorization"] == f"Bearer {KEY}" for each in upstream.requests)
        assert {each.path for each in upstream.requests} <= {"/v1/chat/completions"}
    if row.has_fresh_connections:
        assert upstream.connections_total == expected


async def _check_closed(row: Row, stage: Stage) -> None:
    """The connections of failed attempts; one whose answer came whole may serve another call."""
    for upstream in _upstreams(stage):
        if row.is_whole:
            assert upstream.connections_open <= len(upstream.requests)
        elif upstream.connections_total:
            await upstream.wait_closed(timeout=1.0)


def _upstreams(stage: Stage) -> list[Upstream]:
    return [place.upstream for place in stage.places.values() if place.upstream is not None]
