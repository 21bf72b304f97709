"""What only a real network does: packets swallowed, delayed or lost, hosts that vanish."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from llmgateway.v1 import generation_service_pb2_grpc
from support.fault_table.calling import check, streamed
from support.fault_table.expected import LATE, TIMEOUT, interrupted
from support.fault_table.row import MakePlace, Place, Row
from support.gateway import (
    KEY,
    MODEL,
    Failed,
    ask,
    compatible,
    gateway_from,
    gateway_to,
    text_of,
    until,
)
from support.grpc_raw import RawGrpc, frame_message
from support.name_server import name_server
from support.namespace import Namespace, namespace, why_not
from support.openai import CONTENT, FAULTS, stream_text
from support.process import server
from support.upstream import Script, Upstream

pytestmark = pytest.mark.netns
PATH = "/llmgateway.v1.GenerationService/GenerateStream"


@pytest.fixture(scope="module")
def _possible() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def there(_possible: None) -> Iterator[Namespace]:
    with namespace() as made:
        yield made


def beyond(there: Namespace, script: Script) -> MakePlace:
    """A place on the far side."""

    @asynccontextmanager
    async def place() -> AsyncIterator[Place]:
        async with Upstream(script, listener=there.listener()) as upstream:
            yield Place(upstream.base_url, upstream)

    return place


@pytest.mark.fault("U2")
async def test_packets_swallowed_by_a_firewall(
    there: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    there.drop("-p", "tcp", "--syn")
    place = beyond(there, stream_text(["never"]))
    timeouts = {"connect": "300ms"}
    row = Row("U2", "drop", place, TIMEOUT, LATE, timeouts=timeouts, counts="nothing")
    told = await check(row)
    assert KEY not in told + caplog.text


@pytest.mark.fault("U8")
async def test_an_upstream_that_vanishes_in_mid_stream(there: Namespace) -> None:
    """No FIN and no RST ever come: the idle timer ends it."""
    timeouts = {"timeouts": {"idle_bytes": "300ms"}}
    async with (
        Upstream(FAULTS["stall_mid_stream"], listener=there.listener()) as upstream,
        gateway_to(upstream.base_url, provider=timeouts) as running,
    ):
        calling = asyncio.create_task(streamed(running, MODEL))
        await until(lambda: running.gateway.provider_status("up").in_flight == 1)
        await upstream.wait_requests(1)
        await asyncio.sleep(0.1)
        there.vanish()
        ending = await calling
        await until(lambda: not running.gateway.gate.in_flight)
    assert ending.failure is not None
    assert ending.failure.reason == interrupted("PROVIDER_TIMEOUT").reason
    assert ending.text == CONTENT
    assert ending.attempts == len(upstream.requests) == 1


@pytest.mark.fault("U32")
@pytest.mark.parametrize("trouble", ["1_mbit", "5_percent_lost"])
async def test_a_bad_line_still_carries_a_whole_answer(there: Namespace, trouble: str) -> None:
    if trouble == "1_mbit":
        there.throttle("1mbit")
    else:
        there.drop("-m", "statistic", "--mode", "random", "--probability", "0.05")
    # With what surrounds each word on the wire, 0.1 MB.
    words = [f"word {number} " for number in range(400)]
    async with (
        Upstream(stream_text(words), listener=there.listener()) as upstream,
        gateway_to(upstream.base_url) as running,
    ):
        ending = await streamed(running, MODEL)
    assert ending.failure is None
    assert ending.text == "".join(words)
    assert ending.attempts == len(upstream.requests) == 1


@pytest.mark.fault("C4")
async def test_a_caller_whose_host_vanishes(there: Namespace) -> None:
    """Its deadline ends the call, long before keepalive finds the connection dead."""
    async with (
        Upstream(FAULTS["stall_mid_stream"]) as upstream,
        gateway_from({"providers": {"up": compatible(upstream.base_url)}}, there.here) as running,
    ):
        host, _, port = running.address.rpartition(":")
        async with RawGrpc(host, int(port), sock=there.tcp_socket()) as client:
            stream = await client.open(PATH, timeout="800m")
            message = frame_message(ask().SerializeToString())
            await client.send(stream, message, end_stream=True)
            await client.received(stream, 1)
            there.vanish()
            await upstream.wait_closed(timeout=2.0)
            await until(lambda: not len(running.server.calls))
            assert running.gateway.gate.in_flight == 0
            assert not client.is_closed
    assert len(upstream.requests) == 1


CONFIG = """\
server: {{listen: "{there}:0", insecure: true}}
providers:
"""
PROVIDER = """\
  {name}:
    dialect: openai_chat
    base_url: http://{host}:{port}/v1
    timeouts: {{connect: 800ms}}
"""


@pytest.mark.fault("U3")
async def test_a_name_server_that_misbehaves(there: Namespace, tmp_path: Path) -> None:
    """The system's own resolver, asking a server of ours; nobody else waits for it."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind((there.here, 0))
    port = listener.getsockname()[1]
    config = tmp_path / "gateway.yaml"
    names = ["unknown", "empty", "silent", "slow", "good"]
    text = CONFIG.format(there=there.there)
    for name in ("first", *names):
        text += PROVIDER.format(name=name, host=f"{name}.example", port=port)
    config.write_text(text)
    async with (
        Upstream(stream_text(["fine"]), listener=listener) as upstream,
        name_server(there.name_server(), there.here, slow=0.3),
        server("--config", str(config), within=there.within(tmp_path)) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        stub = generation_service_pb2_grpc.GenerationServiceStub(channel)
        # What a process does only once is not what is timed here.
        assert (await asked(stub, "first"))[0] == "fine"
        ended = await asyncio.gather(*map(partial(asked, stub), names))
    endings = dict(zip(names, ended, strict=True))
    seen = {name: (words, attempts) for name, (words, attempts, _) in endings.items()}
    assert seen == {
        "unknown": ("PROVIDER_ERROR", 2),
        "empty": ("PROVIDER_ERROR", 2),
        "silent": ("PROVIDER_TIMEOUT", 1),
        "slow": ("fine", 1),
        "good": ("fine", 1),
    }
    assert len(upstream.requests) == 3
    took = {name: seconds for name, (_, _, seconds) in endings.items()}
    assert took["good"] < took["slow"] < took["silent"]


async def asked(stub: Any, provider: str) -> tuple[str, int, float]:
    """A call's text or the reason of its failure, its attempts, and the seconds that it took."""
    began = asyncio.get_running_loop().time()
    call = stub.GenerateStream(ask(model=f"{provider}/tiny"), timeout=20)
    try:
        words = text_of([message async for message in call])
    except grpc.aio.AioRpcError as error:
        words = Failed(error).reason
    took = asyncio.get_running_loop().time() - began
    trailers = dict(await call.trailing_metadata())
    return words, int(trailers["x-llmgateway-attempts"]), took
