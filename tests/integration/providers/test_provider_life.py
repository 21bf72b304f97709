"""The life of a provider over HTTP: asked how it is, counted, reconfigured in flight, shut down."""

import asyncio
import json
import struct
from typing import Any

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.answer import Finish
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderMetrics, ProviderSettings, ProviderStream
from llmgateway_server.providers.http_provider import HttpProvider
from llmgateway_server.providers.openai_chat import OpenAIChat, OpenAIChatOptions
from support.chat_stream import DONE, STOP, USAGE, sse, text
from support.upstream import Conn, Upstream

ASK = GenerationRequest("", (Message(Role.USER, (TextPart("Hi"),)),))
TIMERS = Timers()
WHOLE = sse(text("Hi"), STOP, USAGE) + DONE


def settings(base_url: str, *, key: str = "sk-1", connections: int = 200) -> ProviderSettings:
    return ProviderSettings(
        "up", base_url, lambda: key, OpenAIChatOptions(), connections=connections
    )


def provider_at(base_url: str) -> HttpProvider:
    return HttpProvider(
        settings(base_url), lambda s: OpenAIChat(s.name, s.base_url, OpenAIChatOptions())
    )


async def read_all(stream: ProviderStream) -> list[ProviderEvent]:
    events: list[ProviderEvent] = []
    while not events or not isinstance(events[-1], Finish):
        events += await stream.read()
    return events


async def whole(conn: Conn) -> None:
    await conn.head()
    await conn.chunk(WHOLE)
    await conn.end()


async def begun(conn: Conn) -> None:
    await conn.head()
    await conn.chunk(sse(text("Hi")))
    await conn.stall()


async def refused(conn: Conn) -> None:
    body = {"error": {"message": "no", "code": "invalid_api_key"}}
    await conn.respond(401, json.dumps(body).encode())


async def test_a_healthy_provider_says_so_with_its_latency() -> None:
    async def models(conn: Conn) -> None:
        assert conn.received.method == "GET"
        assert conn.received.path == "/v1/models"
        assert conn.received.headers["authorization"] == "Bearer sk-1"
        await conn.sleep(0.02)
        await conn.respond(200, b'{"data": []}', {"content-type": "application/json"})

    async with Upstream(models) as upstream:
        provider = provider_at(upstream.base_url)
        health = await provider.validate(TIMERS)
        await provider.shutdown()
    assert health.is_healthy
    assert 0.02 <= health.latency < 5.0


async def test_a_provider_without_a_list_of_models_is_healthy() -> None:
    async def no_page(conn: Conn) -> None:
        await conn.respond(404)

    async with Upstream(no_page) as upstream:
        provider = provider_at(upstream.base_url)
        assert (await provider.validate(TIMERS)).is_healthy
        await provider.shutdown()


async def test_what_is_wrong_with_a_provider_is_told_and_never_raised() -> None:
    async def silent(conn: Conn) -> None:
        await conn.stall()

    async with Upstream(refused) as upstream:
        provider = provider_at(upstream.base_url)
        assert (await provider.validate(TIMERS)).reason is Reason.PROVIDER_CREDENTIALS_REJECTED
        upstream.script = silent
        late = await provider.validate(replace(TIMERS, first_content=0.05))
        assert late.reason is Reason.PROVIDER_TIMEOUT
        await provider.shutdown()
        base_url = upstream.base_url
    gone = await provider_at(base_url).validate(TIMERS)
    assert (gone.is_healthy, gone.reason) == (False, Reason.PROVIDER_ERROR)
    assert "could not be reached" in gone.message


async def test_every_call_is_counted_once_by_how_it_ended() -> None:
    async with Upstream(whole) as upstream:
        provider = provider_at(upstream.base_url)
        assert provider.metrics() == ProviderMetrics()
        stream = await provider.open(ASK, "m", TIMERS)
        assert provider.metrics().in_flight == 1
        await read_all(stream)
        stream.close()

        upstream.script = begun
        stream = await provider.open(ASK, "m", TIMERS)
        await stream.read()
        stream.close()
        stream.close()

        upstream.script = refused
        with pytest.raises(GatewayError):
            await provider.open(ASK, "m", TIMERS)

        waiting = asyncio.create_task(provider.open(ASK, "m", TIMERS))
        waiting.cancel()
        await asyncio.wait([waiting])
        metrics = provider.metrics()
        await provider.shutdown()
    # The last one never began to run.
    assert (metrics.started, metrics.succeeded, metrics.cancelled, metrics.failed) == (3, 1, 1, 1)
    assert (metrics.in_flight, metrics.input_token_count, metrics.output_token_count) == (0, 9, 4)


@pytest.mark.parametrize("connections", [200, 7])
async def test_an_update_serves_later_calls_and_leaves_those_in_flight(connections: int) -> None:
    async def later(conn: Conn) -> None:
        await conn.head()
        await conn.chunk(sse(text("Hi")))
        await updated.wait()
        await conn.chunk(WHOLE)
        await conn.end()

    updated = asyncio.Event()
    async with Upstream(later) as before, Upstream(whole) as after:
        provider = provider_at(before.base_url)
        stream = await provider.open(ASK, "m", TIMERS)
        await stream.read()
        new = settings(after.base_url, key="sk-2", connections=connections)
        await provider.update_config(new)
        updated.set()
        await read_all(stream)
        await read_all(await provider.open(ASK, "m", TIMERS))
        await provider.shutdown()
        assert len(before.requests) == 1
        assert after.requests[0].headers["authorization"] == "Bearer sk-2"


async def test_settings_that_cannot_be_used_leave_the_old_ones() -> None:
    async with Upstream(whole) as upstream:
        provider = provider_at(upstream.base_url)
        with pytest.raises(ValueError, match=r"providers\.up\.api_key"):
            await provider.update_config(settings(upstream.base_url, key="sk\n"))
        await read_all(await provider.open(ASK, "m", TIMERS))
        await provider.shutdown()


async def test_many_texts_are_embedded_in_batches_and_come_back_in_order() -> None:
    async def embed(conn: Conn) -> None:
        inputs = conn.received.json()["input"]
        data: list[dict[str, Any]] = [
            {"index": index, "embedding": [float(word)]} for index, word in enumerate(inputs)
        ]
        answer = {"data": data[::-1], "usage": {"prompt_tokens": len(inputs)}}
        await conn.respond(200, json.dumps(answer).encode(), {"content-type": "application/json"})

    texts = tuple(str(number) for number in range(5000))
    async with Upstream(embed) as upstream:
        provider = provider_at(upstream.base_url)
        answer = await provider.embed(EmbeddingRequest("m", texts), "m", TIMERS)
        metrics = provider.metrics()
        await provider.shutdown()
        assert [len(request.json()["input"]) for request in upstream.requests] == [2048, 2048, 904]
    assert [struct.unpack("<f", vector)[0] for vector in answer.vectors] == list(range(5000))
    assert answer.usage.input_token_count == 5000
    assert (metrics.succeeded, metrics.input_token_count) == (3, 5000)


async def test_a_server_that_closes_kept_connections_unsaid_costs_no_call() -> None:
    async def answer_only_on_fresh_ones(conn: Conn) -> None:
        if len(upstream.requests) % 2:
            await whole(conn)
        else:
            conn.close()

    async with Upstream(answer_only_on_fresh_ones) as upstream:
        provider = provider_at(upstream.base_url)
        for _ in range(5):
            await read_all(await provider.open(ASK, "m", TIMERS))
            await asyncio.sleep(0.02)
        metrics = provider.metrics()
        await provider.shutdown()
        assert (len(upstream.requests), upstream.connections_total) == (9, 5)
    assert (metrics.started, metrics.succeeded) == (5, 5)


async def test_a_server_that_hangs_up_on_a_fresh_connection_too_has_failed() -> None:
    async def hang_up(conn: Conn) -> None:
        if len(upstream.requests) == 1:
            await whole(conn)
        else:
            conn.close()

    async with Upstream(hang_up) as upstream:
        provider = provider_at(upstream.base_url)
        await read_all(await provider.open(ASK, "m", TIMERS))
        await asyncio.sleep(0.02)
        with pytest.raises(GatewayError) as raised:
            await provider.open(ASK, "m", TIMERS)
        await provider.shutdown()
        assert raised.value.reason is Reason.PROVIDER_ERROR
        assert len(upstream.requests) == 3
