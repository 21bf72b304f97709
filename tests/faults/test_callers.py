"""What callers do: whatever it is, the upstream is let go of and no target is blamed."""

import asyncio
import logging
import statistics
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest

from llmgateway.v1 import content_pb2
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.catalog import ProviderState
from support.gateway import (
    KEY,
    Failed,
    Running,
    ask,
    compatible,
    failure_of,
    first_of,
    gateway_from,
    question,
    text_of,
    until,
)
from support.grpc_raw import RawGrpc, frame_message
from support.openai import FAULTS, role_chunk, start_stream, stream_text, text_chunk
from support.recorder import after
from support.upstream import Conn, Script, Upstream

PATH = "/llmgateway.v1.GenerationService/GenerateStream"
FINE = stream_text(["fine"])
# More than the failures in a row that would open a breaker.
ROUNDS = 6
AT_ONCE = 0.05
BLAMELESS = ProviderState.ACTIVE


async def endless(conn: Conn) -> None:
    """More than a reader takes that has stopped reading."""
    await start_stream(conn)
    await conn.event(role_chunk())
    while True:
        await conn.event(text_chunk("x" * 16_000))


class Scene:
    """A gateway before one target that a caller meets, and a healthy one that it must not."""

    def __init__(self, running: Running, faulty: Upstream, healthy: Upstream) -> None:
        self.running = running
        self.faulty = faulty
        self.healthy = healthy

    def call(self, model: str = "pair", timeout: float | None = None) -> Any:
        """A stream that has begun."""
        return self.running.generation.GenerateStream(ask(model=model), timeout=timeout)

    async def over(self) -> None:
        """Nothing is in flight, nothing is open, nobody was asked instead, nobody is blamed."""
        gateway = self.running.gateway
        await until(lambda: not len(self.running.server.calls))
        assert gateway.gate.in_flight == gateway.gate.waiting == 0
        status = gateway.provider_status("a")
        assert (status.state, status.in_flight) == (BLAMELESS, 0)
        assert self.healthy.requests == []


@asynccontextmanager
async def scene(script: Script | None, log: pytest.LogCaptureFixture) -> AsyncIterator[Scene]:
    """Without a script connecting to the target does not end."""
    log.set_level(logging.DEBUG)
    async with AsyncExitStack() as stack:
        faulty = Upstream(script) if script else Upstream(stall_tls=True)
        await stack.enter_async_context(faulty)
        healthy = await stack.enter_async_context(Upstream(FINE))
        tree = {
            "providers": {"a": compatible(faulty.base_url), "b": compatible(healthy.base_url)},
            "routes": {"pair": {"targets": ["a/tiny", "b/tiny"]}},
        }
        running = await stack.enter_async_context(gateway_from(tree))
        yield Scene(running, faulty, healthy)
    assert KEY not in log.text


Reached = Callable[[Scene, Any, int], Any]


async def _connected(scene: Scene, _: Any, turn: int) -> None:
    await scene.faulty.wait_connections(turn)


async def _asked(scene: Scene, _: Any, turn: int) -> None:
    await scene.faulty.wait_requests(turn)
    await asyncio.sleep(0.03)


async def _read_first(_: Scene, call: Any, turn: int) -> None:
    assert text_of([await first_of(call)])


async def _stuck(scene: Scene, call: Any, turn: int) -> None:
    await _read_first(scene, call, turn)
    await asyncio.sleep(0.1)


PHASES: dict[str, tuple[Script | None, Reached]] = {
    "connecting": (None, _connected),
    "before_headers": (FAULTS["stall_before_headers"], _asked),
    "before_content": (FAULTS["role_chunk_then_stall"], _asked),
    "mid_stream": (FAULTS["stall_mid_stream"], _read_first),
    "blocked_write": (endless, _stuck),
    "waiting_to_retry": (FAULTS["http_429_retry_after_ms"], _asked),
}


@pytest.mark.fault("C1")
@pytest.mark.parametrize("phase", PHASES)
async def test_a_cancel(phase: str, caplog: pytest.LogCaptureFixture) -> None:
    script, reached = PHASES[phase]
    rounds = 1 if phase == "waiting_to_retry" else ROUNDS
    took = []
    async with scene(script, caplog) as on:
        for turn in range(1, rounds + 1):
            call = on.call()
            await reached(on, call, turn)
            assert len(on.running.server.calls) == 1
            began = asyncio.get_running_loop().time()
            call.cancel()
            if phase != "waiting_to_retry":
                took.append(await on.faulty.wait_closed() - began)
            await until(lambda: not len(on.running.server.calls))
        if phase == "waiting_to_retry":
            # The target has asked to be left alone, which stays true.
            assert on.running.gateway.gate.in_flight == 0
            assert on.healthy.requests == []
            await asyncio.sleep(0.5)
        else:
            await on.over()
            assert statistics.median(took) < AT_ONCE, took
        assert on.faulty.connections_total == rounds


@pytest.mark.fault("C1")
async def test_a_cancel_before_anything_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    async with scene(FAULTS["stall_mid_stream"], caplog) as on:
        for _ in range(ROUNDS):
            on.call().cancel()
        await asyncio.sleep(0.05)
        await on.over()
        assert on.faulty.requests == []


@pytest.mark.fault("C1")
async def test_a_cancel_after_the_last_message(caplog: pytest.LogCaptureFixture) -> None:
    async with scene(FINE, caplog) as on:
        call = on.call()
        messages = [message async for message in call]
        call.cancel()
        assert messages[-1].HasField("finish")
        await on.over()
        assert len(on.faulty.requests) == 1


@pytest.mark.fault("C2")
@pytest.mark.parametrize(
    "phase", ["connecting", "before_headers", "before_content", "mid_stream", "blocked_write"]
)
async def test_a_deadline(phase: str, caplog: pytest.LogCaptureFixture) -> None:
    async with scene(PHASES[phase][0], caplog) as on:
        call = on.call("a/tiny", timeout=0.6)
        failure = await failure_of(_read(call, stops=phase == "blocked_write"))
        assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
        if phase != "blocked_write":
            # Ours came before grpc's own, which has no reason. A reader that has stopped reads
            # neither.
            assert failure.reason == "DEADLINE_EXCEEDED"
            assert failure.failure is not None
            assert failure.failure.partial_output_sent == (phase == "mid_stream")
        await on.faulty.wait_closed(timeout=1.0)
        await on.over()
        assert on.faulty.connections_total == 1
        assert KEY not in failure.everything


async def _read(call: Any, *, stops: bool = False) -> None:
    """Reads to the end; or one message, and goes on after the call's deadline only."""
    if stops:
        await call.read()
        await asyncio.sleep(0.7)
    while isinstance(await call.read(), pb.GenerateStreamResponse):
        pass


@pytest.mark.fault("C2")
async def test_a_deadline_leaves_time_for_the_other_target(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scene(FAULTS["stall_before_headers"], caplog) as on:
        messages = [message async for message in on.call(timeout=0.9)]
        assert text_of(messages) == "fine"
        assert (len(on.faulty.requests), len(on.healthy.requests)) == (1, 1)


@pytest.mark.fault("C2")
async def test_no_attempt_begins_that_could_not_end_in_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scene(after(0.3, FINE), caplog) as on:
        await asyncio.gather(*(_read(on.call("a/tiny")) for _ in range(25)))
        failure = await failure_of(_read(on.call("a/tiny", timeout=0.25)))
        assert (failure.code.name, failure.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
        assert len(on.faulty.requests) == 25
        await on.over()


@asynccontextmanager
async def raw(running: Running, **settings: Any) -> AsyncIterator[RawGrpc]:
    host, _, port = running.address.rpartition(":")
    async with RawGrpc(host, int(port), **settings) as client:
        yield client


async def opened(client: RawGrpc, model: str, timeout: str | None = None) -> int:
    """A stream of which the whole request was sent."""
    stream = await client.open(PATH, timeout=timeout)
    message = frame_message(ask(model=model).SerializeToString())
    await client.send(stream, message, end_stream=True)
    return stream


@pytest.mark.fault("C2")
@pytest.mark.parametrize(
    ("timeout", "status", "asked"),
    [
        (None, 0, 1),
        ("99999999H", 0, 1),
        ("123456789S", 0, 1),
        ("0n", 4, 0),
        ("1n", 4, 0),
        # No deadline at all; grpc itself refuses them as INTERNAL.
        ("-5S", 13, 0),
        ("soon", 13, 0),
        ("1Y", 13, 0),
    ],
    ids=["none", "huge", "nine_digits", "zero", "a_nanosecond", "negative", "a_word", "a_year"],
)
async def test_a_deadline_of_an_odd_length(
    timeout: str | None, status: int, asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(FINE, caplog) as on:
        async with raw(on.running) as client:
            reply = await client.reply(await opened(client, "a/tiny", timeout))
        assert reply.status == status
        await on.over()
        assert len(on.faulty.requests) == asked


@pytest.mark.fault("C3")
async def test_a_reader_that_stopped(caplog: pytest.LogCaptureFixture) -> None:
    """It is felt by its own provider alone, and is gone with its deadline."""
    sent = 0

    async def counted(conn: Conn) -> None:
        nonlocal sent
        await start_stream(conn)
        while True:
            await conn.event(text_chunk("x" * 16_000))
            sent += 16_000

    async with scene(counted, caplog) as on:
        async with raw(on.running, window=1024, grants_more=False) as client:
            await opened(client, "a/tiny", "1500m")
            await on.faulty.wait_requests(1)
            await asyncio.sleep(0.8)
            held = sent
            others = await on.running.stream(ask(model="b/tiny"))
            assert text_of(others) == "fine"
            await on.faulty.wait_closed(timeout=3.0)
        on.healthy.requests.clear()
        await on.over()
    # What loopback's socket buffers and 64 KiB in our own hands may hold.
    assert held == sent < 16 * 1024 * 1024


@pytest.mark.fault("C4")
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "fin"])
@pytest.mark.parametrize("phase", ["before_headers", "mid_stream"])
async def test_a_caller_that_hangs_up(
    phase: str, *, reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    took = []
    async with scene(PHASES[phase][0], caplog) as on:
        for turn in range(1, ROUNDS + 1):
            async with raw(on.running) as client:
                stream = await opened(client, "pair")
                await on.faulty.wait_requests(turn)
                if phase == "mid_stream":
                    await client.received(stream, 1)
                began = asyncio.get_running_loop().time()
                client.hang_up(reset=reset)
                took.append(await on.faulty.wait_closed() - began)
        await on.over()
    assert statistics.median(took) < AT_ONCE, took


def _many_messages() -> bytes:
    one = question().messages[0]
    return _wrapped(pb.GenerationInput(model="a/tiny", messages=[one] * 100_000))


def _many_parts(text: str) -> bytes:
    message = content_pb2.Message(
        role=content_pb2.ROLE_USER, parts=[content_pb2.ContentPart(text=text)] * 100_000
    )
    if not text:
        for part in message.parts:
            part.ClearField("kind")
    return _wrapped(pb.GenerationInput(model="a/tiny", messages=[message]))


def _long_text(size: int) -> bytes:
    return _wrapped(question("x" * size, model="a/tiny"))


def _deep_groups() -> bytes:
    """Unknown groups within groups: what a parser recurses into although nobody reads it."""
    begin, end = bytes([0xC3, 0x3E]), bytes([0xC4, 0x3E])
    return _wrapped(question(model="a/tiny")) + begin * 100_000 + end * 100_000


def _deep_json() -> bytes:
    schema = '{"a":' * 50_000 + "{}" + "}" * 50_000
    tool = {"name": "f", "description": "d", "parameters_schema_json": schema}
    return _wrapped(question(model="a/tiny", tools=[tool]))


def _wrapped(input_: pb.GenerationInput) -> bytes:
    return pb.GenerateStreamRequest(input=input_).SerializeToString()


@pytest.mark.fault("C5")
@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (_long_text(21 * 1024 * 1024), "INVALID_ARGUMENT", "REQUEST_TOO_LARGE"),
        # Beyond what grpc lets us see at all; the status is its own.
        (_long_text(30 * 1024 * 1024), "RESOURCE_EXHAUSTED", ""),
        (_many_messages(), "INVALID_ARGUMENT", "REQUEST_INVALID"),
        (_many_parts(""), "INVALID_ARGUMENT", "REQUEST_INVALID"),
        (_deep_groups(), "INVALID_ARGUMENT", "REQUEST_INVALID"),
        (_deep_json(), "INVALID_ARGUMENT", "REQUEST_INVALID"),
    ],
    ids=["21_mib", "30_mib", "messages", "empty_parts", "groups", "json"],
)
async def test_a_message_beyond_the_limits(
    message: bytes, code: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(FINE, caplog) as on:
        send: Any = on.running.channel.unary_stream(PATH)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await send(message, timeout=20).read()
        failure = Failed(caught.value)
        assert (failure.code.name, failure.reason) == (code, reason)
        assert len(bytes(failure.trailers.get("grpc-status-details-bin", b""))) <= 4096
        assert on.faulty.requests == []
        # The next caller on the same connection is none the worse for it.
        assert text_of(await on.running.stream(ask(model="a/tiny"))) == "fine"
        await on.over()


@pytest.mark.fault("C5")
async def test_many_parts_that_are_all_right(caplog: pytest.LogCaptureFixture) -> None:
    """The contract bounds a message by its bytes, not by its parts."""
    async with scene(FINE, caplog) as on:
        request = pb.GenerateStreamRequest.FromString(_many_parts("a"))
        assert text_of(await on.running.stream(request)) == "fine"
        assert len(on.faulty.requests[0].body) > 100_000
        await on.over()
