"""A caller that goes away: the upstream's connection closes at once, in each of five phases."""

import asyncio
import random
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest

from support.gateway import Running, ask, first_of, gateway_to, text_of, until
from support.openai import FAULTS, role_chunk, start_stream, stream_text, text_chunk
from support.upstream import Conn, Upstream

ROUNDS = 9
IMMEDIATELY = 0.05


class Situation:
    """A call in the phase that is to be cancelled."""

    def __init__(self, running: Running, upstream: Upstream) -> None:
        self.running = running
        self.upstream = upstream
        self.call = running.generation.GenerateStream(ask())


async def connecting(stack: AsyncExitStack) -> Situation:
    upstream = await stack.enter_async_context(Upstream(stall_tls=True))
    situation = Situation(await _gateway(stack, upstream), upstream)
    await upstream.wait_connections(1)
    return situation


async def waiting_for_headers(stack: AsyncExitStack) -> Situation:
    return await _waiting(stack, "stall_before_headers")


async def waiting_for_first_content(stack: AsyncExitStack) -> Situation:
    return await _waiting(stack, "role_chunk_then_stall")


async def between_chunks(stack: AsyncExitStack) -> Situation:
    situation = await _waiting(stack, "stall_mid_stream")
    assert text_of([await first_of(situation.call)])
    return situation


async def blocked_in_a_write(stack: AsyncExitStack) -> Situation:
    """The caller reads one message and then no more; the provider never stops."""
    sent = 0

    async def endless(conn: Conn) -> None:
        nonlocal sent
        await start_stream(conn)
        await conn.event(role_chunk())
        while True:
            await conn.event(text_chunk("x" * 16_000))
            sent += 1

    upstream = await stack.enter_async_context(Upstream(endless))
    situation = Situation(await _gateway(stack, upstream), upstream)
    await situation.call.read()
    while True:
        before = sent
        await asyncio.sleep(0.2)
        if sent == before:
            return situation


async def _waiting(stack: AsyncExitStack, fault: str) -> Situation:
    upstream = await stack.enter_async_context(Upstream(FAULTS[fault]))
    situation = Situation(await _gateway(stack, upstream), upstream)
    await upstream.wait_requests(1)
    # The response's bytes, where there are any, take a moment to be read.
    await asyncio.sleep(0.05)
    return situation


async def _gateway(stack: AsyncExitStack, upstream: Upstream) -> Running:
    return await stack.enter_async_context(gateway_to(upstream.base_url))


PHASES = [
    connecting,
    waiting_for_headers,
    waiting_for_first_content,
    between_chunks,
    blocked_in_a_write,
]


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
async def test_a_cancel_closes_the_upstream_at_once(
    phase: Callable[[AsyncExitStack], Awaitable[Situation]],
) -> None:
    took = []
    for _ in range(ROUNDS):
        async with AsyncExitStack() as stack:
            situation = await phase(stack)
            assert len(situation.running.server.calls) == 1
            cancelled_at = asyncio.get_running_loop().time()
            situation.call.cancel()
            took.append(await situation.upstream.wait_closed() - cancelled_at)
            await situation.running.server.calls.wait_idle()
    assert statistics.median(took) < IMMEDIATELY, took


@asynccontextmanager
async def nothing_left_behind() -> AsyncIterator[None]:
    """The tasks after the block are those before it."""
    before = asyncio.all_tasks()
    yield
    await until(lambda: not asyncio.all_tasks() - before)


async def test_a_thousand_cancelled_streams_leave_nothing_behind() -> None:
    rng = random.Random(20261122)
    upstream = Upstream(stream_text(["tick "] * 40, delay=0.002))
    async with (
        nothing_left_behind(),
        upstream,
        gateway_to(upstream.base_url, provider={"pool": {"connections": 2000}}) as running,
    ):
        await running.stream()
        before = len(asyncio.all_tasks())

        async def cancelled() -> None:
            call = running.generation.GenerateStream(ask())
            try:
                async with asyncio.timeout(rng.uniform(0.0, 0.15)):
                    async for _ in call:
                        pass
            except TimeoutError:
                pass
            finally:
                call.cancel()

        for _ in range(10):
            await asyncio.gather(*(cancelled() for _ in range(100)))
        await running.server.calls.wait_idle()
        await until(lambda: len(asyncio.all_tasks()) <= before)
        # The slots and the pool still work, and what is open is idle.
        assert text_of(await running.stream()) == "tick " * 40
        open_now = upstream.connections_open
        await asyncio.gather(*(running.stream() for _ in range(5)))
        assert upstream.connections_open <= max(open_now, 5)
    assert upstream.connections_open == 0


async def test_a_cancelled_heartbeat_leaves_nothing_behind() -> None:
    async with (
        Upstream(FAULTS["stall_before_headers"]) as upstream,
        gateway_to(upstream.base_url) as running,
    ):
        request = ask()
        request.stream_options.heartbeat_interval.FromMilliseconds(100)
        call = running.generation.GenerateStream(request)
        assert (await first_of(call)).ByteSize() == 0
        call.cancel()
        await upstream.wait_closed()
        await running.server.calls.wait_idle()


async def test_a_deadline_that_passes_closes_the_upstream_and_tells_why() -> None:
    async with (
        Upstream(FAULTS["stall_mid_stream"]) as upstream,
        gateway_to(upstream.base_url) as running,
    ):
        call = running.generation.GenerateStream(ask(), timeout=0.8)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        # The gateway's own status came before the client's local one, which has no details.
        assert "grpc-status-details-bin" in dict(caught.value.trailing_metadata() or ())
        await upstream.wait_closed()
