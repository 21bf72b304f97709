"""The Sentient bridge as a process of its own, before the real server: many readers, stuck ones."""

import asyncio
from pathlib import Path

import pytest

from support.bridge import bridge_process, question
from support.gateway import until
from support.openai import finish_chunk, role_chunk, start_stream, text_chunk
from support.process import server
from support.upstream import Conn, Upstream

READERS = 1000
SECONDS = 10
PIECES = 20
STUCK = 50
MIB = 1024 * 1024


def configuration(directory: Path, upstream: Upstream) -> str:
    file = directory / "gateway.yaml"
    file.write_text(
        "server: {listen: 127.0.0.1:0}\n"
        f"providers: {{up: {{dialect: openai_chat, base_url: '{upstream.base_url}', "
        f"pool: {{connections: {READERS}}}}}}}\n"
    )
    return str(file)


@pytest.mark.timeout(180)
async def test_a_thousand_readers_get_whole_answers(tmp_path: Path) -> None:
    peak = 0

    async def story(conn: Conn) -> None:
        nonlocal peak
        name = conn.received.json()["messages"][-1]["content"]
        await start_stream(conn)
        await conn.event(role_chunk())
        for piece in range(PIECES):
            await conn.event(text_chunk(f"{name}:{piece} "))
            peak = max(peak, upstream.connections_open)
            await conn.sleep(SECONDS / PIECES)
        await conn.event(finish_chunk("stop"))
        await conn.done()

    async with (
        Upstream(story) as upstream,
        server("--config", configuration(tmp_path, upstream)) as gateway,
        bridge_process(gateway.address, "--model", "up/tiny") as bridge,
    ):
        names = [f"s{number}" for number in range(READERS)]
        answers = await asyncio.gather(*(bridge.answer(name) for name in names))
    for name, answer in zip(names, answers, strict=True):
        assert answer.errors == []
        assert answer.texts() == ["".join(f"{name}:{piece} " for piece in range(PIECES))]
    assert peak == READERS


@pytest.mark.timeout(180)
async def test_stuck_readers_hold_up_their_providers_and_lose_their_connections(
    tmp_path: Path,
) -> None:
    sent = 0

    async def endless(conn: Conn) -> None:
        nonlocal sent
        await start_stream(conn)
        await conn.event(role_chunk())
        while True:
            await conn.event(text_chunk("x" * 8000))
            sent += 8000

    async with (
        Upstream(endless) as upstream,
        server("--config", configuration(tmp_path, upstream)) as gateway,
        bridge_process(gateway.address, "--model", "up/tiny") as bridge,
    ):
        before = bridge.resident_bytes
        stuck = await asyncio.gather(*(bridge.ask(question("go")) for _ in range(STUCK)))
        await upstream.wait_requests(STUCK)
        # The gateway ends the calls after 30 s, then the kernel the connections.
        closing = asyncio.create_task(upstream.wait_closed(timeout=60))
        most = before
        while not closing.done():
            most = max(most, bridge.resident_bytes)
            await asyncio.sleep(0.1)
        await closing
        late = await stuck.pop().answer()
        await until(lambda: bridge.connections <= 1, timeout=60)
    assert [error["details"]["reason"] for error in late.errors] == ["READER_TOO_SLOW"]
    assert (most - before) / STUCK < MIB
    assert sent / STUCK < 16 * MIB
