"""What looks odd and is no fault: one attempt, the exact text, numbers that make sense."""

import asyncio
import logging
import socket
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from support.fault_table import scripts
from support.fault_table.calling import streamed
from support.gateway import KEY, MODEL, compatible, gateway_from, gateway_to, until
from support.openai import CONTENT, FAULTS, stream_text
from support.upstream import Conn, Script, Upstream


class Oddity(NamedTuple):
    """A script and the answer that it amounts to; `tokens` are those of input and output."""

    id: str
    name: str
    script: Script
    text: str
    tokens: tuple[int, int] | None = None


BOM = b"\xef\xbb\xbf"
ODDITIES = [
    Oddity("U17", "million_comments", scripts.million_comments, scripts.TEXT),
    Oddity("U20", "byte_by_byte", scripts.byte_by_byte, scripts.TEXT),
    Oddity("U20", "crlf", scripts.framed(b"", b"\r\n"), scripts.TEXT),
    Oddity("U20", "cr", scripts.framed(b"", b"\r"), scripts.TEXT),
    Oddity("U20", "bom", scripts.framed(BOM, b"\n"), scripts.TEXT),
    Oddity("U20", "bom_and_crlf", scripts.framed(BOM + b": hello\r\n\r\n", b"\r\n"), scripts.TEXT),
    Oddity("U20", "multi_line_data", scripts.multi_line_data, scripts.TEXT),
    Oddity("U20", "no_trailing_newline", scripts.no_trailing_newline, scripts.TEXT),
    Oddity("U28", "json_type", FAULTS["bad_content_type_json_for_stream"], CONTENT),
    Oddity("U31", "truncated_tool_json", FAULTS["truncated_tool_json"], ""),
    Oddity("U31", "usage_twice", scripts.usage_twice, CONTENT, (12, 5)),
    Oddity("U31", "usage_missing", scripts.usage_missing, CONTENT),
    Oddity("U31", "usage_negative", scripts.usage_negative, CONTENT),
    Oddity("U31", "usage_in_every_chunk", scripts.usage_in_every_chunk, "ab", (12, 5)),
    Oddity("U31", "finish_twice", scripts.finish_twice, CONTENT, (12, 5)),
    # Before [DONE] nothing is over; what comes is passed on in its order.
    Oddity(
        "U31", "content_after_finish", scripts.content_after_finish, CONTENT + " too late", (12, 5)
    ),
    Oddity("U31", "content_after_done", scripts.content_after_done, CONTENT, (12, 5)),
    Oddity("U32", "thin_line", stream_text(list(CONTENT), delay=0.02), CONTENT, (12, 5)),
]


def _param(oddity: Oddity) -> object:
    name = f"{oddity.id}-{oddity.name}"
    return pytest.param(oddity, id=name, marks=pytest.mark.fault(oddity.id))


@pytest.mark.parametrize("oddity", [_param(oddity) for oddity in ODDITIES])
async def test_an_oddity_is_answered(oddity: Oddity, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    prices = {"models": {"tiny": {"prices": {"input": 1, "output": 2}}}}
    async with (
        Upstream(oddity.script) as upstream,
        gateway_to(upstream.base_url, provider=prices) as running,
    ):
        ending = await streamed(running, MODEL)
        await until(lambda: not running.gateway.gate.in_flight)
        assert running.gateway.provider_status("up").in_flight == 0
    assert ending.failure is None, ending.failure and ending.failure.message
    assert ending.text == oddity.text
    assert ending.attempts == len(upstream.requests) == 1
    usage = ending.messages[-1].usage
    counted = (usage.input_token_count, usage.output_token_count)
    assert oddity.tokens is None or counted == oddity.tokens
    assert min(*counted, usage.cost_nano_usd, usage.cached_input_token_count) >= 0
    assert upstream.connections_open == 0
    assert KEY not in ending.everything + caplog.text


@pytest.mark.fault("U10")
async def test_a_kept_connection_that_died_costs_no_attempt() -> None:
    """The server closed it while the request was on its way; that is sent again."""
    turns = iter([stream_text(["one"]), FAULTS["fin_before_headers"], stream_text(["two"])])

    async def script(conn: Conn) -> None:
        await next(turns)(conn)

    async with Upstream(script) as upstream, gateway_to(upstream.base_url) as running:
        first = await streamed(running, MODEL)
        second = await streamed(running, MODEL)
    assert [first.text, second.text] == ["one", "two"]
    assert second.attempts == 1
    assert len(upstream.requests) == 3
    assert upstream.connections_total == 2


@pytest.mark.fault("U17")
async def test_of_a_giant_line_no_more_is_read_than_a_line_may_have() -> None:
    sent: list[int] = []

    async def giant_line(conn: Conn) -> None:
        sent.append(0)
        await conn.head()
        await conn.chunk(b"data: ")
        while sent[-1] < 200 * 1024 * 1024:
            await conn.chunk(b"x" * 65536)
            sent[-1] += 65536

    async with Upstream(giant_line) as upstream, gateway_to(upstream.base_url) as running:
        ending = await streamed(running, MODEL)
    assert ending.failure is not None
    assert ending.failure.reason == "PROVIDER_PROTOCOL_ERROR"
    assert len(sent) == 2
    # A line of 1 MiB, and what socket buffers on both sides hold.
    assert max(sent) < 16 * 1024 * 1024


@pytest.mark.fault("U3")
async def test_names_that_are_never_found_hold_up_nobody_else() -> None:
    """More of them than any pool has threads."""
    others, over = socket.getaddrinfo, threading.Event()

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Sequence[Any]:
        if host.endswith(".example"):
            over.wait(20)
        return others(host, *args, **options)

    dead = [f"dead{number}" for number in range(40)]
    async with Upstream(stream_text(["fine"])) as upstream:
        providers = {name: compatible(f"http://{name}.example/v1") for name in dead}
        providers["up"] = compatible(f"http://localhost:{upstream.port}/v1")
        async with gateway_from({"providers": providers}) as running:
            with patch.object(socket, "getaddrinfo", getaddrinfo):
                waiting = [
                    asyncio.ensure_future(streamed(running, f"{name}/tiny")) for name in dead
                ]
                await until(lambda: running.gateway.gate.in_flight == len(dead))
                ending = await streamed(running, MODEL)
                assert not any(task.done() for task in waiting)
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
                await until(lambda: not running.gateway.gate.in_flight)
                over.set()
    assert ending.text == "fine"
