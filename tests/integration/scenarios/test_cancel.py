"""Callers who go away in the middle of what the gateway does for them: nothing is left behind."""

import asyncio
from typing import Any

import pytest

from llmgateway.v1 import generation_service_pb2 as pb
from support.gateway import ask, first_of, question, text_of, until
from support.openai import CONTENT, FAULTS, error, role_chunk, start_stream, stream_text, text_chunk
from support.openai.errors import HTTP_ERRORS
from support.two_targets import ROUTE, Pair, model, two_targets
from support.upstream import Conn, Upstream

HELLO = stream_text(["hel", "lo"])
SILENT = FAULTS["stall_before_headers"]
LIMITED = error(429, HTTP_ERRORS["http_429_rate_limit_exceeded"].body, {"retry-after": "2"})
AT_ONCE = 0.1


def begin(pair: Pair, *, streams: bool = True, **fields: Any) -> Any:
    """A call on its way."""
    if streams:
        return pair.running.generation.GenerateStream(ask(model=ROUTE, **fields))
    request = pb.GenerateRequest(input=question(model=ROUTE, **fields))
    return pair.running.generation.Generate(request)


async def cancelled(pair: Pair, call: Any, *asked: Upstream) -> None:
    """Cancels the call; its places and the connections of those who were asked go at once."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    call.cancel()
    await until(lambda: pair.is_idle)
    for upstream in asked:
        await upstream.wait_closed(upstream.connections_total - 1)
    assert loop.time() - began < AT_ONCE


@pytest.mark.parametrize("streams", [True, False])
async def test_in_the_middle_of_a_back_off(streams: bool) -> None:
    """Pain 19: years of partial fixes for cancels that do not arrive, unary calls' last of all."""
    async with two_targets(LIMITED, HELLO) as pair:
        call = begin(pair, streams=streams)
        await pair.up_a.wait_requests(1)
        await asyncio.sleep(0.1)
        assert len(pair.running.server.calls) == 1
        await cancelled(pair, call)
        await asyncio.sleep(0.3)
        assert (pair.a.count, pair.b.count) == (1, 0)


@pytest.mark.parametrize("streams", [True, False])
async def test_in_the_middle_of_a_hedge(streams: bool) -> None:
    """Pain 19, 20, 21: both upstreams are closed."""
    route = {"hedge": {"after": "100ms", "budget": 1.0}}
    priced = model("two", prices={"input": 1, "output": 2})
    async with two_targets(SILENT, SILENT, route=route, provider_b=priced) as pair:
        call = begin(pair, streams=streams)
        await pair.up_a.wait_requests(1)
        await pair.up_b.wait_requests(1)
        await cancelled(pair, call, pair.up_a, pair.up_b)


async def test_in_the_middle_of_a_splice() -> None:
    async def slowly(conn: Conn) -> None:
        await start_stream(conn)
        await conn.event(role_chunk())
        await conn.event(text_chunk(CONTENT[:4]))
        await conn.stall()

    async with two_targets(
        FAULTS["reset_mid_stream"], slowly, provider_b=model("two", prefill=False)
    ) as pair:
        call = begin(pair, sampling={"temperature": 0})
        assert text_of([await first_of(call)]) == CONTENT
        await pair.up_b.wait_requests(1)
        await asyncio.sleep(0.05)
        await cancelled(pair, call, pair.up_b)
        # Both attempts were paid for, and answered nobody.
        assert [pair.totals(name)[1].calls for name in "ab"] == [1, 1]
        assert [pair.totals(name)[0].calls for name in "ab"] == [0, 0]


@pytest.mark.parametrize("streams", [True, False])
async def test_in_the_middle_of_a_second_attempt(streams: bool) -> None:
    async with two_targets(FAULTS["reset_before_headers"], SILENT) as pair:
        call = begin(pair, streams=streams)
        await pair.up_b.wait_requests(1)
        await cancelled(pair, call, pair.up_b)
        # Whoever goes away says nothing against the one that was asked last.
        pair.up_b.script = HELLO
        assert (await pair.ask(routing={"provider_order": ["b"]})).provider == "b"


@pytest.mark.parametrize("streams", [True, False])
async def test_in_the_middle_of_the_answer(streams: bool) -> None:
    """Pain 26: what a cancelled call has used is accounted."""
    async with two_targets(FAULTS["stall_mid_stream"], HELLO) as pair:
        call = begin(pair, streams=streams)
        await pair.up_a.wait_requests(1)
        await asyncio.sleep(0.1)
        await cancelled(pair, call, pair.up_a)
        wasted = pair.totals("a")[1]
        assert wasted.calls == 1
        assert wasted.input_token_count > 0
        assert wasted.output_token_count > 0


async def test_while_waiting_in_the_gateways_queue() -> None:
    server = {"limits": {"in_flight": 1, "queue": "100ms", "adaptive": False}}
    async with two_targets(FAULTS["stall_mid_stream"], HELLO, server=server) as pair:
        held = begin(pair)
        await first_of(held)
        waiting = begin(pair)
        await until(lambda: pair.running.gateway.gate.waiting == 1)
        waiting.cancel()
        await until(lambda: pair.running.gateway.gate.waiting == 0)
        assert pair.a.count == 1
        await cancelled(pair, held, pair.up_a)


async def test_in_a_half_open_probe_the_slot_is_given_back() -> None:
    """Pain 29: a breaker that stays half-open for ever."""
    breaker = {"breaker": {"consecutive": 2, "open": "200ms"}}
    async with two_targets(FAULTS["http_502"], HELLO, provider_a=breaker) as pair:
        await pair.ask()
        await asyncio.sleep(0.3)
        pair.up_a.script = SILENT
        count = pair.a.count
        probe = begin(pair)
        await pair.up_a.wait_requests(count + 1)
        assert (await pair.ask()).provider == "b"
        await cancelled(pair, probe, pair.up_a)
        pair.up_a.script = HELLO
        assert (await pair.ask()).provider == "a"
