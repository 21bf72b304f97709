"""The client against a real gRPC server that follows a script."""

import asyncio
import gc
import logging
from collections.abc import Iterator
from itertools import pairwise

import grpc
import pytest

import llmgateway
from llmgateway import (
    AsyncClient,
    Client,
    DeadlineError,
    Finished,
    FinishReason,
    Response,
    Restarted,
    Start,
    Text,
    UsageUpdate,
)
from llmgateway.v1 import errors_pb2 as errors
from llmgateway.v1 import generation_service_pb2 as generation
from llmgateway.v1.catalog_service_pb2 import Model, Provider
from llmgateway.v1.usage_pb2 import Route, Usage
from support.scripted_gateway import (
    FINISH,
    HEARTBEAT,
    REQUEST_ID,
    START,
    Abort,
    Hang,
    ScriptedGateway,
    text,
)

Code = grpc.StatusCode


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with ScriptedGateway() as scripted:
        yield scripted


@pytest.fixture
def client(gateway: ScriptedGateway) -> Iterator[Client]:
    with Client(gateway.address, timeout=10) as made:
        yield made


def test_a_stream_is_events_with_text_and_folds_to_the_answer(
    gateway: ScriptedGateway, client: Client
) -> None:
    gateway.script = [HEARTBEAT, START, HEARTBEAT, text("Hel"), HEARTBEAT, text("lo"), FINISH]
    with client.stream("Hi") as stream:
        events = list(stream)
    assert [type(event) for event in events] == [Start, Text, Text, UsageUpdate, Finished]
    assert "".join(event.text for event in events) == "Hello"
    response = stream.response()
    assert (response.text, response.finish_reason) == ("Hello", FinishReason.STOP)
    assert (response.model, response.route.provider) == ("demo/small", "demo")
    assert response.usage == Usage(input_token_count=3, output_token_count=5)
    assert response.request_id == REQUEST_ID
    assert client.generate("Hi") == response


async def test_the_asyncio_client_says_the_same(gateway: ScriptedGateway, client: Client) -> None:
    gateway.script = [HEARTBEAT, START, text("Hel", "lo"), FINISH]
    expected = client.generate("Hi")
    async with AsyncClient(gateway.address) as asyncio_client:
        async with asyncio_client.stream("Hi") as stream:
            spoken = [event.text async for event in stream]
            assert await stream.response() == expected
        assert await asyncio_client.generate("Hi") == expected
        assert await asyncio_client.stream("Hi").response() == expected
    assert "".join(spoken) == "Hello"


async def test_no_message_is_lost_when_the_status_overtakes_a_slow_reader(
    gateway: ScriptedGateway,
) -> None:
    pieces = [f"{number} " for number in range(500)]
    gateway.script = [START, *map(text, pieces), FINISH]
    async with AsyncClient(gateway.address) as client:
        stream = client.stream("Hi")
        await anext(stream)
        gateway.wait_for_calls(1, alive=0)
        assert (await stream.response()).text == "".join(pieces)


def test_a_restart_drops_what_came_and_says_so(gateway: ScriptedGateway, client: Client) -> None:
    cause = errors.AttemptFailure(provider="demo", http_status=503)
    route = Route(provider="other", attempt_count=2)
    kind = generation.RECOVERY_KIND_RESTARTED
    recovery = generation.Recovery(kind=kind, route=route, cause=cause)
    restart = generation.GenerateStreamResponse(recovery=recovery, deltas=text("Bye").deltas)
    gateway.script = [START, text("Hel"), restart, FINISH]
    stream = client.stream("Hi")
    assert list(stream)[2:4] == [Restarted(route, cause), Text("Bye")]
    assert (stream.response().text, stream.response().route) == ("Bye", route)
    assert gateway.requests[0].stream_options.recovery == generation.RECOVERY_MODE_RESTART


def test_leaving_the_loop_ends_the_call(gateway: ScriptedGateway, client: Client) -> None:
    gateway.script = [START, text("Hel"), Hang()]
    for _ in client.stream("Hi"):
        break
    gateway.wait_for_calls(1, alive=0)
    with client.stream("Hi") as stream:
        next(stream)
    gateway.wait_for_calls(2, alive=0)
    assert list(stream) == []
    with pytest.raises(ValueError, match="closed before its end"):
        stream.response()
    assert stream.partial.model == "demo/small"


async def test_leaving_the_asyncio_loop_ends_the_call(gateway: ScriptedGateway) -> None:
    gateway.script = [START, text("Hel"), Hang()]
    async with AsyncClient(gateway.address) as client:
        async for _ in client.stream("Hi"):
            break
        await asyncio.to_thread(gateway.wait_for_calls, 1, alive=0)
        async with client.stream("Hi") as stream:
            await anext(stream)
        await asyncio.to_thread(gateway.wait_for_calls, 2, alive=0)
        assert [event async for event in stream] == []


async def test_a_cancelled_task_ends_its_call(gateway: ScriptedGateway) -> None:
    gateway.script = [START, text("Hel"), Hang()]

    async def read_whole(client: AsyncClient) -> Response:
        return await client.stream("Hi").response()

    async def generate(client: AsyncClient) -> Response:
        return await client.generate("Hi")

    async with AsyncClient(gateway.address) as client:
        for count, call in enumerate((read_whole, generate), 1):
            task = asyncio.create_task(call(client))
            await asyncio.to_thread(gateway.wait_for_calls, count, alive=1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(gateway.wait_for_calls, count, alive=0)


async def test_many_cancels_at_any_moment_leave_no_call_alive(gateway: ScriptedGateway) -> None:
    gateway.script = [START, text("Hel"), Hang()]

    async def read(client: AsyncClient) -> None:
        async for _ in client.stream("Hi"):
            pass

    async with AsyncClient(gateway.address) as client:
        for number in range(100):
            task = asyncio.create_task(read(client))
            await asyncio.sleep(number % 10 / 2000)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        with pytest.raises(DeadlineError):
            await client.stream("Hi", timeout=0.2).response()
        await asyncio.to_thread(gateway.wait_for_calls, len(gateway.requests), alive=0)


def test_a_stream_that_outlives_its_loop_is_forgotten_quietly(
    gateway: ScriptedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.script = [START, Hang()]

    async def leave() -> llmgateway.AsyncStream:
        stream = AsyncClient(gateway.address).stream("Hi")
        await anext(stream)
        return stream

    stream = asyncio.run(leave())
    del stream
    gc.collect()  # pytest makes an error of what __del__ would raise
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_headers_and_the_token_reach_the_gateway(gateway: ScriptedGateway) -> None:
    tokens = iter(["first", "second"])
    with Client(
        gateway.address, token=lambda: next(tokens), metadata={"X-Team": "a"}
    ) as authorized:
        authorized.generate("Hi", metadata={"x-request-id": "mine"})
        assert gateway.metadata["authorization"] == "Bearer first"
        assert (gateway.metadata["x-team"], gateway.metadata["x-request-id"]) == ("a", "mine")
        authorized.stream("Hi").response()
        assert gateway.metadata["authorization"] == "Bearer second"


async def test_unavailable_is_retried_until_the_gateway_takes_the_call(
    gateway: ScriptedGateway, client: Client
) -> None:
    shed = Abort(Code.UNAVAILABLE, "GATEWAY_OVERLOADED")
    gateway.scripts = [[shed], [shed]]
    assert client.generate("Hi").text == "Hello"
    gateway.wait_for_calls(3, alive=0)
    gateway.scripts = [[shed]]
    async with AsyncClient(gateway.address) as asyncio_client:
        assert (await asyncio_client.stream("Hi").response()).text == "Hello"
    gateway.wait_for_calls(5, alive=0)
    assert gateway.metadata["grpc-previous-rpc-attempts"] == "1"


async def test_pushback_stops_the_retries(gateway: ScriptedGateway, client: Client) -> None:
    gateway.scripts = [
        [Abort(Code.UNAVAILABLE, "PROVIDER_ERROR", trailers=(("grpc-retry-pushback-ms", "-1"),))]
    ] * 2
    with pytest.raises(llmgateway.ProviderError):
        client.generate("Hi")
    async with AsyncClient(gateway.address) as asyncio_client:
        with pytest.raises(llmgateway.ProviderError):
            await asyncio_client.generate("Hi")
    gateway.wait_for_calls(2, alive=0)


async def test_the_catalogue_is_read_to_its_last_page(
    gateway: ScriptedGateway, client: Client
) -> None:
    gateway.models = [Model(name=f"model-{number}") for number in range(3)]
    gateway.providers = [Provider(name=f"provider-{number}") for number in range(2)]
    assert client.models() == gateway.models
    assert client.providers() == gateway.providers
    async with AsyncClient(gateway.address) as asyncio_client:
        assert await asyncio_client.models() == gateway.models
        assert await asyncio_client.providers() == gateway.providers


async def test_health_is_a_word(gateway: ScriptedGateway, client: Client) -> None:
    gateway.set_serving("")
    assert client.health() == "SERVING"
    assert client.health("route/none") == "SERVICE_UNKNOWN"
    async with AsyncClient(gateway.address) as asyncio_client:
        assert await asyncio_client.health() == "SERVING"


def test_another_turn_carries_the_answer(gateway: ScriptedGateway, client: Client) -> None:
    first = client.generate("Hi", system="Be brief.", model="chat", max_output_tokens=5)
    turns = [llmgateway.user("Hi"), first.as_turn(), llmgateway.user("More")]
    client.generate(turns)
    sent = gateway.requests[1].input
    assert [message.parts[0].text for message in sent.messages] == ["Hi", "Hello", "More"]
    roles = [message.role for message in sent.messages]
    assert all(one != other for one, other in pairwise(roles))


def test_the_generated_stub_is_at_hand(client: Client) -> None:
    request = generation.GenerateRequest()
    assert client.stub.Generate(request).model == "demo/small"
