"""A caller that stops reading: felt by its own provider, by nobody else, and ended after 30 s."""

import asyncio

import grpc
import pytest

from support.gateway import ask, failure_of, first_of, gateway_to, rest_of, text_of
from support.grpc_raw import RawGrpc, frame_message
from support.openai import role_chunk, start_stream, stream_text, text_chunk
from support.upstream import Conn, Upstream

PATH = "/llmgateway.v1.GenerationService/GenerateStream"
PIECE = 8_000
# What loopback's socket buffers and 64 KiB in our own hands may hold.
MOST_BYTES = 16 * 1024 * 1024


@pytest.mark.timeout(120)
async def test_a_stuck_reader_holds_up_its_provider_and_loses_its_call() -> None:
    sent = 0

    async def endless(conn: Conn) -> None:
        nonlocal sent
        await start_stream(conn)
        await conn.event(role_chunk())
        while True:
            await conn.event(text_chunk("x" * PIECE))
            sent += PIECE

    async with Upstream(endless) as upstream, gateway_to(upstream.base_url) as running:
        host, _, port = running.address.rpartition(":")
        async with RawGrpc(host, int(port), window=1024, grants_more=False) as raw:
            stream = await raw.open(PATH, timeout="90S")
            await raw.send(stream, frame_message(ask().SerializeToString()), end_stream=True)
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(2)
            held = sent
            upstream.script = stream_text(["fine"])
            assert text_of(await running.stream()) == "fine"
            await upstream.wait_closed(0, timeout=60)
            took = asyncio.get_running_loop().time() - began
            await running.server.calls.wait_idle()
    assert 29 < took < 45
    assert held < MOST_BYTES
    assert sent == held


@pytest.mark.timeout(120)
async def test_a_reader_that_comes_back_late_learns_why_its_call_ended() -> None:
    async def endless(conn: Conn) -> None:
        await start_stream(conn)
        await conn.event(role_chunk())
        while True:
            await conn.event(text_chunk("x" * PIECE))

    async with Upstream(endless) as upstream, gateway_to(upstream.base_url) as running:
        call = running.generation.GenerateStream(ask())
        assert text_of([await first_of(call)])
        await upstream.wait_closed(timeout=60)
        failed = await failure_of(rest_of(call))
    assert (failed.code, failed.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "READER_TOO_SLOW",
    )
