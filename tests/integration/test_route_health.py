"""Health of routes: as open as their targets, told to watchers, until the drain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from llmgateway_server.transport.grpc.server import GatewayServer, Listener
from support.gateway import failure_of
from support.grpc_raw import RawGrpc, frame_message
from support.scripted_core import ScriptedCore

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
WATCH = "/grpc.health.v1.Health/Watch"
INTERVAL = 0.02


class Served:
    """A server before a scripted core with the routes `a` and `b`, and its health."""

    def __init__(self, core: ScriptedCore, server: GatewayServer, address: str) -> None:
        self.core = core
        self.server = server
        self.address = address
        self.channel = grpc.aio.insecure_channel(address)
        self._stub = health_pb2_grpc.HealthStub(self.channel)

    async def check(self, name: str) -> int:
        reply = await self._stub.Check(health_pb2.HealthCheckRequest(service=name))
        return int(reply.status)

    def watch(self, name: str) -> AsyncIterator[int]:
        async def statuses() -> AsyncIterator[int]:
            async for reply in self._stub.Watch(health_pb2.HealthCheckRequest(service=name)):
                yield int(reply.status)

        return statuses()


@asynccontextmanager
async def served(*shut: str) -> AsyncIterator[Served]:
    core = ScriptedCore(routes=["a", "b"])
    core.shut.update(shut)
    server = GatewayServer(core.gateway, with_reflection=True, health_interval=INTERVAL)
    (address,) = await server.start([Listener("127.0.0.1:0")])
    running = Served(core, server, address)
    try:
        async with asyncio.timeout(10):
            yield running
    finally:
        await running.channel.close()
        await server.stop()


async def test_a_route_serves_while_one_of_its_targets_is_open() -> None:
    async with served() as running:
        watch = running.watch("route/a")
        assert await anext(watch) == SERVING
        running.core.shut.add("a")
        assert await anext(watch) == NOT_SERVING
        assert await running.check("route/a") == NOT_SERVING
        assert await running.check("route/b") == SERVING
        # Other replicas cannot do better: the server itself stays in rotation.
        assert await running.check("") == SERVING
        running.core.shut.clear()
        assert await anext(watch) == SERVING
        assert await running.check("route/a") == SERVING


async def test_a_route_that_is_shut_from_the_start_says_so() -> None:
    async with served("b") as running:
        assert await running.check("route/b") == NOT_SERVING


async def test_the_drain_has_the_last_word() -> None:
    async with served("b") as running:
        closed, opening = running.watch("route/a"), running.watch("route/b")
        assert (await anext(closed), await anext(opening)) == (SERVING, NOT_SERVING)
        draining = asyncio.create_task(running.server.drain(pause=0.2, grace=1.0))
        assert await anext(closed) == NOT_SERVING
        running.core.shut.clear()
        await asyncio.sleep(5 * INTERVAL)
        for name in ("route/a", "route/b", "", "llmgateway.v1.GenerationService"):
            assert await running.check(name) == NOT_SERVING
        assert await running.check("liveness") == SERVING
        await draining


async def test_a_name_that_is_not_served_can_be_watched_and_not_checked() -> None:
    async with served() as running:
        assert await anext(running.watch("route/none")) == UNKNOWN
        unknown = await failure_of(running.check("route/none"))
    assert unknown.code is grpc.StatusCode.NOT_FOUND


async def test_a_watcher_that_does_not_read_keeps_nobody_from_the_news() -> None:
    async with served() as running:
        host, _, port = running.address.rpartition(":")
        async with RawGrpc(host, int(port), window=1, grants_more=False) as raw:
            for name in ("", "route/a"):
                stuck = await raw.open(WATCH)
                asked = health_pb2.HealthCheckRequest(service=name).SerializeToString()
                await raw.send(stuck, frame_message(asked), end_stream=True)
            route, ready = running.watch("route/a"), running.watch("")
            assert (await anext(route), await anext(ready)) == (SERVING, SERVING)
            running.core.shut.add("a")
            assert await anext(route) == NOT_SERVING
            draining = asyncio.create_task(running.server.drain(pause=0.5, grace=5.0))
            assert await anext(ready) == NOT_SERVING
        await draining
