"""Which connections the outbound HTTP client keeps, and what it takes off them."""

import asyncio

import httpx
import pytest

from support.outbound import answered, opened, outbound, request_to
from support.upstream import Conn, Script, Upstream

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


def saying(data: bytes) -> Script:
    async def script(conn: Conn) -> None:
        await conn.raw(data)
        conn.is_complete = True

    return script


async def test_interim_responses_are_passed_over() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\ncontent-length: 3\r\n\r\n"
    async with Upstream(saying(interim + OK)) as upstream, outbound() as transport:
        response = await transport.handle_async_request(request_to(upstream))
        assert (response.status_code, response.headers.raw) == (200, [(b"content-length", b"5")])
        assert await response.aread() == b"hello"


async def test_a_switch_of_protocols_is_no_response() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
    async with Upstream(saying(switch)) as upstream, outbound() as transport:
        with pytest.raises(httpx.RemoteProtocolError):
            await transport.handle_async_request(request_to(upstream))


@pytest.mark.parametrize("extra", [OK, b"garbage"])
async def test_bytes_behind_a_response_end_its_connection_and_reach_nobody(extra: bytes) -> None:
    async with Upstream(saying(OK + extra)) as upstream, outbound() as transport:
        for _ in range(2):
            assert await answered(transport, request_to(upstream)) == b"hello"
        assert upstream.connections_total == 2


async def test_bytes_on_an_idle_connection_end_it() -> None:
    async def answer_then_more(conn: Conn) -> None:
        await conn.raw(OK)
        await conn.sleep(0.05)
        await conn.raw(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        await conn.stall()

    async with Upstream(answer_then_more) as upstream, outbound() as transport:
        assert await answered(transport, request_to(upstream)) == b"hello"
        await upstream.wait_closed(0)
        assert await answered(transport, request_to(upstream)) == b"hello"
        assert upstream.connections_total == 2


async def test_a_response_without_a_body_leaves_its_connection_usable() -> None:
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with Upstream(saying(empty)) as upstream, outbound() as transport:
        for _ in range(2):
            assert await answered(transport, request_to(upstream)) == b""
        assert upstream.connections_total == 1


async def test_a_head_request_has_no_body_whatever_its_length_says() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    async with Upstream(saying(head)) as upstream, outbound() as transport:
        assert await answered(transport, request_to(upstream, method="HEAD")) == b""


async def test_a_server_may_close_with_its_answer() -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with Upstream(saying(closing)) as upstream, outbound() as transport:
        for _ in range(2):
            assert await answered(transport, request_to(upstream)) == b"hello"
        assert upstream.connections_total == 2


async def test_a_refusal_is_heard_while_the_body_is_still_being_sent() -> None:
    refusal = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 5\r\n\r\nlarge"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        # Never reads the rest: a client that insists on sending it would wait for ever.
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server, outbound() as transport:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        request = httpx.Request("POST", url, content=bytes(64 * 1024 * 1024))
        response = await transport.handle_async_request(request)
        assert (response.status_code, await response.aread()) == (413, b"large")
        gone.set()


async def test_an_unused_connection_is_closed_after_its_time() -> None:
    async with Upstream(saying(OK)) as upstream, outbound(idle=0.05) as transport:
        await asyncio.gather(*(answered(transport, request_to(upstream)) for _ in range(3)))
        async with asyncio.timeout(5):
            for number in range(3):
                await upstream.wait_closed(number)


async def test_names_are_resolved_too() -> None:
    async with Upstream(saying(OK)) as upstream, outbound() as transport:
        url = f"http://localhost:{upstream.port}/"
        requests = [httpx.Request("POST", url) for _ in range(20)]
        answers = await asyncio.gather(*(answered(transport, request) for request in requests))
        assert answers == [b"hello"] * 20


async def test_a_cancelled_lookup_leaves_the_others_waiting() -> None:
    async with Upstream(saying(OK)) as upstream, outbound() as transport:
        url = f"http://localhost:{upstream.port}/"
        first = asyncio.create_task(transport.handle_async_request(httpx.Request("POST", url)))
        second = asyncio.create_task(answered(transport, httpx.Request("POST", url)))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == b"hello"
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_the_body_of_a_response_can_end_before_it_is_read() -> None:
    async with Upstream(saying(OK)) as upstream, outbound(connections=1) as transport:
        body = await opened(transport, request_to(upstream))
        body.close()
        assert await answered(transport, request_to(upstream)) == b"hello"
        assert upstream.connections_total == 1
