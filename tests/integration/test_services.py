"""The services as callers see them: streams, their folds, metadata, catalog, health, reflection."""

import asyncio
import json

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from llmgateway.v1 import catalog_service_pb2, content_pb2
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.catalog import ProviderEntry
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import Provider
from llmgateway_server.routing.routes import RouteTable
from support.gateway import Failed, ask, failure_of, gateway_to, question, rest_of, serving, text_of
from support.grpc_raw import RawGrpc, frame_message
from support.openai import (
    FAULTS,
    ToolCall,
    finish_chunk,
    plain_completion,
    start_stream,
    stream_text,
    stream_tools,
    text_chunk,
)
from support.provider import ScriptedProvider, gateway_of
from support.upstream import Conn, Upstream

GENERATE_STREAM = "/llmgateway.v1.GenerationService/GenerateStream"
WORDS = "a secret in an exception's words"
GENERATE = "/llmgateway.v1.GenerationService/Generate"


async def test_a_stream_comes_as_it_is_made() -> None:
    async with (
        Upstream(stream_text(["Hel", "lo ", "you"], delay=0.05)) as upstream,
        gateway_to(upstream.base_url) as running,
    ):
        messages = await running.stream()
    assert text_of(messages) == "Hello you"
    assert len(messages) >= 3
    first, last = messages[0], messages[-1]
    assert first.start.model == "up/tiny"
    assert first.start.route.provider == "up"
    assert first.start.route.time_to_first_token.ToNanoseconds() > 0
    assert first.deltas
    assert last.finish.reason == pb.FINISH_REASON_STOP
    assert last.usage.output_token_count > 0
    assert not any(message.HasField("start") for message in messages[1:])
    assert not any(message.HasField("finish") for message in messages[:-1])


async def test_generate_is_the_fold_of_the_stream() -> None:
    call = ToolCall("call_1", "weather", ('{"city": ', '"Oslo"}'))
    async with (
        Upstream(stream_tools(call)) as upstream,
        gateway_to(upstream.base_url) as running,
    ):
        answer = await running.generation.Generate(pb.GenerateRequest(input=question()))
        messages = await running.stream()
    assert answer.finish.reason == pb.FINISH_REASON_TOOL_CALLS
    assert answer.parts[0].tool_call.name == "weather"
    assert json.loads(answer.parts[0].tool_call.arguments_json) == {"city": "Oslo"}
    fragments = [d.tool_call for m in messages for d in m.deltas]
    assert "".join(f.arguments_json for f in fragments) == '{"city": "Oslo"}'
    assert [f.name for f in fragments if f.name] == ["weather"]
    assert answer.usage == messages[-1].usage


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_model_that_cannot_stream_gives_the_same_answer(streaming: bool) -> None:
    settings = {"models": {"tiny": {"streaming": streaming}}}
    async with (
        Upstream(plain_completion("all at once")) as upstream,
        gateway_to(upstream.base_url, provider=settings) as running,
    ):
        messages = await running.stream()
        answer = await running.generation.Generate(pb.GenerateRequest(input=question()))
    assert text_of(messages) == "all at once"
    assert answer.parts[0].text == "all at once"
    assert upstream.requests[0].json().get("stream", False) is streaming


async def test_every_call_ends_with_its_trailers() -> None:
    async with Upstream(stream_text(["a"])) as upstream, gateway_to(upstream.base_url) as running:
        call = running.generation.GenerateStream(ask(), metadata=(("x-request-id", "mine-1"),))
        assert [m async for m in call]
        trailers = dict(await call.trailing_metadata())
        failed = await failure_of(running.stream(ask(model="nobody/x")))
    assert trailers["x-request-id"] == "mine-1"
    assert trailers["x-llmgateway-provider"] == "up"
    assert trailers["x-llmgateway-attempts"] == "1"
    assert trailers["x-llmgateway-cache"] == "bypass"
    assert len(str(failed.trailers["x-request-id"])) == 26


@pytest.mark.parametrize("bad", ["", "with space", "x" * 129])
async def test_a_request_id_that_no_log_should_hold_is_replaced(bad: str) -> None:
    async with Upstream(stream_text(["a"])) as upstream, gateway_to(upstream.base_url) as running:
        call = running.generation.GenerateStream(ask(), metadata=(("x-request-id", bad),))
        assert [m async for m in call]
        assert len(str(dict(await call.trailing_metadata())["x-request-id"])) == 26


async def test_headers_leave_with_the_first_message_and_not_before() -> None:
    release = asyncio.Event()

    async def script(conn: Conn) -> None:
        await release.wait()
        await stream_text(["late"])(conn)

    async with Upstream(script) as upstream, gateway_to(upstream.base_url) as running:
        call = running.generation.GenerateStream(ask())
        headers = asyncio.ensure_future(call.initial_metadata())
        await upstream.wait_requests(1)
        await asyncio.sleep(0.1)
        assert not headers.done()
        release.set()
        await headers
        assert text_of([m async for m in call]) == "late"


async def test_heartbeats_fill_the_silence() -> None:
    async def slow(conn: Conn) -> None:
        await conn.sleep(0.5)
        await stream_text(["here"])(conn)

    request = ask()
    request.stream_options.heartbeat_interval.FromMilliseconds(100)
    async with Upstream(slow) as upstream, gateway_to(upstream.base_url) as running:
        messages = await running.stream(request)
    beats = [m for m in messages if m.ByteSize() == 0]
    assert len(beats) >= 3
    assert messages[0].ByteSize() == 0
    assert text_of(messages) == "here"


async def test_what_arrives_together_is_sent_together() -> None:
    pieces = [f"{n} " for n in range(3000)]

    async def burst(conn: Conn) -> None:
        await start_stream(conn)
        events = (json.dumps(text_chunk(piece)) for piece in pieces)
        await conn.chunk("".join(f"data: {event}\n\n" for event in events).encode())
        await conn.event(finish_chunk("stop"))
        await conn.done()

    async with Upstream(burst) as upstream, gateway_to(upstream.base_url) as running:
        messages = await running.stream()
    assert text_of(messages) == "".join(pieces)
    assert len(messages) < 100
    assert all(len(message.deltas) <= 1 for message in messages)


async def test_a_coalesce_delay_makes_fewer_messages() -> None:
    pieces = ["x"] * 40
    async with (
        Upstream(stream_text(pieces, delay=0.005)) as upstream,
        gateway_to(upstream.base_url) as running,
    ):
        prompt = await running.stream()
        request = ask()
        request.stream_options.max_coalesce_delay.FromMilliseconds(100)
        collected = await running.stream(request)
    assert text_of(prompt) == text_of(collected) == "x" * 40
    assert len(collected) < len(prompt) / 2


async def test_reasoning_reaches_only_those_who_ask() -> None:
    async def thinking(conn: Conn) -> None:
        await start_stream(conn)
        for delta in ({"reasoning_content": "hm"}, {"content": "yes"}):
            chunk = text_chunk("")
            chunk["choices"][0]["delta"] = delta
            await conn.event(chunk)
        chunk = text_chunk("")
        chunk["choices"][0].update(delta={}, finish_reason="stop")
        await conn.event(chunk)
        await conn.done()

    async with Upstream(thinking) as upstream, gateway_to(upstream.base_url) as running:
        plain = await running.generation.Generate(pb.GenerateRequest(input=question()))
        asked = await running.generation.Generate(
            pb.GenerateRequest(input=question(output=pb.OutputOptions(include_reasoning=True)))
        )
    assert [part.WhichOneof("kind") for part in plain.parts] == ["text"]
    assert [part.WhichOneof("kind") for part in asked.parts] == ["reasoning", "text"]
    assert asked.parts[0].reasoning.text == "hm"


async def test_an_invalid_request_names_its_fields_and_reaches_no_provider() -> None:
    async with Upstream() as upstream, gateway_to(upstream.base_url) as running:
        request = ask(messages=[content_pb2.Message()])
        request.stream_options.max_coalesce_delay.FromSeconds(5)
        failed = await failure_of(running.stream(request))
        assert upstream.requests == []
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.reason == "REQUEST_INVALID"
    bad = failed.detail(error_details_pb2.BadRequest)
    assert bad.field_violations
    assert "grpc-retry-pushback-ms" not in failed.trailers


@pytest.mark.parametrize("path", [GENERATE_STREAM, GENERATE])
@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x04\x0a\x02\xff\xfe"])
async def test_bytes_that_are_no_request_are_the_callers_to_mend(path: str, body: bytes) -> None:
    async with Upstream() as upstream, gateway_to(upstream.base_url) as running:
        host, _, port = running.address.rpartition(":")
        async with RawGrpc(host, int(port)) as raw:
            reply = await raw.call(path, frame_message(body))
    assert reply.status == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert reply.binary_trailer("grpc-status-details-bin")


async def test_half_a_request_leaves_the_server_serving_others() -> None:
    async with Upstream(stream_text(["ok"])) as upstream, gateway_to(upstream.base_url) as running:
        host, _, port = running.address.rpartition(":")
        async with RawGrpc(host, int(port)) as raw:
            for _ in range(5):
                stream = await raw.open(GENERATE, end_stream=True)
                stream = await raw.open(GENERATE)
                await raw.send(stream, frame_message(b"x", declared_length=99), end_stream=True)
            assert text_of(await running.stream()) == "ok"


async def test_a_bug_is_internal_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ScriptedProvider):
        async def open(self, *_: object, **__: object) -> object:  # type: ignore[override]
            raise ValueError(WORDS)

    table = RouteTable([], [ProviderEntry("up", "x", True, Timers())], [])
    providers: dict[str, Provider] = {"up": Broken()}  # type: ignore[dict-item]
    async with serving(gateway_of(table, providers)) as running:
        failed = await failure_of(running.stream())
    assert (failed.code, failed.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    info = failed.detail(error_details_pb2.ErrorInfo)
    assert info.metadata["response_id"] in caplog.text
    assert WORDS not in failed.everything + caplog.text
    assert "ValueError" in caplog.text


async def test_what_only_the_operator_can_mend_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Upstream(FAULTS["http_401"]) as upstream, gateway_to(upstream.base_url) as running:
        failed = await failure_of(running.stream(metadata=(("x-request-id", "mine-2"),)))
    assert failed.reason == "PROVIDER_CREDENTIALS_REJECTED"
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    for word in ("PROVIDER_CREDENTIALS_REJECTED", "up/tiny", "401", "mine-2"):
        assert word in record.getMessage()


async def test_a_request_that_is_too_large_is_told_so() -> None:
    async with Upstream() as upstream, gateway_to(upstream.base_url) as running:
        failed = await failure_of(running.stream(ask("x" * (20 * 1024 * 1024))))
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.reason == "REQUEST_TOO_LARGE"
    assert failed.detail(error_details_pb2.BadRequest) is not None


async def test_a_long_answer_passes_clients_with_default_limits() -> None:
    text = "0123456789" * 300_000
    async with (
        Upstream(plain_completion(text)) as upstream,
        gateway_to(upstream.base_url) as running,
    ):
        assert text_of(await running.stream()) == text


async def test_the_catalog_lists_routes_and_models_page_by_page() -> None:
    models: dict[str, object] = {f"m{n:02}": {} for n in range(5)}
    async with gateway_to(
        "http://127.0.0.1:1/v1",
        provider={"models": models},
        routes={"chat": {"targets": ["up/m00"]}},
    ) as running:
        names, token = [], ""
        while True:
            page = await running.catalog.ListModels(
                catalog_service_pb2.ListModelsRequest(page_size=2, page_token=token)
            )
            assert len(page.models) <= 2
            names += [model.name for model in page.models]
            token = page.next_page_token
            if not token:
                break
        route = await running.catalog.GetModel(catalog_service_pb2.GetModelRequest(name="chat"))
        provider = await running.catalog.GetProvider(
            catalog_service_pb2.GetProviderRequest(name="up")
        )
        missing = await failure_of(
            running.catalog.GetModel(catalog_service_pb2.GetModelRequest(name="nope"))
        )
        negative = await failure_of(
            running.catalog.ListProviders(catalog_service_pb2.ListProvidersRequest(page_size=-1))
        )
        junk = await failure_of(
            running.catalog.ListModels(catalog_service_pb2.ListModelsRequest(page_token="%%"))
        )
    assert names == ["chat", *(f"up/m{n:02}" for n in range(5))]
    assert list(route.model.targets) == ["up/m00"]
    assert provider.provider.state == catalog_service_pb2.PROVIDER_STATE_ACTIVE
    assert missing.reason == "MODEL_NOT_FOUND"
    assert negative.reason == junk.reason == "REQUEST_INVALID"


async def test_health_knows_the_services_the_routes_and_liveness() -> None:
    async with gateway_to(
        "http://127.0.0.1:1/v1", routes={"chat": {"targets": ["up/m"]}}
    ) as running:
        health = health_pb2_grpc.HealthStub(running.channel)
        for name in (
            "",
            "llmgateway.v1.GenerationService",
            "llmgateway.v1.EmbeddingService",
            "llmgateway.v1.CatalogService",
            "liveness",
            "route/chat",
        ):
            reply = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        unknown = await failure_of(health.Check(health_pb2.HealthCheckRequest(service="nope")))
        assert unknown.code is grpc.StatusCode.NOT_FOUND


async def test_a_drain_is_watched_and_streams_in_flight_are_not_dropped() -> None:
    async with (
        Upstream(stream_text(["tick "] * 10, delay=0.05)) as upstream,
        gateway_to(upstream.base_url) as running,
    ):
        health = health_pb2_grpc.HealthStub(running.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=""))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        call = running.generation.GenerateStream(ask())
        await call.read()
        began = asyncio.get_running_loop().time()
        drain = asyncio.create_task(running.server.drain(pause=0.0, grace=20.0))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await rest_of(call) == "tick " * 9
        assert await call.code() is grpc.StatusCode.OK
        await drain
        # An open Watch must not hold the drain for the whole grace.
        assert asyncio.get_running_loop().time() - began < 5
        watch.cancel()


async def test_a_stream_that_outlives_the_grace_is_told_why_it_ends() -> None:
    async with (
        Upstream(FAULTS["stall_mid_stream"]) as upstream,
        gateway_to(upstream.base_url) as running,
    ):
        call = running.generation.GenerateStream(ask())
        await call.read()
        drain = asyncio.create_task(running.server.drain(pause=0.0, grace=0.2))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        failed = Failed(caught.value)
        await drain
        await upstream.wait_closed()
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "GATEWAY_DRAINING")


async def test_a_call_during_the_drain_is_sent_elsewhere() -> None:
    async with (
        Upstream(FAULTS["stall_mid_stream"]) as upstream,
        gateway_to(upstream.base_url) as running,
    ):
        running.server.calls.draining = True
        failed = await failure_of(running.stream())
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "GATEWAY_DRAINING")
    assert int(str(failed.trailers["grpc-retry-pushback-ms"])) > 0
    assert failed.detail(error_details_pb2.RetryInfo) is not None


async def test_reflection_lists_what_is_served_and_nothing_else() -> None:
    async with gateway_to("http://127.0.0.1:1/v1") as running:
        stub = reflection_pb2_grpc.ServerReflectionStub(running.channel)
        call = stub.ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        reply = await call.read()
        await call.done_writing()
        names = {service.name for service in reply.list_services_response.service}
        call.cancel()
    assert names == {
        "llmgateway.v1.GenerationService",
        "llmgateway.v1.EmbeddingService",
        "llmgateway.v1.CatalogService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
