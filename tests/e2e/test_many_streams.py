"""A thousand streams at the same time, each for ten seconds, every text whole."""

import asyncio
from pathlib import Path

import grpc
import pytest

from llmgateway.v1 import generation_service_pb2_grpc
from support.gateway import ask, text_of
from support.openai import finish_chunk, role_chunk, start_stream, text_chunk
from support.process import server
from support.upstream import Conn, Upstream

STREAMS = 1000
SECONDS = 10
PIECES = 20


@pytest.mark.timeout(180)
async def test_a_thousand_streams_of_ten_seconds_are_all_whole(tmp_path: Path) -> None:
    peak = 0

    async def story(conn: Conn) -> None:
        nonlocal peak
        name = conn.received.json()["messages"][0]["content"]
        await start_stream(conn)
        await conn.event(role_chunk())
        for piece in range(PIECES):
            await conn.event(text_chunk(f"{name}:{piece} "))
            peak = max(peak, upstream.connections_open)
            await conn.sleep(SECONDS / PIECES)
        await conn.event(finish_chunk("stop"))
        await conn.done()

    upstream = Upstream(story)
    async with upstream:
        file = tmp_path / "gateway.yaml"
        file.write_text(
            "server: {listen: 127.0.0.1:0}\n"
            f"providers: {{up: {{dialect: openai_chat, base_url: '{upstream.base_url}', "
            f"pool: {{connections: {STREAMS}}}}}}}\n"
        )
        async with (
            server("--config", str(file)) as process,
            grpc.aio.insecure_channel(process.address) as channel,
        ):
            stub = generation_service_pb2_grpc.GenerationServiceStub(channel)

            async def told(name: str) -> tuple[str, float]:
                began = asyncio.get_running_loop().time()
                text = text_of([m async for m in stub.GenerateStream(ask(name))])
                return text, asyncio.get_running_loop().time() - began

            names = [f"s{number}" for number in range(STREAMS)]
            results = await asyncio.gather(*map(told, names))
    for name, (text, took) in zip(names, results, strict=True):
        assert text == "".join(f"{name}:{piece} " for piece in range(PIECES))
        assert took >= SECONDS * 0.95
    assert peak == STREAMS
