"""What each way to fail is to the outbound HTTP client's caller."""

import asyncio
import socket
import ssl

import httpx
import pytest
import trustme

from llmgateway_server.providers.http import HttpTransport, ResponseBody
from support.outbound import SECRET, answered, opened, outbound, request_to
from support.upstream import Conn, Script, Upstream

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def hello(conn: Conn) -> None:
    await conn.respond(200, b"hello")


async def hang_up(conn: Conn) -> None:
    conn.close()


async def reset(conn: Conn) -> None:
    conn.reset()


def sending(*parts: bytes, then: str) -> Script:
    """Write `parts`, pausing between them; then "close", "reset" or "stall"."""

    async def script(conn: Conn) -> None:
        for part in parts:
            await conn.raw(part)
            await conn.sleep(0.02)
        if then == "close":
            conn.close()
        elif then == "reset":
            conn.reset()
        else:
            await conn.stall()

    return script


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (hang_up, httpx.ReadError),
        (reset, httpx.ReadError),
        (sending(b"HTTP/1.1 200 OK\r\nx-a: b", then="close"), httpx.ReadError),
        (sending(b"SSH-2.0-server\r\n\r\n", then="stall"), httpx.RemoteProtocolError),
        (sending(b"\x16\x03\x01\x00" * 9, then="stall"), httpx.RemoteProtocolError),
        (
            sending(b"HTTP/1.1 200 OK\r\nx: %b\r\n\r\n" % (b"a" * 9000), then="stall"),
            httpx.RemoteProtocolError,
        ),
        (
            sending(b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * 200 + b"\r\n", then="stall"),
            httpx.RemoteProtocolError,
        ),
        (
            sending(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f\x8b", then="stall"),
            httpx.DecodingError,
        ),
    ],
)
async def test_a_failure_before_the_head_is_told_by_its_class(
    script: Script, expected: type[httpx.RequestError]
) -> None:
    async with Upstream(script) as upstream, outbound() as transport:
        with pytest.raises(httpx.RequestError) as raised:
            await transport.handle_async_request(request_to(upstream))
        assert type(raised.value) is expected
        assert raised.value.__context__ is None
        assert SECRET not in repr(raised.value)
        await upstream.wait_closed()


async def read_into(received: list[bytes], body: ResponseBody) -> None:
    async for data in body:
        received.append(data)  # noqa: PERF401 - what came before a failure has to stay


@pytest.mark.parametrize(
    ("parts", "then", "expected"),
    [
        ((HEAD, b"5\r\nhello\r\n", b"5\r\nhe"), "close", httpx.ReadError),
        ((HEAD, b"5\r\nhello\r\n", b"zz\r\n"), "stall", httpx.RemoteProtocolError),
        ((HEAD, b"5\r\nhello\r\n"), "reset", httpx.ReadError),
        (
            (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"hello"),
            "close",
            httpx.ReadError,
        ),
        # Only the close ends this one: a reset must not pass for it.
        ((b"HTTP/1.1 200 OK\r\n\r\n", b"hello"), "reset", httpx.ReadError),
    ],
)
async def test_a_body_that_breaks_off_gives_what_came_and_then_fails(
    parts: tuple[bytes, ...], then: str, expected: type[httpx.TransportError]
) -> None:
    async with Upstream(sending(*parts, then=then)) as upstream, outbound() as transport:
        body = await opened(transport, request_to(upstream))
        received: list[bytes] = []
        with pytest.raises(httpx.TransportError) as raised:
            await read_into(received, body)
        assert b"".join(received).startswith(b"hello")
        assert type(raised.value) is expected
        assert raised.value.__context__ is None
        with pytest.raises(expected):
            await anext(body)
        await upstream.wait_closed()


async def test_bytes_that_came_before_a_failure_reach_a_late_reader() -> None:
    script = sending(HEAD + b"5\r\nhello\r\n", then="close")
    async with Upstream(script) as upstream, outbound() as transport:
        body = await opened(transport, request_to(upstream))
        await upstream.wait_closed()
        await asyncio.sleep(0.05)
        assert await anext(body) == b"hello"
        with pytest.raises(httpx.ReadError):
            await anext(body)


async def test_a_body_without_length_ends_with_the_servers_close() -> None:
    script = sending(b"HTTP/1.1 200 OK\r\n\r\nhello", then="close")
    async with Upstream(script) as upstream, outbound() as transport:
        assert await answered(transport, request_to(upstream)) == b"hello"


async def test_a_refused_connection_and_an_unknown_name_are_connect_errors() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        urls = [
            f"http://127.0.0.1:{unused.getsockname()[1]}/",
            # Longer than a name can be: refused by the resolver without asking anybody.
            f"http://{'.'.join(['a' * 60] * 5)}/",
        ]
        async with outbound() as transport:
            for url in urls:
                with pytest.raises(httpx.ConnectError) as raised:
                    await transport.handle_async_request(httpx.Request("POST", url))
                assert type(raised.value) is httpx.ConnectError


async def test_a_handshake_that_never_ends_is_a_connect_timeout_and_is_hung_up() -> None:
    async with Upstream(stall_tls=True) as upstream, outbound() as transport:
        request = request_to(upstream, timeout={"connect": 0.1})
        with pytest.raises(httpx.ConnectTimeout):
            await transport.handle_async_request(request)
        await upstream.wait_closed()


@pytest.mark.parametrize(
    ("url", "headers", "expected"),
    [
        ("ftp://127.0.0.1/", {}, httpx.UnsupportedProtocol),
        ("http:///nowhere", {}, httpx.UnsupportedProtocol),
        ("http://127.0.0.1/", {"x-a": "b\r\nx-c: d"}, httpx.LocalProtocolError),
    ],
)
async def test_a_request_that_cannot_be_sent_is_refused(
    url: str, headers: dict[str, str], expected: type[httpx.TransportError]
) -> None:
    async with Upstream(hello) as upstream, outbound() as transport:
        url = url.replace("127.0.0.1", f"127.0.0.1:{upstream.port}")
        with pytest.raises(expected):
            await transport.handle_async_request(httpx.Request("POST", url, headers=headers))
        assert upstream.requests == []


async def test_tls_is_verified_against_the_given_authority_and_the_host() -> None:
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    for host, is_right in (("127.0.0.1", True), ("example.org", False)):
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(serving)
        async with Upstream(hello, ssl_context=serving) as upstream:
            async with outbound(ssl_context=trusting) as transport:
                if is_right:
                    assert await answered(transport, request_to(upstream)) == b"hello"
                else:
                    with pytest.raises(httpx.ConnectError, match="TLS"):
                        await transport.handle_async_request(request_to(upstream))
            async with outbound() as transport:
                with pytest.raises(httpx.ConnectError, match="TLS"):
                    await transport.handle_async_request(request_to(upstream))


async def test_a_server_without_tls_is_a_connect_error_on_an_https_url() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 not for you\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server, HttpTransport() as transport:
        port = server.sockets[0].getsockname()[1]
        request = httpx.Request("POST", f"https://127.0.0.1:{port}/")
        with pytest.raises(httpx.ConnectError, match="TLS"):
            await transport.handle_async_request(request)
