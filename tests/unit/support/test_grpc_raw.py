"""The raw client speaks to a real gRPC server, well-behaved and not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import grpc
import grpc.aio
import pytest

from support.grpc_raw import RawGrpc, frame_message

ECHO, FLOOD, FAIL, STALL = "/t.Test/Echo", "/t.Test/Flood", "/t.Test/Fail", "/t.Test/Stall"

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


class Service(grpc.GenericRpcHandler):
    """Four methods over plain bytes; it notes that a stalled call was cancelled."""

    def __init__(self) -> None:
        self.stalled = asyncio.Event()
        self.cancelled = asyncio.Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        handlers: dict[str, Handler] = {
            ECHO: grpc.unary_unary_rpc_method_handler(self.echo),
            FAIL: grpc.unary_unary_rpc_method_handler(self.fail),
            STALL: grpc.unary_unary_rpc_method_handler(self.stall),
            FLOOD: grpc.unary_stream_rpc_method_handler(self.flood),
        }
        return handlers.get(handler_call_details.method)

    async def echo(self, request: bytes, context: Context) -> bytes:
        return request

    async def fail(self, request: bytes, context: Context) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no é", (("detail-bin", b"\x00\xff"),))

    async def stall(self, request: bytes, context: Context) -> bytes:
        self.stalled.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b""

    async def flood(self, request: bytes, context: Context) -> None:
        for _ in range(100):
            await context.write(b"a" * 1000)


@asynccontextmanager
async def serve() -> AsyncIterator[tuple[Service, int]]:
    service = Service()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield service, port
    await server.stop(None)


async def test_a_well_formed_call_is_answered() -> None:
    async with serve() as (_, port), RawGrpc("127.0.0.1", port) as client:
        reply = await client.call(ECHO, frame_message(b"hello"))

    assert (reply.status, reply.message) == (0, "")
    assert reply.messages() == [b"hello"]
    assert (":status", "200") in reply.headers


async def test_a_failure_is_read_from_the_trailers() -> None:
    async with serve() as (_, port), RawGrpc("127.0.0.1", port) as client:
        reply = await client.call(FAIL, frame_message(b""))

    assert (reply.status, reply.message) == (5, "no é")
    assert reply.binary_trailer("detail-bin") == b"\x00\xff"


async def test_a_body_larger_than_a_frame_and_the_window_arrives() -> None:
    body = b"a" * 300_000
    async with serve() as (_, port), RawGrpc("127.0.0.1", port) as client:
        reply = await client.call(ECHO, frame_message(body))

    assert reply.messages() == [body]


async def test_calls_of_one_connection_are_told_apart() -> None:
    async with serve() as (_, port), RawGrpc("127.0.0.1", port) as client:
        bodies = [frame_message(b"%d" % number) for number in range(20)]
        replies = await asyncio.gather(*(client.call(ECHO, body) for body in bodies))

    assert [reply.data for reply in replies] == bodies


async def test_a_call_may_end_without_its_message() -> None:
    async with serve() as (_, port), RawGrpc("127.0.0.1", port) as client:
        empty = await client.open(ECHO, end_stream=True, timeout="100m")
        truncated = await client.open(ECHO, timeout="100m")
        await client.send(truncated, frame_message(b"abc", declared_length=9), end_stream=True)

        # grpc answers neither before the call's own deadline; others are served meanwhile.
        assert (await client.call(ECHO, frame_message(b"a"))).status == 0
        for stream in (empty, truncated):
            reply = await client.reply(stream)
            assert reply.status == 4 or reply.reset_code is not None


def slow_reader(port: int) -> RawGrpc:
    return RawGrpc("127.0.0.1", port, window=5000, grants_more=False)


async def test_a_reader_that_stops_reading_holds_the_server_back() -> None:
    async with serve() as (_, port), slow_reader(port) as client:
        stream = await client.open(FLOOD)
        await client.send(stream, frame_message(b""), end_stream=True)
        assert len((await client.received(stream, 5000)).data) == 5000
        await client.ping()
        assert len((await client.received(stream, 5000)).data) == 5000

        await client.grant(200_000, stream)
        reply = await client.reply(stream)

    assert len(reply.messages()) == 100
    assert reply.status == 0


async def test_a_cancel_reaches_the_handler() -> None:
    async with serve() as (service, port), RawGrpc("127.0.0.1", port) as client:
        stream = await client.open(STALL)
        await client.send(stream, frame_message(b""), end_stream=True)
        async with asyncio.timeout(5):
            await service.stalled.wait()
            await client.cancel(stream)
            await service.cancelled.wait()


async def test_bytes_that_are_not_http2_end_the_connection() -> None:
    async with serve() as (_, port), RawGrpc("127.0.0.1", port) as client:
        await client.ping()
        await client.send_bytes(b"\xff" * 100)
        await client.wait_closed()

    with pytest.raises(TimeoutError):
        async with serve() as (_, port), RawGrpc("127.0.0.1", port) as client:
            await client.wait_closed(timeout=0.05)
