"""The outbound HTTP client against a real server on loopback that keeps to no rules."""

import asyncio
import random
import socket
import statistics
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from llmgateway_server.providers.http import HttpTransport, StaleConnectionError
from support.outbound import answered, opened, outbound, request_to
from support.upstream import Conn, Upstream


async def hello(conn: Conn) -> None:
    await conn.respond(200, b"hello")


async def one_event(conn: Conn) -> None:
    await conn.head()
    await conn.event("one")
    await conn.stall()


async def test_a_request_that_gets_no_slot_in_time_is_a_pool_timeout() -> None:
    async with Upstream(one_event) as upstream, outbound(connections=1) as transport:
        body = await opened(transport, request_to(upstream))
        with pytest.raises(httpx.PoolTimeout):
            await transport.handle_async_request(request_to(upstream, timeout={"pool": 0.05}))
        waiting = asyncio.create_task(opened(transport, request_to(upstream)))
        await asyncio.sleep(0)
        body.close()
        (await waiting).close()
        assert upstream.connections_total == 2


async def test_only_the_requests_own_headers_are_sent_and_identity_is_forced() -> None:
    async with Upstream(hello) as upstream, outbound() as transport:
        request = httpx.Request(
            "POST",
            f"{upstream.base_url}/a%2Fb%41?x=%20y",
            headers={"accept-encoding": "gzip", "x-own": "1", "content-length": "99"},
            content=b"body",
        )
        assert await answered(transport, request) == b"hello"
        (received,) = upstream.requests
        assert received.path == "/v1/a%2Fb%41?x=%20y"
        assert received.body == b"body"
        assert received.headers == {
            "host": f"127.0.0.1:{upstream.port}",
            "accept-encoding": "identity",
            "x-own": "1",
            "content-length": "4",
        }


async def test_large_and_streamed_request_bodies_arrive_whole() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async with Upstream(hello) as upstream, outbound() as transport:
        large = bytes(range(256)) * 12_288
        await answered(transport, request_to(upstream, content=large))
        streamed = httpx.Request("POST", upstream.base_url, content=pieces())
        await answered(transport, streamed)
        assert [received.body for received in upstream.requests] == [large, b"one two"]


async def test_an_async_client_of_httpx_works_on_it() -> None:
    http = httpx.AsyncClient(transport=HttpTransport(), trust_env=False)
    async with Upstream(hello) as upstream, http:
        response = await http.post(upstream.base_url, json={"a": 1})
        assert (response.status_code, response.text) == (200, "hello")
        assert response.headers["content-length"] == "5"


async def test_redirects_are_handed_on_and_never_followed() -> None:
    async def redirect(conn: Conn) -> None:
        await conn.respond(307, headers={"location": "/elsewhere"})

    async with Upstream(redirect) as upstream, outbound() as transport:
        response = await transport.handle_async_request(request_to(upstream))
        await response.aread()
        assert (response.status_code, response.headers["location"]) == (307, "/elsewhere")
        assert len(upstream.requests) == 1


async def test_cookies_and_the_environments_proxies_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def cookie(conn: Conn) -> None:
        await conn.respond(200, headers={"set-cookie": "a=b"})

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with Upstream(cookie) as upstream, outbound() as transport:
        for _ in range(2):
            await answered(transport, request_to(upstream))
        assert "cookie" not in upstream.requests[1].headers


async def test_close_reaches_the_server_at_once() -> None:
    loop = asyncio.get_running_loop()
    delays: list[float] = []
    async with Upstream(one_event) as upstream, outbound() as transport:
        for number in range(20):
            body = await opened(transport, request_to(upstream))
            await anext(body)
            closed_at = loop.time()
            body.close()
            body.close()
            await body.aclose()
            delays.append(await upstream.wait_closed(number) - closed_at)
            with pytest.raises(httpx.StreamClosed):
                await anext(body)
    assert statistics.median(delays) < 0.05


async def until_sockets_open(count: int) -> None:
    # The kernel has no event for it.
    async with asyncio.timeout(10):
        while sockets_open() != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def sockets_open() -> int:
    # A broken link is what listing the folder itself had open.
    files = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return sum(str(file).startswith("socket:") for file in files)


async def test_a_cancelled_request_is_hung_up_also_while_the_server_does_not_read_it() -> None:
    with socket.socket() as never_accepting:
        never_accepting.bind(("127.0.0.1", 0))
        never_accepting.listen()
        url = f"http://127.0.0.1:{never_accepting.getsockname()[1]}/"
        async with outbound() as transport:
            before = sockets_open()
            request = httpx.Request("POST", url, content=bytes(64 * 1024 * 1024))
            sending = asyncio.create_task(transport.handle_async_request(request))
            await until_sockets_open(before + 1)
            # Long enough to fill the kernel's buffers, so that there is something left to flush.
            await asyncio.sleep(0.2)
            sending.cancel()
            await asyncio.wait([sending])
            await until_sockets_open(before)


async def test_a_reader_is_woken_when_its_body_is_closed() -> None:
    async with Upstream(one_event) as upstream, outbound() as transport:
        body = await opened(transport, request_to(upstream))
        await anext(body)
        reading = asyncio.create_task(anext(body))
        await asyncio.sleep(0)
        body.close()
        with pytest.raises(httpx.ReadError):
            await reading


async def test_a_cancelled_read_loses_nothing() -> None:
    async def later(conn: Conn) -> None:
        await conn.head()
        await conn.sleep(0.05)
        await conn.event("one")
        await conn.end()

    async with Upstream(later) as upstream, outbound() as transport:
        body = await opened(transport, request_to(upstream))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(body)
        assert b"".join([data async for data in body]) == b"data: one\n\n"


async def test_closing_the_transport_ends_what_is_under_way() -> None:
    async def silent(conn: Conn) -> None:
        await conn.stall()

    async with Upstream(one_event) as upstream, outbound() as transport:
        upstream.paths["/v1/silent"] = silent
        streaming, draining = [await opened(transport, request_to(upstream)) for _ in range(2)]
        draining.finish()
        waiting = asyncio.create_task(
            transport.handle_async_request(httpx.Request("POST", f"{upstream.base_url}/silent"))
        )
        await upstream.wait_requests(3)
        await transport.aclose()
        await upstream.wait_closed()
        with pytest.raises(httpx.TransportError):
            await waiting
        with pytest.raises(httpx.StreamClosed):
            await anext(streaming)
        with pytest.raises(RuntimeError, match="closed"):
            await transport.handle_async_request(request_to(upstream))


@pytest.mark.parametrize("pause", [0.0, 0.05])
async def test_a_finished_response_gives_its_connection_back(pause: float) -> None:
    async def ends_late(conn: Conn) -> None:
        await conn.head()
        await conn.event("[DONE]")
        if pause:
            await conn.sleep(pause)
        await conn.end()

    async with Upstream(ends_late) as upstream, outbound(connections=1) as transport:
        for _ in range(5):
            body = await opened(transport, request_to(upstream))
            assert await anext(body) == b"data: [DONE]\n\n"
            body.finish()
            body.close()
        assert len(upstream.requests) == 5
        assert upstream.connections_total == 1


async def test_a_finished_response_with_too_much_left_is_closed_and_frees_its_slot() -> None:
    async def long_rest(conn: Conn) -> None:
        await conn.head()
        await conn.event("[DONE]")
        for _ in range(64):
            await conn.chunk(b"x" * 65_536)
        await conn.end()

    for script in (one_event, long_rest):
        async with Upstream(script) as upstream, outbound(connections=1) as transport:
            body = await opened(transport, request_to(upstream))
            await anext(body)
            body.finish()
            (await opened(transport, request_to(upstream))).close()
            await upstream.wait_closed(0)
            assert upstream.connections_total == 2


async def test_a_server_is_not_read_while_nobody_takes_its_bytes() -> None:
    written = 0

    async def flood(conn: Conn) -> None:
        nonlocal written
        await conn.head()
        while written < 50_000_000:
            await conn.chunk(b"x" * 65_536)
            written += 65_536
        await conn.end()

    async with Upstream(flood) as upstream, outbound() as transport:
        body = await opened(transport, request_to(upstream))
        before = -1
        while before != written:
            before = written
            await asyncio.sleep(0.2)
        assert written < 8_000_000
        assert len(await anext(body)) <= 512 * 1024
        total = sum([len(data) async for data in body])
        assert total > 49_000_000


async def test_three_thousand_cancels_at_random_moments_leave_the_pool_working() -> None:
    async def forty_milliseconds(conn: Conn) -> None:
        await conn.head()
        for _ in range(4):
            await conn.event("x" * 300)
            await conn.sleep(0.01)
        await conn.done()

    chance = random.Random(20)
    outcomes: list[str] = []

    async def stream(transport: HttpTransport, upstream: Upstream) -> None:
        body = await opened(transport, request_to(upstream, timeout={"pool": 60.0}))
        try:
            async for data in body:
                if b"[DONE]" in data:
                    body.finish()
                    return
        finally:
            body.close()

    async def cancel_some(transport: HttpTransport, upstream: Upstream, count: int) -> None:
        for _ in range(count):
            task = asyncio.create_task(stream(transport, upstream))
            await asyncio.wait([task], timeout=chance.random() * 0.03)
            task.cancel()
            await asyncio.wait([task])
            outcomes.append("cancelled" if task.cancelled() else repr(task.exception()))

    async with Upstream(forty_milliseconds) as upstream, outbound(connections=10) as transport:
        await asyncio.gather(*(cancel_some(transport, upstream, 75) for _ in range(40)))
        assert outcomes == ["cancelled"] * 3000
        async with asyncio.timeout(10):
            await asyncio.gather(*(stream(transport, upstream) for _ in range(20)))


async def test_a_dead_kept_alive_connection_is_told_from_a_server_that_hangs_up() -> None:
    async def second_request_hangs_up(conn: Conn) -> None:
        if len(upstream.requests) % 2:
            await conn.respond(200, b"hello")
        elif conn.received.method == "PUT":
            await conn.raw(b"HTTP/1.1 200 OK\r\nx-a: b")
            conn.close()
        elif conn.received.method == "PATCH":
            conn.reset()
        else:
            conn.close()

    async with Upstream(second_request_hangs_up) as upstream, outbound() as transport:
        # GET as well: aiohttp's own repetition of it must stay off.
        for method in ("POST", "GET", "PATCH", "PUT"):
            sent = len(upstream.requests)
            await answered(transport, request_to(upstream, method=method))
            with pytest.raises(httpx.ReadError) as raised:
                await transport.handle_async_request(request_to(upstream, method=method))
            # A response that had begun is no sign of an idle connection's end.
            assert isinstance(raised.value, StaleConnectionError) is (method != "PUT")
            assert raised.value.__context__ is None
            assert len(upstream.requests) == sent + 2
