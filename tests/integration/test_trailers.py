"""What a call's metadata tells, over real gRPC: failed attempts, pushback, the caller's retries."""

import grpc
import pytest

from llmgateway import AsyncClient, ProviderError, UnavailableError
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.answer import Finish, FinishReason
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import TextDelta
from support.gateway import ask, failure_of, question, serving, text_of
from support.scripted_core import START, ScriptedCore, Step

WHOLE: list[Step] = [[START, TextDelta(0, "a"), Finish(FinishReason.STOP)]]
TOLD = "q/m=PROVIDER_ERROR;503,r/m=PROVIDER_TIMEOUT"


def failures() -> list[GatewayError]:
    return [
        GatewayError(Reason.PROVIDER_ERROR, "no", attempt=AttemptFailure("q", "m", 503)),
        GatewayError(Reason.PROVIDER_TIMEOUT, "no", attempt=AttemptFailure("r", "m")),
    ]


def shed(after: float = 0.001) -> GatewayError:
    return GatewayError(Reason.GATEWAY_OVERLOADED, "full", retry_after=after)


async def test_an_answer_tells_of_the_attempts_that_failed_before_it() -> None:
    async with serving(ScriptedCore(WHOLE, failures=failures()).gateway) as running:
        stream = running.generation.GenerateStream(ask())
        assert text_of([message async for message in stream]) == "a"
        unary = running.generation.Generate(pb.GenerateRequest(input=question()))
        await unary
        for call in (stream, unary):
            trailers = dict(await call.trailing_metadata())
            assert trailers["x-llmgateway-failures"] == TOLD
            assert trailers["x-llmgateway-provider"] == "up"


async def test_a_failure_tells_of_all_attempts_and_is_not_to_be_repeated() -> None:
    errors = failures()
    async with serving(ScriptedCore([errors[1]], failures=errors).gateway) as running:
        failed = await failure_of(running.stream())
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "PROVIDER_TIMEOUT")
    assert failed.trailers["x-llmgateway-failures"] == TOLD
    assert failed.trailers["grpc-retry-pushback-ms"] == "-1"


@pytest.mark.parametrize("reason", [Reason.GATEWAY_OVERLOADED, Reason.NO_PROVIDER_AVAILABLE])
async def test_a_call_that_was_not_taken_learns_when_to_come_again(
    reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    core = ScriptedCore(refusals=[GatewayError(reason, "full", retry_after=0.25)] * 2)
    async with serving(core.gateway) as running:
        for call in (
            running.stream(),
            running.generation.Generate(pb.GenerateRequest(input=question())),
        ):
            failed = await failure_of(call)
            assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, reason.value)
            assert failed.trailers["grpc-retry-pushback-ms"] == "250"
    # A line for each would be an outage of its own.
    assert caplog.records == []


async def test_our_client_comes_again_and_the_core_is_told_how_often() -> None:
    core = ScriptedCore(WHOLE, refusals=[shed(), shed()])
    async with serving(core.gateway) as running, AsyncClient(running.address) as client:
        assert (await client.generate("Hi")).text == "a"
        assert (await client.stream("Hi").response()).text == "a"
    assert [options.previous_attempts for options in core.asked] == [0, 1, 2, 0]


async def test_our_client_gives_up_after_three_calls() -> None:
    core = ScriptedCore(WHOLE, refusals=[shed()] * 9)
    async with serving(core.gateway) as running, AsyncClient(running.address) as client:
        with pytest.raises(UnavailableError):
            await client.generate("Hi")
    assert [options.previous_attempts for options in core.asked] == [0, 1, 2]


@pytest.mark.parametrize("streams", [True, False])
async def test_our_client_does_not_repeat_what_was_paid_for(streams: bool) -> None:
    core = ScriptedCore([failures()[0]])
    async with serving(core.gateway) as running, AsyncClient(running.address) as client:
        with pytest.raises(ProviderError):
            await (client.stream("Hi").response() if streams else client.generate("Hi"))
    assert len(core.asked) == 1
