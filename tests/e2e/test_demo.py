"""`serve --demo` as a person meets it: grpcurl without proto files, health, chat, a real model."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.process import ServerProcess, clean_environment, server

BIN = Path(sys.executable).parent
GENERATE_STREAM = "llmgateway.v1.GenerationService/GenerateStream"
QUESTION = {
    "input": {
        "messages": [{"role": "ROLE_USER", "parts": [{"text": "Say hello."}]}],
        "output": {"max_output_tokens": 8},
    }
}


@asynccontextmanager
async def demo() -> AsyncIterator[ServerProcess]:
    async with server("--demo", "--listen", "127.0.0.1:0") as process:
        yield process


async def command(*words: str, stdin: bytes | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        str(BIN / words[0]),
        *words[1:],
        env=clean_environment(),
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def documents(text: str) -> list[dict[str, object]]:
    """The JSON documents that grpcurl prints one after the other."""
    decoder, at, found = json.JSONDecoder(), 0, []
    while at < len(text.rstrip()):
        document, end = decoder.raw_decode(text, at)
        found.append(document)
        at = end + 1
    return found


async def test_grpcurl_needs_no_proto_files() -> None:
    async with demo() as process:
        code, listed, err = await command("grpcurl", "-plaintext", process.address, "list")
        assert code == 0, err
        assert "llmgateway.v1.GenerationService" in listed
        assert "grpc.health.v1.Health" in listed
        code, described, err = await command(
            "grpcurl", "-plaintext", process.address, "describe", "llmgateway.v1.GenerationInput"
        )
        assert code == 0, err
        assert "repeated .llmgateway.v1.Message messages = 2" in described
        code, streamed, err = await command(
            *("grpcurl", "-plaintext", "-d", json.dumps(QUESTION)),
            *(process.address, GENERATE_STREAM),
        )
        assert code == 0, err
        messages = documents(streamed)
        assert len(messages) > 2
        assert messages[0]["start"]["model"] == "demo/smollm2"  # type: ignore[index]
        assert messages[-1]["finish"]["reason"] == "FINISH_REASON_LENGTH"  # type: ignore[index]
        assert messages[-1]["usage"]["outputTokenCount"] == 8  # type: ignore[index]


async def test_grpcurl_shows_what_is_wrong_with_a_request() -> None:
    async with demo() as process:
        code, _, err = await command(
            *("grpcurl", "-plaintext", "-d", '{"input": {"model": "chat"}}'),
            *(process.address, GENERATE_STREAM),
        )
    assert code != 0
    assert "InvalidArgument" in err
    assert "input.messages" in err
    assert "REQUEST_INVALID" in err


async def test_standard_health_answers_check_and_watch() -> None:
    async with demo() as process, grpc.aio.insecure_channel(process.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "llmgateway.v1.GenerationService", "liveness", "route/chat"):
            request = health_pb2.HealthCheckRequest(service=service)
            reply = await health.Check(request)
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
            watch = health.Watch(request)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            watch.cancel()
        code, out, _ = await command("llmgateway", "health", "--address", process.address)
        assert (code, out.strip()) == (0, "SERVING")


async def test_chat_streams_to_the_terminal_and_tells_the_figures() -> None:
    async with demo() as process:
        code, out, err = await command(
            *("llmgateway", "chat", "--address", process.address, "--max-tokens", "12"),
            "Say hello.",
        )
        assert code == 0, err
        assert out.strip()
        for figure in ("first token", "tokens/s", "demo/smollm2", "tokens in", "out"):
            assert figure in err
        code, out, _ = await command(
            *("llmgateway", "chat", "--address", process.address, "--max-tokens", "5", "--json"),
            stdin=b"Say hello.",
        )
        assert code == 0
        assert json.loads(out)
        code, out, _ = await command("llmgateway", "models", "--address", process.address)
        assert code == 0
        assert "demo/smollm2" in out


async def test_make_demo_answers_and_ends() -> None:
    environment = clean_environment(HOME=os.environ.get("HOME", "/"))
    process = await asyncio.create_subprocess_exec(
        "make",
        "demo",
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(110):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    for words in ("smollm2", "tokens in", "first token"):
        assert words in out.decode()
