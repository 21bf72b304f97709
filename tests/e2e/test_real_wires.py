"""Three dialects against a real server that speaks all of them: llama.cpp with SmolLM2."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import pytest_asyncio

from llmgateway.v1 import content_pb2, errors_pb2
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server import bootstrap, config
from llmgateway_server.providers.dialect import installed_dialects
from llmgateway_server.routing.strategies import installed_strategies
from llmgateway_server.supervisor.embedded import EmbeddedModel
from support.gateway import Failed, Running, failure_of, serving, text_of

DIALECTS = ("openai_chat", "openai_responses", "anthropic")


@asynccontextmanager
async def gateway_in_front_of(base_url: str) -> AsyncIterator[Running]:
    providers = {
        dialect: {"dialect": dialect, "base_url": base_url, "api_key": "env:KEY"}
        for dialect in DIALECTS
    }
    async with gateway_to(providers) as running:
        yield running


@asynccontextmanager
async def gateway_to(providers: dict[str, Any]) -> AsyncIterator[Running]:
    plugins = installed_dialects()
    loaded = config.load_mapping(
        {"providers": providers},
        {"KEY": "none"},
        dialects=bootstrap.option_models(plugins),
        strategies=installed_strategies(),
        source="test",
    )
    async with serving(bootstrap.build_gateway(loaded, plugins)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def base_url() -> AsyncIterator[str]:
    model = EmbeddedModel()
    yield await model.start()
    await model.stop()


def asking(dialect: str, text: str = "Say hello.", *, limit: int = 16) -> pb.GenerationInput:
    return pb.GenerationInput(
        model=f"{dialect}/smollm2",
        messages=[
            content_pb2.Message(
                role=content_pb2.ROLE_SYSTEM, parts=[content_pb2.ContentPart(text="Be brief.")]
            ),
            content_pb2.Message(
                role=content_pb2.ROLE_USER, parts=[content_pb2.ContentPart(text=text)]
            ),
        ],
        sampling=pb.SamplingOptions(temperature=0),
        output=pb.OutputOptions(max_output_tokens=limit),
    )


def begun(provider: str) -> pb.GenerationInput:
    """A request whose answer has begun."""
    request = asking(provider, "Count from one to ten in words, separated by commas.", limit=8)
    beginning = content_pb2.ContentPart(text="one, two, three, four,")
    request.messages.add(role=content_pb2.ROLE_ASSISTANT, parts=[beginning])
    return request


def continued_by(answer: pb.GenerateResponse) -> str:
    return "".join(part.text for part in answer.parts).lstrip()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_and_its_fold_come_out_of_every_wire(base_url: str, dialect: str) -> None:
    request = asking(dialect, limit=24)
    async with gateway_in_front_of(base_url) as running:
        whole = await running.generation.Generate(pb.GenerateRequest(input=request))
        streamed = [
            message
            async for message in running.generation.GenerateStream(
                pb.GenerateStreamRequest(input=request)
            )
        ]
    assert text_of(streamed).strip()
    assert "".join(part.text for part in whole.parts).strip()
    assert len(streamed) > 2
    for finish, usage in ((whole.finish, whole.usage), (streamed[-1].finish, streamed[-1].usage)):
        assert finish.reason in (pb.FINISH_REASON_STOP, pb.FINISH_REASON_LENGTH)
        assert usage.input_token_count > 5
        assert 0 < usage.output_token_count <= 24
        assert not usage.is_estimated


@pytest.mark.asyncio(loop_scope="module")
# Its Responses say "completed" whatever ended them.
@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic"])
async def test_a_limit_ends_the_answer_by_its_length(base_url: str, dialect: str) -> None:
    request = asking(dialect, "Write a long story about a cat and its friends.", limit=4)
    async with gateway_in_front_of(base_url) as running:
        answer = await running.generation.Generate(pb.GenerateRequest(input=request))
    assert answer.finish.reason == pb.FINISH_REASON_LENGTH


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_prompt_beyond_the_context_is_told_as_such(base_url: str, dialect: str) -> None:
    request = asking(dialect, "word " * 20_000, limit=8)
    async with gateway_in_front_of(base_url) as running:
        failed: Failed = await failure_of(
            running.generation.Generate(pb.GenerateRequest(input=request))
        )
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.reason == "CONTEXT_LENGTH_EXCEEDED"
    (attempt,) = failed.detail(errors_pb2.GenerationFailure).attempts
    assert attempt.http_status == 400


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_second_turn_continues_the_conversation(base_url: str, dialect: str) -> None:
    request = asking(dialect)
    async with gateway_in_front_of(base_url) as running:
        first = await running.generation.Generate(pb.GenerateRequest(input=request))
        request.messages.add(role=content_pb2.ROLE_ASSISTANT, parts=first.parts)
        request.messages.add(
            role=content_pb2.ROLE_USER, parts=[content_pb2.ContentPart(text="And goodbye?")]
        )
        second = await running.generation.Generate(pb.GenerateRequest(input=request))
    assert second.usage.input_token_count > first.usage.input_token_count
    assert "".join(part.text for part in second.parts).strip()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_last_message_of_the_assistant_is_continued(base_url: str, dialect: str) -> None:
    async with gateway_in_front_of(base_url) as running:
        answer = await running.generation.Generate(pb.GenerateRequest(input=begun(dialect)))
    # The rest alone, and not the beginning again.
    assert continued_by(answer).startswith("five")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("streams", [True, False])
async def test_what_llama_cpp_repeats_is_taken_off(base_url: str, *, streams: bool) -> None:
    models = {"smollm2": {"streaming": streams}}
    local = {"preset": "llamacpp", "base_url": base_url, "models": models}
    async with gateway_to({"local": local}) as running:
        answer = await running.generation.Generate(pb.GenerateRequest(input=begun("local")))
    assert continued_by(answer).startswith("five")


@pytest.mark.asyncio(loop_scope="module")
async def test_tokens_are_counted_by_the_server_where_it_counts(base_url: str) -> None:
    async with gateway_in_front_of(base_url) as running:
        counts = {
            dialect: await running.generation.CountTokens(
                pb.CountTokensRequest(input=asking(dialect, limit=8))
            )
            for dialect in DIALECTS
        }
        answer = await running.generation.Generate(
            pb.GenerateRequest(input=asking("anthropic", limit=8))
        )
    assert not counts["anthropic"].is_estimated
    assert counts["anthropic"].input_token_count == answer.usage.input_token_count
    for dialect in ("openai_chat", "openai_responses"):
        assert counts[dialect].is_estimated
