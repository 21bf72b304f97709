"""What the handlers ask of the core, and what they make of its answers and failures."""

from typing import Any

import pytest

from llmgateway.v1 import embedding_service_pb2
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.answer import Finish, FinishReason
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import TextDelta
from llmgateway_server.domain.request import RecoveryMode
from llmgateway_server.transport.grpc.call import Call, MethodBudget
from llmgateway_server.transport.grpc.embedding import EmbeddingHandlers
from llmgateway_server.transport.grpc.generation import GenerationHandlers
from support.gateway import ask, question, text_of
from support.scripted_core import ROUTE, START, ScriptedCore

END = Finish(FinishReason.STOP)
FAILED = GatewayError(Reason.PROVIDER_ERROR, "no", attempt=AttemptFailure("q", "m", 503))
SHED = GatewayError(Reason.GATEWAY_OVERLOADED, "full", retry_after=0.1)
CUT = GatewayError(Reason.STREAM_INTERRUPTED, "cut", attempt=AttemptFailure("up", "tiny"))


class Caller:
    """A caller that tried once before and has no deadline."""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("grpc-previous-rpc-attempts", "1"),)

    def time_remaining(self) -> None:
        return None


def call() -> Call:
    caller: Any = Caller()
    return Call(caller, MethodBudget(default=60.0, maximum=60.0))


async def generate(core: ScriptedCore, ended: Call) -> pb.GenerateResponse:
    request = pb.GenerateRequest(input=question())
    return await GenerationHandlers(core.gateway).generate(request, ended)


async def stream(
    core: ScriptedCore,
    ended: Call,
    request: pb.GenerateStreamRequest | None = None,
) -> list[pb.GenerateStreamResponse]:
    sent: list[pb.GenerateStreamResponse] = []

    async def write(message: bytes) -> None:
        sent.append(pb.GenerateStreamResponse.FromString(message))

    handlers = GenerationHandlers(core.gateway)
    await handlers.generate_stream(request or ask(), ended, write)
    return sent


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (pb.RECOVERY_MODE_UNSPECIFIED, None),
        (pb.RECOVERY_MODE_NONE, RecoveryMode.NONE),
        (pb.RECOVERY_MODE_CONTINUE, RecoveryMode.CONTINUE),
        (pb.RECOVERY_MODE_RESTART, RecoveryMode.RESTART),
    ],
)
async def test_a_stream_recovers_as_its_caller_says(
    said: pb.RecoveryMode.ValueType, asked: RecoveryMode | None
) -> None:
    core, ended = ScriptedCore([[START, TextDelta(0, "a"), END]]), call()
    request = ask()
    request.stream_options.recovery = said
    assert text_of(await stream(core, ended, request)) == "a"
    assert core.asked == [ended.options(asked)]


async def test_a_whole_answer_may_always_start_again() -> None:
    core, ended = ScriptedCore([[START, TextDelta(0, "a"), END]]), call()
    assert (await generate(core, ended)).parts[0].text == "a"
    assert core.asked == [ended.options(RecoveryMode.RESTART)]


async def test_the_other_calls_pass_on_what_is_known_too() -> None:
    core, ended = ScriptedCore(), call()
    request = pb.CountTokensRequest(input=question())
    with pytest.raises(GatewayError):
        await GenerationHandlers(core.gateway).count_tokens(request, ended)
    embed = embedding_service_pb2.EmbedRequest(model="words", inputs=["a"])
    with pytest.raises(GatewayError):
        await EmbeddingHandlers(core.gateway).embed(embed, ended)
    assert core.asked == [ended.options()] * 2


async def test_a_count_from_the_cache_alone_is_refused() -> None:
    core = ScriptedCore()
    routing = pb.RoutingOptions(cache_mode=pb.CACHE_MODE_ONLY)
    request = pb.CountTokensRequest(input=question(routing=routing))
    with pytest.raises(GatewayError) as caught:
        await GenerationHandlers(core.gateway).count_tokens(request, call())
    assert caught.value.reason is Reason.CAPABILITY_UNSUPPORTED
    assert core.asked == []


@pytest.mark.parametrize("serve", [generate, stream])
async def test_an_answer_after_a_failure_tells_of_both(serve: Any) -> None:
    core, ended = ScriptedCore([[START, END]], failures=[FAILED]), call()
    await serve(core, ended)
    assert (ended.route, ended.failures) == (ROUTE, (FAILED,))
    assert core.generations[0].closed == 1


@pytest.mark.parametrize("serve", [generate, stream])
async def test_a_failed_call_tells_of_its_attempts_and_is_closed(serve: Any) -> None:
    core, ended = ScriptedCore([[START, TextDelta(0, "a")], CUT], failures=[FAILED]), call()
    with pytest.raises(GatewayError) as caught:
        await serve(core, ended)
    assert caught.value is CUT
    assert (ended.route, ended.failures) == (ROUTE, (FAILED,))
    assert core.generations[0].closed == 1


@pytest.mark.parametrize("serve", [generate, stream])
async def test_a_call_that_was_not_taken_has_no_route(serve: Any) -> None:
    core, ended = ScriptedCore(refusals=[SHED]), call()
    with pytest.raises(GatewayError) as caught:
        await serve(core, ended)
    assert caught.value is SHED
    assert (ended.route, ended.failures) == (None, ())
    assert dict(ended.trailers()).keys() == {"x-request-id"}
