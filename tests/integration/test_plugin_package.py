"""A dialect from a package of its own, known to the server by its entry point only."""

import asyncio
import json
import os
import sys
from pathlib import Path

import grpc
import pytest

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway.v1 import generation_service_pb2_grpc
from support.gateway import question
from support.process import clean_environment, run, server
from support.upstream import Conn, Upstream

EXAMPLE = Path(__file__).parents[1] / "plugin_example"
FILE = """\
server: {{listen: 127.0.0.1:0}}
providers:
  up: {{dialect: ollama_native, base_url: "{base_url}", keep_alive: 5m}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a machine on which the package is installed."""
    target = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
    assert os.spawnv(os.P_WAIT, sys.executable, (*pip, "--target", str(target), str(EXAMPLE))) == 0
    return clean_environment(PYTHONPATH=str(target))


async def two_lines(conn: Conn) -> None:
    if conn.received.path.endswith("/tags"):
        await conn.respond(200, b'{"models": []}')
        return
    await conn.head(headers={"content-type": "application/x-ndjson"})
    for line in (
        {"message": {"role": "assistant", "content": "Hel"}, "done": False},
        {"message": {"role": "assistant", "content": "lo"}, "done": False},
        {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 2},
    ):
        await conn.chunk(json.dumps(line).encode() + b"\n")
    await conn.end()


async def test_the_server_serves_a_dialect_that_it_has_never_heard_of(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    file = tmp_path / "gateway.yaml"
    async with Upstream(two_lines) as upstream:
        file.write_text(FILE.format(base_url=upstream.base_url))
        async with (
            server("--config", str(file), environment=installed) as process,
            grpc.aio.insecure_channel(process.address) as channel,
        ):
            stub = generation_service_pb2_grpc.GenerationServiceStub(channel)
            answer: pb.GenerateResponse = await stub.Generate(pb.GenerateRequest(input=question()))
        body = upstream.requests[0].json()
    assert [part.text for part in answer.parts] == ["Hello"]
    assert answer.finish.reason == pb.FINISH_REASON_STOP
    assert (answer.usage.input_token_count, answer.usage.output_token_count) == (7, 2)
    assert body["keep_alive"] == "5m"


async def test_its_options_are_checked_like_those_of_a_dialect_of_ours(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    file = tmp_path / "gateway.yaml"
    text = FILE.format(base_url="http://127.0.0.1:1").replace("keep_alive", "keep_alife")
    await asyncio.to_thread(file.write_text, text)
    code, _, err = await run("config", "check", str(file), environment=installed)
    assert code == 2
    assert "keep_alife" in err
    assert "keep_alive" in err
