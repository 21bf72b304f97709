"""A strategy from a package of its own, known to the server by its entry point only."""

import asyncio
import os
import sys
from pathlib import Path

import grpc
import pytest

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway.v1 import generation_service_pb2_grpc
from support.gateway import ask, question
from support.openai import finish_chunk, plain_completion, role_chunk, start_stream, text_chunk
from support.process import clean_environment, run, server
from support.upstream import Conn, Upstream

EXAMPLE = Path(__file__).parents[1] / "strategy_example"
FILE = """\
server: {{listen: 127.0.0.1:0}}
providers:
  a: {{dialect: openai_chat, base_url: "{a}"}}
  b: {{dialect: openai_chat, base_url: "{b}"}}
routes:
  chat: {{strategy: {strategy}, targets: [a/x, b/y]}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a machine on which the package is installed."""
    target = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
    assert os.spawnv(os.P_WAIT, sys.executable, (*pip, "--target", str(target), str(EXAMPLE))) == 0
    return clean_environment(PYTHONPATH=str(target))


def configured(directory: Path, strategy: str, a: str, b: str) -> str:
    file = directory / "gateway.yaml"
    file.write_text(FILE.format(strategy=strategy, a=a, b=b))
    return str(file)


async def test_the_server_asks_in_the_order_of_a_strategy_that_it_has_never_heard_of(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    answered = asyncio.Event()

    async def half_a_story(conn: Conn) -> None:
        await start_stream(conn)
        await conn.event(role_chunk())
        await conn.event(text_chunk("one"))
        await answered.wait()
        await conn.event(finish_chunk("stop"))
        await conn.done()

    async with Upstream(half_a_story) as a, Upstream(plain_completion("two")) as b:
        for upstream in (a, b):
            upstream.paths["/v1/models"] = models
        file = configured(tmp_path, "least_busy", a.base_url, b.base_url)
        async with (
            server("--config", file, environment=installed) as process,
            grpc.aio.insecure_channel(process.address) as channel,
        ):
            stub = generation_service_pb2_grpc.GenerationServiceStub(channel)
            story = stub.GenerateStream(ask(model="chat"))
            first = await anext(aiter(story))
            # The first target is busy with the story now, and `priority` would ask it again.
            answer: pb.GenerateResponse = await stub.Generate(
                pb.GenerateRequest(input=question(model="chat")), timeout=20
            )
            answered.set()
            async for _ in story:
                pass
    assert first.start.route.provider == "a"
    assert answer.route.provider == "b"
    assert [part.text for part in answer.parts] == ["two"]


async def models(conn: Conn) -> None:
    await conn.respond(200, b'{"object":"list","data":[]}')


async def test_its_name_is_checked_like_those_of_ours(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    nowhere = "http://127.0.0.1:1"
    file = await asyncio.to_thread(configured, tmp_path, "least_busy", nowhere, nowhere)
    code, out, _ = await run("config", "check", file, environment=installed)
    assert code == 0
    assert "least_busy" in out
    file = await asyncio.to_thread(configured, tmp_path, "least_busi", nowhere, nowhere)
    code, _, err = await run("config", "check", file, environment=installed)
    assert code == 2
    assert "least_busy" in err
