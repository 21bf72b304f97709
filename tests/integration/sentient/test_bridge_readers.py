"""What readers do: they go away, they stop reading, they are many; and the server stops."""

import asyncio
import time

import pytest

from llmgateway.sentient.settings import BridgeOptions
from llmgateway.v1.generation_service_pb2 import Delta, GenerateStreamResponse
from support.bridge import Bridge, bridge_to, question
from support.gateway import gateway_to, until
from support.openai import role_chunk, start_stream, text_chunk
from support.scripted_gateway import FINISH, HEARTBEAT, START, Hang, ScriptedGateway, text
from support.sentient_wire import read_answer
from support.upstream import Conn, Upstream


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("begun", [False, True])
async def test_a_reader_that_goes_away_ends_its_call_at_once(
    gateway: ScriptedGateway, bridge: Bridge, *, begun: bool, reset: bool
) -> None:
    gateway.script = [START, text("Hel"), Hang()] if begun else [HEARTBEAT, Hang()]
    answer = await bridge.ask()
    await anext(answer.chunks())
    went = time.monotonic()
    answer.reset() if reset else answer.close()
    await asyncio.to_thread(gateway.wait_for_calls, 1, alive=0)
    assert time.monotonic() - went < 0.1


async def test_the_provider_sees_within_100_ms_that_the_reader_went() -> None:
    async def endless(conn: Conn) -> None:
        await start_stream(conn)
        await conn.event(role_chunk())
        while True:
            await conn.event(text_chunk("x"))
            await conn.sleep(0.01)

    async with (
        Upstream(endless) as upstream,
        gateway_to(upstream.base_url) as gateway,
        bridge_to(gateway.address) as bridge,
    ):
        times = []
        for number in range(5):
            answer = await bridge.ask(target="/assist?model=up/tiny")
            assert b"FINAL_RESPONSE" in await anext(answer.chunks())
            went = asyncio.get_running_loop().time()
            answer.close()
            times.append(await upstream.wait_closed(number) - went)
    assert sorted(times)[2] < 0.1


async def test_readers_that_leave_at_any_moment_leave_nothing_behind() -> None:
    async def slow(conn: Conn) -> None:
        await start_stream(conn)
        while True:
            await conn.sleep(0.01)
            await conn.event(text_chunk("x"))

    async def leaves(number: int) -> None:
        _, writer = await bridge.connect()
        body = question()
        head = "POST /assist HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: "
        writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
        await asyncio.sleep(number % 50 / 100)
        writer.transport.abort()

    async with (
        Upstream(slow) as upstream,
        gateway_to(upstream.base_url) as gateway,
        bridge_to(gateway.address, BridgeOptions(model="up/tiny")) as bridge,
    ):
        await asyncio.gather(*(leaves(number) for number in range(200)))
        await asyncio.wait_for(gateway.server.calls.wait_idle(), 5)
        await upstream.wait_closed()
        assert upstream.connections_open == 0


async def test_pings_keep_a_silent_answer_alive() -> None:
    async def thinks_long(conn: Conn) -> None:
        await start_stream(conn)
        await conn.stall()

    async with (
        Upstream(thinks_long) as upstream,
        gateway_to(upstream.base_url) as gateway,
        bridge_to(gateway.address, BridgeOptions(model="up/tiny", heartbeat=0.1)) as bridge,
    ):
        chunks = (await bridge.ask()).chunks()
        assert [await anext(chunks) for _ in range(3)] == [b": ping\n\n"] * 3


async def test_a_reader_that_stops_holds_up_the_gateway_and_nothing_is_piled_up(
    gateway: ScriptedGateway, bridge: Bridge
) -> None:
    size, sent = 64_000, 0

    def count() -> None:
        nonlocal sent
        sent += size

    piece = GenerateStreamResponse(deltas=[Delta(text="x" * size)])
    gateway.script = [START, *[piece, count] * 1000, FINISH]  # type: ignore[list-item]
    answer = await bridge.ask()
    held = -1
    while held != sent:
        held = sent
        await asyncio.sleep(0.5)
    # What the sockets' buffers and HTTP/2's windows hold, and no more.
    assert held < 24 * 1024 * 1024
    # Once it reads again it gets all.
    chunks = [chunk async for chunk in answer.chunks()]
    read = read_answer(chunks, time.time_ns() // 1_000_000)
    assert len("".join(read.texts())) == size * 1000


async def test_a_reader_that_stops_does_not_slow_others(
    gateway: ScriptedGateway, bridge: Bridge
) -> None:
    piece = GenerateStreamResponse(deltas=[Delta(text="x" * 64_000)])
    gateway.scripts = [[START, *[piece] * 1000, FINISH]]
    await anext((await bridge.ask()).chunks())
    answers = await asyncio.gather(*(bridge.answer() for _ in range(8)))
    assert all(answer.texts() == ["Hello"] for answer in answers)


async def test_answers_do_not_mix(gateway: ScriptedGateway, bridge: Bridge) -> None:
    gateway.scripts = [
        [START, *(text(f"{number}:{word} ") for word in range(50)), FINISH] for number in range(12)
    ]
    answers = await asyncio.gather(*(bridge.answer() for _ in range(12)))
    for answer in answers:
        (whole,) = answer.texts()
        number = whole.partition(":")[0]
        assert whole == "".join(f"{number}:{word} " for word in range(50))


async def test_a_server_that_stops_lets_answers_end(gateway: ScriptedGateway) -> None:
    def wait() -> None:
        time.sleep(0.3)

    gateway.script = [START, text("Hel"), wait, text("lo"), FINISH]
    async with bridge_to(gateway.address) as bridge:
        reading = asyncio.create_task((await bridge.ask()).answer())
        await until(lambda: gateway.calls_alive == 1)
        await bridge.stop()
        assert (await reading).texts() == ["Hello"]


async def test_what_outlasts_the_grace_ends_with_an_error(gateway: ScriptedGateway) -> None:
    gateway.script = [START, text("Hel"), Hang()]
    async with bridge_to(gateway.address, grace=0.2) as bridge:
        chunks = (await bridge.ask()).chunks()
        first = await anext(chunks)
        began = time.monotonic()
        await bridge.stop()
        assert time.monotonic() - began < 2
        rest = [chunk async for chunk in chunks]
    read = read_answer([first, *rest], time.time_ns() // 1_000_000)
    assert read.texts() == ["Hel"]
    (error,) = read.errors
    assert (error["error_code"], error["details"]["reason"]) == (503, "GATEWAY_DRAINING")
    await asyncio.to_thread(gateway.wait_for_calls, 1, alive=0)
