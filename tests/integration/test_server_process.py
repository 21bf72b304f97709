"""The server as a process: how it starts, refuses to start, drains and stops."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from llmgateway.v1 import generation_service_pb2_grpc
from support.gateway import Failed, ask, first_of, rest_of, text_of
from support.openai import FAULTS, stream_text
from support.process import ServerProcess, clean_environment, run, server
from support.upstream import Upstream

FILE = """\
server:
  listen: 127.0.0.1:0
  drain: {{grace: {grace}}}
providers:
  up: {{dialect: openai_chat, base_url: "{base_url}"}}
"""


@asynccontextmanager
async def serving(
    tmp_path: Path, upstream: Upstream, *, grace: str = "20s"
) -> AsyncIterator[ServerProcess]:
    file = tmp_path / "gateway.yaml"
    file.write_text(FILE.format(grace=grace, base_url=upstream.base_url))
    async with server("--config", str(file)) as process:
        yield process


def stub(channel: grpc.aio.Channel) -> "generation_service_pb2_grpc.GenerationServiceAsyncStub":
    return generation_service_pb2_grpc.GenerationServiceStub(channel)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_no_stream_is_dropped(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with (
        Upstream(stream_text(["tick "] * 20, delay=0.05)) as upstream,
        serving(tmp_path, upstream) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        calls = [stub(channel).GenerateStream(ask()) for _ in range(20)]
        texts = [text_of([await first_of(call)]) for call in calls]
        process.send(number)
        for index, call in enumerate(calls):
            texts[index] += await rest_of(call)
            assert await call.code() is grpc.StatusCode.OK
        assert await process.exit_code() == 0
    assert texts == ["tick " * 20] * 20


async def test_a_stream_that_outlives_the_grace_ends_with_a_reason_and_exit_code_0(
    tmp_path: Path,
) -> None:
    async with (
        Upstream(FAULTS["stall_mid_stream"]) as upstream,
        serving(tmp_path, upstream, grace="300ms") as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        call = stub(channel).GenerateStream(ask())
        await first_of(call)
        process.send(signal.SIGTERM)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert Failed(caught.value).reason == "GATEWAY_DRAINING"
        assert await process.exit_code() == 0


async def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    async with (
        Upstream(FAULTS["stall_mid_stream"]) as upstream,
        serving(tmp_path, upstream) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        call = stub(channel).GenerateStream(ask())
        await first_of(call)
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=""))
        await watch.read()
        process.send(signal.SIGTERM)
        # The first signal has arrived when health says so.
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        process.send(signal.SIGTERM)
        assert await process.exit_code(timeout=5) == 0
        call.cancel()
        watch.cancel()


async def test_a_port_in_use_is_a_clear_error_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = await run(
            *("serve", "--listen", address),
            environment=clean_environment(OPENAI_API_KEY="sk-x"),
        )
    assert code == 1
    assert out == ""
    assert f"cannot listen on {address}" in err
    assert "Traceback" not in err


async def test_two_servers_do_not_share_a_port_in_silence() -> None:
    environment = clean_environment(OPENAI_API_KEY="sk-x")
    async with server("--listen", "127.0.0.1:0", environment=environment) as first:
        code, _, err = await run("serve", "--listen", first.address, environment=environment)
    assert code == 1
    assert "cannot listen on" in err


async def test_listening_beyond_loopback_needs_a_decision() -> None:
    code, _, err = await run(
        *("serve", "--listen", "0.0.0.0:0"),
        environment=clean_environment(OPENAI_API_KEY="sk-x"),
    )
    assert code == 2
    assert "insecure: true" in err
    assert "client_ca" in err


async def test_nothing_configured_names_the_three_ways_on() -> None:
    code, out, err = await run("serve")
    assert code == 2
    assert out == ""
    for way in ("OPENAI_API_KEY", "config example", "serve --demo"):
        assert way in err


async def test_a_key_in_the_environment_is_enough() -> None:
    async with Upstream(stream_text(["hi"])) as upstream:
        environment = clean_environment(OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=upstream.base_url)
        async with (
            server("--listen", "127.0.0.1:0", environment=environment) as process,
            grpc.aio.insecure_channel(process.address) as channel,
        ):
            call = stub(channel).GenerateStream(ask(model="openai/gpt-5"))
            assert text_of([m async for m in call]) == "hi"
        assert upstream.requests[0].headers["authorization"] == "Bearer sk-test"


async def test_it_serves_on_a_unix_socket(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/gateway.sock"
    async with Upstream(stream_text(["hi"])) as upstream:
        environment = clean_environment(OPENAI_BASE_URL=upstream.base_url)
        async with (
            server("--listen", path, environment=environment) as process,
            grpc.aio.insecure_channel(process.address) as channel,
        ):
            call = stub(channel).GenerateStream(ask(model="openai/gpt-5"))
            assert text_of([m async for m in call]) == "hi"


async def test_every_error_of_a_configuration_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("providers:\n  up: {dialekt: openai_chat}\nroutez: {}\n")
    code, _, err = await run("serve", "--config", str(file))
    assert code == 2
    assert f"{file}:2" in err
    assert f"{file}:3" in err
    assert "dialect" in err
    assert "Traceback" not in err


async def test_config_check_shows_the_routes_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "providers:\n"
        "  up: {dialect: openai_chat, base_url: 'http://127.0.0.1:1/v1', api_key: 'env:K'}\n"
        "routes:\n  chat: {targets: [up/tiny]}\n"
    )
    code, out, err = await run(
        *("config", "check", str(file)), environment=clean_environment(K="sk-canary-1")
    )
    assert (code, err) == (0, "")
    assert "chat" in out
    assert "up/tiny" in out
    assert "sk-canary-1" not in out


async def test_the_example_is_a_configuration_that_checks(tmp_path: Path) -> None:
    code, example, _ = await run("config", "example")
    assert code == 0
    file = tmp_path / "gateway.yaml"
    file.write_text(example)
    environment = clean_environment(OPENAI_API_KEY="sk-x")
    code, _, err = await run("config", "check", str(file), environment=environment)
    assert (code, err) == (0, "")


async def test_demo_and_config_exclude_each_other() -> None:
    code, _, err = await run("serve", "--demo", "--config", "x.yaml")
    assert code == 2
    assert "exclude" in err


async def test_many_streams_are_drained_while_new_calls_go_elsewhere(tmp_path: Path) -> None:
    async with (
        Upstream(stream_text(["tick "] * 40, delay=0.05)) as upstream,
        serving(tmp_path, upstream) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        call = stub(channel).GenerateStream(ask())
        await first_of(call)
        process.send(signal.SIGTERM)
        await asyncio.sleep(0.3)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(channel).GenerateStream(ask()).read()
        failed = Failed(caught.value)
        assert failed.code is grpc.StatusCode.UNAVAILABLE
        if failed.reason:
            assert failed.reason == "GATEWAY_DRAINING"
            assert failed.detail(error_details_pb2.RetryInfo) is not None
        call.cancel()
