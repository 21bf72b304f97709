"""What a model cannot take, and what it costs, as a caller sees it."""

from typing import Any

import grpc
from google.rpc import error_details_pb2

from llmgateway.v1 import catalog_service_pb2
from llmgateway.v1 import generation_service_pb2 as pb
from support.chat_stream import DONE, STOP, USAGE, sse, text
from support.gateway import failure_of, gateway_to, question
from support.upstream import Conn, Upstream

PROVIDER: dict[str, Any] = {
    "models": {
        "tiny": {
            "capabilities": {"refused": ["sampling.temperature"], "context_window": 1000},
            "prices": {"input": 1.0, "output": 10.0},
        }
    }
}
ROUTES = {
    "strict": {"targets": ["up/tiny"]},
    "lenient": {"targets": ["up/tiny"], "unsupported": "drop"},
}


async def hi(conn: Conn) -> None:
    await conn.head()
    await conn.chunk(sse(text("Hi"), STOP, USAGE) + DONE)
    await conn.end()


def warm(model: str) -> pb.GenerateRequest:
    return pb.GenerateRequest(
        input=question(model=model, sampling=pb.SamplingOptions(temperature=0.5, top_p=0.9))
    )


async def test_a_field_that_the_model_refuses_is_refused_before_the_call() -> None:
    async with (
        Upstream(hi) as upstream,
        gateway_to(upstream.base_url, provider=PROVIDER, routes=ROUTES) as running,
    ):
        failed = await failure_of(running.generation.Generate(warm("strict")))
        assert upstream.requests == []
    assert failed.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.reason == "CAPABILITY_UNSUPPORTED"
    info = failed.detail(error_details_pb2.ErrorInfo)
    assert info.metadata["field"] == "input.sampling.temperature"


async def test_a_lenient_route_drops_it_and_says_so_in_the_trailers() -> None:
    async with (
        Upstream(hi) as upstream,
        gateway_to(upstream.base_url, provider=PROVIDER, routes=ROUTES) as running,
    ):
        call = running.generation.Generate(warm("lenient"))
        await call
        trailers = dict(await call.trailing_metadata())
        sent = upstream.requests[0].json()
    assert trailers["x-llmgateway-dropped"] == "sampling.temperature"
    assert "temperature" not in sent
    assert sent["top_p"] == 0.9


async def test_an_answer_says_what_it_cost_and_the_catalog_what_it_would() -> None:
    async with (
        Upstream(hi) as upstream,
        gateway_to(upstream.base_url, provider=PROVIDER, routes=ROUTES) as running,
    ):
        answer = await running.generation.Generate(pb.GenerateRequest(input=question()))
        model = (
            await running.catalog.GetModel(catalog_service_pb2.GetModelRequest(name="up/tiny"))
        ).model
    # 9 tokens in at a dollar a million, 4 out at ten.
    assert answer.usage.cost_nano_usd == 9_000 + 40_000
    assert model.input_price_nano_usd_per_million_tokens == 1_000_000_000
    assert model.context_window_token_count == 1000
