"""EmbeddingService as callers see it: real gRPC in front, a scripted provider behind."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2

from llmgateway.v1 import embedding_service_pb2 as pb
from llmgateway.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.embedding import EmbeddingAnswer
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from support.gateway import MODEL, Running, failure_of, gateway_to, serving, until
from support.grpc_raw import RawGrpc, frame_message
from support.provider import ScriptedProvider, gateway_over
from support.upstream import Conn, Upstream

if TYPE_CHECKING:
    from llmgateway.v1.embedding_service_pb2_grpc import EmbeddingServiceAsyncStub

EMBED = "/llmgateway.v1.EmbeddingService/Embed"
VECTORS = [[1.0, -2.5], [0.25, 0.0]]
ANSWER = EmbeddingAnswer(
    tuple(struct.pack("<2f", *vector) for vector in VECTORS), Usage(input_token_count=4), "req-9"
)


def ask(**fields: object) -> pb.EmbedRequest:
    return pb.EmbedRequest(**{"model": MODEL, "inputs": ["one", "two"], **fields})  # type: ignore[arg-type]


def service(running: Running) -> EmbeddingServiceAsyncStub:
    return EmbeddingServiceStub(running.channel)


async def test_floats_come_unless_packed_vectors_are_asked_for() -> None:
    async with serving(gateway_over(ScriptedProvider(embedding=ANSWER))) as running:
        plain = await service(running).Embed(ask())
        packed = await service(running).Embed(ask(encoding=pb.EMBEDDING_ENCODING_F32_LE))
    assert [list(each.values) for each in plain.embeddings] == VECTORS
    assert [each.values_f32_le for each in packed.embeddings] == list(ANSWER.vectors)
    assert [each.index for each in packed.embeddings] == [0, 1]
    assert plain.response_id != packed.response_id
    assert (plain.model, plain.usage.input_token_count) == ("up/tiny", 4)
    assert plain.route.provider == "up"
    assert plain.route.provider_request_id == "req-9"


async def test_the_request_reaches_the_provider_of_the_route() -> None:
    provider = ScriptedProvider(embedding=ANSWER)
    async with serving(gateway_over(provider)) as running:
        request = ask(model="words", end_user_id="u", provider_options_json='{"up": {"x": 1}}')
        answer = await service(running).Embed(request)
    ((asked, model),) = provider.embedded
    assert (asked.inputs, asked.end_user_id, model) == (("one", "two"), "u", "tiny")
    assert asked.provider_options == (("up", b'{"x": 1}'),)
    assert answer.model == "up/tiny"


async def test_a_call_ends_with_its_trailers_well_or_not() -> None:
    async with serving(gateway_over(ScriptedProvider(embedding=ANSWER))) as running:
        call = service(running).Embed(ask(), metadata=(("x-request-id", "mine-1"),))
        await call
        trailers = dict(await call.trailing_metadata() or ())
    attempt = AttemptFailure("up", "tiny", 503)
    refusal = GatewayError(Reason.PROVIDER_ERROR, "no", attempt=attempt)
    async with serving(gateway_over(ScriptedProvider(refusal=refusal))) as running:
        failed = await failure_of(service(running).Embed(ask()))
    assert trailers["x-request-id"] == "mine-1"
    assert trailers["x-llmgateway-provider"] == failed.trailers["x-llmgateway-provider"] == "up"
    assert trailers["x-llmgateway-attempts"] == "1"
    # A fault is tried once more.
    assert failed.trailers["x-llmgateway-attempts"] == "2"
    assert failed.trailers["x-llmgateway-failures"] == ",".join(["up/tiny=PROVIDER_ERROR;503"] * 2)
    assert trailers["x-llmgateway-cache"] == "bypass"
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "PROVIDER_ERROR")
    assert failed.trailers["grpc-retry-pushback-ms"] == "-1"
    assert failed.failure is not None
    assert [each.http_status for each in failed.failure.attempts] == [503, 503]
    assert len(failed.failure.response_id) == 26


async def test_an_invalid_request_names_its_fields_and_reaches_no_provider() -> None:
    provider = ScriptedProvider(embedding=ANSWER)
    async with serving(gateway_over(provider)) as running:
        failed = await failure_of(service(running).Embed(ask(inputs=["", "two"])))
    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    bad = failed.detail(error_details_pb2.BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["inputs[0]"]
    assert provider.embedded == []


async def test_a_model_that_nobody_has_is_not_found_and_none_at_all_is_invalid() -> None:
    async with serving(gateway_over(ScriptedProvider())) as running:
        missing = await failure_of(service(running).Embed(ask(model="nobody/x")))
        unnamed = await failure_of(service(running).Embed(ask(model="")))
    assert missing.reason == "MODEL_NOT_FOUND"
    assert unnamed.reason == "REQUEST_INVALID"
    bad = unnamed.detail(error_details_pb2.BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["model"]


async def test_a_provider_without_embeddings_says_so() -> None:
    async with serving(gateway_over(ScriptedProvider())) as running:
        failed = await failure_of(service(running).Embed(ask()))
    assert failed.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.reason == "CAPABILITY_UNSUPPORTED"


async def test_the_callers_deadline_is_told_in_the_callers_words() -> None:
    async with serving(gateway_over(ScriptedProvider(embedding=ANSWER, opening=30.0))) as running:
        failed = await failure_of(service(running).Embed(ask(), timeout=0.5))
    assert failed.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failed.reason == "DEADLINE_EXCEEDED"


async def test_the_callers_timer_ends_a_provider_that_hangs() -> None:
    request = ask()
    request.routing.first_content_timeout.FromMilliseconds(50)
    async with serving(gateway_over(ScriptedProvider(embedding=ANSWER, opening=30.0))) as running:
        failed = await failure_of(service(running).Embed(request))
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "PROVIDER_TIMEOUT")


async def test_vectors_that_no_message_can_carry_are_told_in_the_callers_words() -> None:
    provider = ScriptedProvider(embedding=EmbeddingAnswer((b"\0" * 4_000_000,) * 6, Usage(1)))
    async with serving(gateway_over(provider)) as running:
        came = await failure_of(service(running).Embed(ask(inputs=["x"] * 6)))
        request = ask(inputs=["x"] * 2048, dimension_count=3072)
        foreseen = await failure_of(service(running).Embed(request))
    assert came.reason == foreseen.reason == "REQUEST_TOO_LARGE"
    bad = came.detail(error_details_pb2.BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["inputs"]
    assert came.failure is not None
    assert came.failure.usage.input_token_count == 1
    assert len(provider.embedded) == 1


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x12\x05ab", b"\x12\x02\xff\xfe"])
async def test_bytes_that_are_no_request_are_the_callers_to_mend(body: bytes) -> None:
    async with serving(gateway_over(ScriptedProvider())) as running:
        host, _, port = running.address.rpartition(":")
        async with RawGrpc(host, int(port)) as raw:
            reply = await raw.call(EMBED, frame_message(body))
    assert reply.status == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert reply.binary_trailer("grpc-status-details-bin")


async def test_a_caller_that_goes_away_ends_the_call_at_the_provider() -> None:
    async with Upstream(_silence) as upstream, gateway_to(upstream.base_url) as running:
        call = service(running).Embed(ask())
        await upstream.wait_requests(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await upstream.wait_closed()
        await until(lambda: len(running.server.calls) == 0)


async def test_an_openai_upstream_is_asked_in_its_words_and_read_in_order() -> None:
    # As https://platform.openai.com/docs/api-reference/embeddings/create has it; synthetic.
    body = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 1, "embedding": VECTORS[1]},
            {"object": "embedding", "index": 0, "embedding": VECTORS[0]},
        ],
        "model": "tiny",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }

    async def script(conn: Conn) -> None:
        headers = {"content-type": "application/json", "x-request-id": "req-1"}
        await conn.respond(200, json.dumps(body).encode(), headers)

    async with Upstream(script) as upstream, gateway_to(upstream.base_url) as running:
        answer = await service(running).Embed(ask(dimension_count=2))
    (request,) = upstream.requests
    assert request.path == "/v1/embeddings"
    assert request.json()["input"] == ["one", "two"]
    assert (request.json()["model"], request.json()["dimensions"]) == ("tiny", 2)
    assert [list(each.values) for each in answer.embeddings] == VECTORS
    assert answer.usage.input_token_count == 4
    assert answer.route.provider_request_id == "req-1"


async def test_an_openai_upstreams_refusal_is_the_same_as_in_generation() -> None:
    error = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}

    async def script(conn: Conn) -> None:
        headers = {"content-type": "application/json", "retry-after": "7"}
        await conn.respond(429, json.dumps(error).encode(), headers)

    async with Upstream(script) as upstream, gateway_to(upstream.base_url) as running:
        failed = await failure_of(service(running).Embed(ask()))
    assert failed.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failed.reason == "PROVIDER_RATE_LIMITED"
    assert failed.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 7


async def _silence(conn: Conn) -> None:
    await conn.sleep(30.0)
