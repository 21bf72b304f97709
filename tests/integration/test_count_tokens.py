"""CountTokens as callers see it: the provider's count, or an estimate whatever it does."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import grpc
import pytest
from google.rpc import error_details_pb2

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.ports.provider import Provider, ProviderSettings
from llmgateway_server.providers.anthropic import DIALECT, AnthropicOptions
from support.gateway import failure_of, question, serving
from support.ports import black_hole, closed_port
from support.provider import ScriptedProvider, gateway_over
from support.upstream import Conn, Upstream

HELLO = pb.CountTokensRequest(input=question("Hello there, how are you today?"))


async def test_a_provider_that_counts_is_believed() -> None:
    async with serving(gateway_over(ScriptedProvider(tokens=11))) as running:
        call = running.generation.CountTokens(HELLO)
        count = await call
        trailers = dict(await call.trailing_metadata() or ())
    assert count == pb.CountTokensResponse(input_token_count=11, model="up/tiny")
    assert trailers["x-llmgateway-provider"] == "up"
    assert trailers["x-llmgateway-attempts"] == "1"
    assert len(str(trailers["x-request-id"])) == 26


async def test_a_route_is_resolved_to_the_model_whose_tokens_are_counted() -> None:
    provider = ScriptedProvider(tokens=11)
    async with serving(gateway_over(provider)) as running:
        request = pb.CountTokensRequest(input=question(model="words"))
        assert (await running.generation.CountTokens(request)).model == "up/tiny"
    assert [model for _, model in provider.counted] == ["tiny"]


async def test_a_provider_that_fails_costs_the_exactness_only() -> None:
    attempt = AttemptFailure("up", "tiny", 500)
    refusal = GatewayError(Reason.PROVIDER_ERROR, "no", attempt=attempt)
    async with serving(gateway_over(ScriptedProvider(refusal=refusal))) as running:
        count = await running.generation.CountTokens(HELLO)
    assert count.is_estimated
    assert 4 <= count.input_token_count <= 20


def anthropic(base_url: str) -> Provider:
    """A provider that has a call to count tokens."""
    return DIALECT.create(ProviderSettings("up", base_url, None, AnthropicOptions()))


async def test_a_provider_counts_the_whole_input() -> None:
    # As https://platform.claude.com/docs/en/api/messages/count_tokens has it; synthetic.
    async def script(conn: Conn) -> None:
        await conn.respond(200, b'{"input_tokens": 14}', {"content-type": "application/json"})

    tools = [pb.ToolDefinition(name="weather")]
    async with (
        Upstream(script) as upstream,
        serving(gateway_over(anthropic(upstream.base_url))) as running,
    ):
        request = pb.CountTokensRequest(input=question(tools=tools))
        count = await running.generation.CountTokens(request)
    assert (count.input_token_count, count.is_estimated) == (14, False)
    (asked,) = upstream.requests
    assert asked.path == "/v1/messages/count_tokens"
    assert asked.json()["tools"][0]["name"] == "weather"


@pytest.mark.parametrize(
    ("status", "body"), [(404, b""), (500, b"{}"), (200, b"no count"), (200, b'{"input_tokens":')]
)
async def test_an_upstream_that_does_not_count_costs_the_exactness_only(
    status: int, body: bytes
) -> None:
    async def script(conn: Conn) -> None:
        await conn.respond(status, body, {"content-type": "application/json"})

    async with (
        Upstream(script) as upstream,
        serving(gateway_over(anthropic(upstream.base_url))) as running,
    ):
        count = await running.generation.CountTokens(HELLO)
    assert count.is_estimated
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("nobody", [closed_port, black_hole])
async def test_a_provider_that_cannot_be_reached_does_not_fail_a_count(
    nobody: Callable[[], AbstractContextManager[int]],
) -> None:
    with nobody() as port:
        provider = anthropic(f"http://127.0.0.1:{port}/v1")
        async with serving(gateway_over(provider)) as running:
            count = await running.generation.CountTokens(HELLO, timeout=1.0)
    assert count.is_estimated
    assert count.model == "up/tiny"
    assert 4 <= count.input_token_count <= 20


async def test_a_provider_that_hangs_leaves_time_for_the_estimate() -> None:
    async with serving(gateway_over(ScriptedProvider(tokens=11, opening=30.0))) as running:
        count = await running.generation.CountTokens(HELLO, timeout=1.0)
    assert count.is_estimated


async def test_an_invalid_request_names_its_fields_and_is_not_counted() -> None:
    provider = ScriptedProvider(tokens=11)
    async with serving(gateway_over(provider)) as running:
        failed = await failure_of(running.generation.CountTokens(pb.CountTokensRequest()))
    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    bad = failed.detail(error_details_pb2.BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["input.messages"]
    assert provider.counted == []


async def test_a_model_that_nobody_has_is_not_found() -> None:
    async with serving(gateway_over(ScriptedProvider(tokens=11))) as running:
        request = pb.CountTokensRequest(input=question(model="nobody/x"))
        failed = await failure_of(running.generation.CountTokens(request))
    assert failed.reason == "MODEL_NOT_FOUND"
