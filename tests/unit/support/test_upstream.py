"""The upstream does what its script says, and sees its peer leave when it leaves."""

import asyncio
import json
import socket
import ssl
import struct

import aiohttp
import pytest
import trustme

from support.ports import black_hole, closed_port
from support.upstream import Conn, Upstream

REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: upstream\r\nContent-Length: 2\r\n\r\n{}"


async def connect(upstream: Upstream) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(REQUEST)
    await upstream.wait_requests(1)
    return reader, writer


async def stall(conn: Conn) -> None:
    await conn.stall()


async def test_a_script_decides_every_byte_of_the_answer() -> None:
    async def script(conn: Conn) -> None:
        await conn.head(200, {"x-request-id": "req_1"})
        await conn.event({"text": "é"})
        await conn.event("plain", name="error")
        await conn.comment("ping")
        await conn.done()

    async with Upstream(script) as upstream:
        reader, writer = await connect(upstream)
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()

    assert answer == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_1\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
        b'16\r\ndata: {"text": "\xc3\xa9"}\n\n\r\n'
        b"1a\r\nevent: error\ndata: plain\n\n\r\n"
        b"8\r\n: ping\n\n\r\n"
        b"e\r\ndata: [DONE]\n\n\r\n"
        b"0\r\n\r\n"
    )


async def test_a_request_is_kept_as_it_came() -> None:
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        url = f"{upstream.base_url}/chat/completions"
        async with session.post(url, json={"n": 1}, headers={"X-Twice": "a"}) as response:
            assert response.status == 501

    (received,) = upstream.requests
    assert (received.method, received.path) == ("POST", "/v1/chat/completions")
    assert received.headers["x-twice"] == "a"
    assert received.json() == {"n": 1}


async def test_a_chunked_request_is_read_whole() -> None:
    head = b"POST /v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with Upstream() as upstream:
        _, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        for piece in (head, b'5\r\n{"n":\r\n3\r', b"\n 1}\r\n0\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
        await upstream.wait_requests(1)
        writer.close()

    assert upstream.requests[0].json() == {"n": 1}


async def test_a_complete_answer_keeps_its_connection_for_the_next_request() -> None:
    async def script(conn: Conn) -> None:
        await conn.respond(200, b"whole")

    async with Upstream(script) as upstream, aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(f"{upstream.base_url}/models") as response:
                assert await response.read() == b"whole"
        assert upstream.connections_open == upstream.connections_total == 1


async def test_a_path_may_have_its_own_script() -> None:
    async def models(conn: Conn) -> None:
        await conn.respond(200, b"models")

    async with Upstream(stall) as upstream, aiohttp.ClientSession() as session:
        upstream.paths["/v1/models"] = models
        async with session.get(f"{upstream.base_url}/models") as response:
            assert await response.read() == b"models"


async def test_a_peer_that_closes_is_seen_at_once() -> None:
    async with Upstream(stall) as upstream:
        _, writer = await connect(upstream)
        assert upstream.connections_open == 1
        closed_at = asyncio.get_running_loop().time()
        writer.close()

        assert await upstream.wait_closed(0) - closed_at < 0.05
        assert (upstream.connections_open, upstream.connections_total) == (0, 1)


async def test_a_peer_that_resets_is_seen_at_once() -> None:
    async with Upstream(stall) as upstream:
        _, writer = await connect(upstream)
        closed_at = asyncio.get_running_loop().time()
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

        assert await upstream.wait_closed() - closed_at < 0.05


async def test_a_peer_that_leaves_is_seen_while_a_write_waits_for_it() -> None:
    async def flood(conn: Conn) -> None:
        await conn.head()
        while True:
            await conn.chunk(b"a" * 65536)

    async with Upstream(flood) as upstream:
        _, writer = await connect(upstream)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        closed_at = asyncio.get_running_loop().time()
        writer.transport.abort()

        assert await upstream.wait_closed() - closed_at < 0.05


async def test_reset_and_close_are_what_the_peer_sees() -> None:
    async def reset(conn: Conn) -> None:
        conn.reset()

    async def close(conn: Conn) -> None:
        conn.close()

    async with Upstream(reset) as upstream:
        reader, writer = await connect(upstream)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
    async with Upstream(close) as upstream:
        reader, writer = await connect(upstream)
        assert await reader.read() == b""
        writer.close()


async def test_waiting_in_vain_says_what_the_upstream_saw() -> None:
    async with Upstream(stall) as upstream:
        _, writer = await connect(upstream)
        with pytest.raises(TimeoutError, match="1 of 1 connections open and read 1 requests"):
            await upstream.wait_closed(timeout=0.01)
        writer.close()


async def play_wrong_script() -> None:
    async def wrong(conn: Conn) -> None:
        conn.received.json()["absent"]

    async with Upstream(wrong) as upstream:
        reader, writer = await connect(upstream)
        answer = await reader.read()
        writer.close()
        assert answer, "no answer"


async def test_an_exception_in_a_script_is_noted_on_the_tests_own() -> None:
    with pytest.raises(AssertionError, match="no answer") as caught:
        await play_wrong_script()
    assert "KeyError('absent')" in caught.value.__notes__[0]


async def test_an_exception_in_a_script_fails_a_test_that_passed() -> None:
    async def wrong(conn: Conn) -> None:
        await conn.respond(200, conn.received.json()["absent"])

    upstream = Upstream(wrong)
    await upstream.__aenter__()
    _, writer = await connect(upstream)
    writer.close()
    with pytest.raises(KeyError, match="absent"):
        await upstream.__aexit__(None, None, None)


async def test_https_is_served_with_a_context() -> None:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    async with Upstream(ssl_context=server) as upstream, aiohttp.ClientSession() as session:
        assert upstream.base_url.startswith("https://")
        async with session.get(f"{upstream.base_url}/models", ssl=client) as response:
            assert response.status == 501


async def test_a_stalled_handshake_sees_the_peer_leave() -> None:
    async with Upstream(stall_tls=True) as upstream:
        handshake = asyncio.create_task(
            asyncio.open_connection("127.0.0.1", upstream.port, ssl=ssl.create_default_context())
        )
        await upstream.wait_connections(1)
        assert upstream.connections_open == 1
        handshake.cancel()
        await upstream.wait_closed()
        with pytest.raises(asyncio.CancelledError):
            await handshake


async def test_a_closed_port_refuses() -> None:
    with closed_port() as port, pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_black_hole_neither_accepts_nor_refuses() -> None:
    with black_hole() as port, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await asyncio.open_connection("127.0.0.1", port)


async def test_a_thousand_streams_are_open_at_the_same_time() -> None:
    async def script(conn: Conn) -> None:
        await conn.head()
        await upstream.wait_requests(1000, timeout=30)
        await conn.event(json.dumps(conn.received.path))
        await conn.done()

    async def fetch(number: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(b"GET /%d HTTP/1.1\r\n\r\n" % number)
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()
        return answer

    async with Upstream(script) as upstream:
        answers = await asyncio.gather(*(fetch(number) for number in range(1000)))

    assert upstream.connections_total == 1000
    assert all(b'"/%d"' % number in answer for number, answer in enumerate(answers))
