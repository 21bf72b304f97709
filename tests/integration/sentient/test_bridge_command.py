"""`llmgateway bridge` as its own process: start, refusals, TLS and tokens, logs, the end."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
import trustme
from typer.testing import CliRunner, Result

from llmgateway.cli.app import app
from llmgateway.v1.generation_service_pb2 import Delta, GenerateStreamResponse
from support.bridge import bridge_process, question
from support.scripted_gateway import FINISH, START, Abort, Hang, ScriptedGateway, text


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["bridge", *arguments], env={"LLMGATEWAY_TOKEN": None})


async def test_it_says_one_line_and_ends_with_code_0(gateway: ScriptedGateway) -> None:
    async with bridge_process(gateway.address) as bridge:
        assert (await bridge.answer()).texts() == ["Hello"]
        bridge.send_signal(signal.SIGTERM)
        assert await bridge.end() == (0, "", "")


async def test_sigterm_leaves_answers_their_grace(gateway: ScriptedGateway) -> None:
    gateway.script = [START, text("Hel"), Hang()]
    async with bridge_process(gateway.address, "--grace", "0.3") as bridge:
        answer = await bridge.ask()
        reading = asyncio.create_task(answer.answer())
        await asyncio.to_thread(gateway.wait_for_calls, 1, alive=1)
        bridge.send_signal(signal.SIGTERM)
        read = await reading
        assert [error["error_code"] for error in read.errors] == [503]
        assert await bridge.end() == (0, "", "")


async def test_a_second_signal_ends_the_grace(gateway: ScriptedGateway) -> None:
    gateway.script = [START, text("Hel"), Hang()]
    async with bridge_process(gateway.address, "--grace", "60") as bridge:
        answer = await bridge.ask()
        reading = asyncio.create_task(answer.answer())
        await asyncio.to_thread(gateway.wait_for_calls, 1, alive=1)
        bridge.send_signal(signal.SIGINT)
        await asyncio.sleep(0.3)
        assert not reading.done()
        bridge.send_signal(signal.SIGINT)
        assert len((await reading).errors) == 1
        assert await bridge.end() == (0, "", "")


async def test_a_stuck_reader_does_not_keep_it_from_ending(gateway: ScriptedGateway) -> None:
    piece = GenerateStreamResponse(deltas=[Delta(text="x" * 64_000)])
    gateway.script = [START, *[piece] * 1000, FINISH]
    async with bridge_process(gateway.address, "--grace", "0.2") as bridge:
        await bridge.ask()
        await asyncio.to_thread(gateway.wait_for_calls, 1, alive=1)
        began = time.monotonic()
        bridge.send_signal(signal.SIGTERM)
        assert await bridge.end() == (0, "", "")
    assert time.monotonic() - began < 10


async def test_what_users_type_is_logged_nowhere(gateway: ScriptedGateway) -> None:
    arguments = ("--access-log", "--token", "secret-token")
    async with bridge_process(gateway.address, *arguments) as bridge:
        secret = "canary-3141"
        await (await bridge.ask(question(secret))).answer()
        gateway.script = [Abort(grpc.StatusCode.INTERNAL, "INTERNAL", "a bug")]
        await (await bridge.ask(question(secret, processor_id=secret))).answer()
        await (await bridge.ask(f'{{"query": "{secret}"'.encode())).body()
        gateway.script = [START, Hang()]
        (await bridge.ask(question(secret))).reset()
        bridge.send_signal(signal.SIGTERM)
        code, out, err = await bridge.end()
    assert (code, out) == (0, "")
    assert '"POST /assist HTTP/1.1" 422' in err
    assert secret not in err
    assert "secret-token" not in err


async def test_tls_with_a_certificate_of_its_own_and_a_token_from_a_file(tmp_path: Path) -> None:
    authority = trustme.CA()
    served, mine = authority.issue_cert("127.0.0.1"), authority.issue_cert("bridge.example.org")
    chain = b"".join(blob.bytes() for blob in served.cert_chain_pems)
    credentials = grpc.ssl_server_credentials(
        [(served.private_key_pem.bytes(), chain)],
        root_certificates=authority.cert_pem.bytes(),
        require_client_auth=True,
    )
    ca, cert, key, token = (tmp_path / name for name in ("ca", "cert", "key", "token"))
    authority.cert_pem.write_to_path(ca)
    for blob in mine.cert_chain_pems:
        blob.write_to_path(cert, append=True)
    mine.private_key_pem.write_to_path(key)
    token.write_text("first\n")
    arguments = [
        argument
        for name, path in {"ca": ca, "cert": cert, "key": key, "token-file": token}.items()
        for argument in (f"--{name}", str(path))
    ]
    with ScriptedGateway(credentials) as gateway:
        async with bridge_process(gateway.address, *arguments) as bridge:
            assert (await bridge.answer()).texts() == ["Hello"]
            assert gateway.metadata["authorization"] == "Bearer first"
            token.write_text("second\n")
            assert (await bridge.answer()).texts() == ["Hello"]
            assert gateway.metadata["authorization"] == "Bearer second"
            token.unlink()
            assert (await bridge.answer()).texts() == ["Hello"]
            assert gateway.metadata["authorization"] == "Bearer second"


async def test_a_gateway_of_another_authority_gets_nothing(tmp_path: Path) -> None:
    served = trustme.CA().issue_cert("127.0.0.1")
    chain = b"".join(blob.bytes() for blob in served.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(served.private_key_pem.bytes(), chain)])
    ca = tmp_path / "ca"
    trustme.CA().cert_pem.write_to_path(ca)
    with ScriptedGateway(credentials) as gateway:
        async with bridge_process(gateway.address, "--ca", str(ca), "--token", "t") as bridge:
            assert [error["error_code"] for error in (await bridge.answer()).errors] == [503]
        assert gateway.requests == []


async def test_the_token_comes_from_the_environment(gateway: ScriptedGateway) -> None:
    async with bridge_process(gateway.address, LLMGATEWAY_TOKEN="secret") as bridge:
        await bridge.answer()
    assert gateway.metadata["authorization"] == "Bearer secret"


def test_a_taken_port_is_exit_code_1(gateway: ScriptedGateway) -> None:
    result = run("--listen", gateway.address)
    line = f"llmgateway: cannot listen on {gateway.address}: Address already in use\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--listen", "8000"),
        ("--listen", "127.0.0.1:http"),
        ("--listen", "127.0.0.1:70000"),
        ("--max-body", "1000"),
        ("--cors", "app.example.org"),
        ("--cors", "https://app.example.org/"),
        ("--event-name", "two\nlines"),
        ("--heartbeat", "0"),
        ("--cert", __file__),
        ("--token", "t", "--token-file", __file__),
        ("--token", "t", "--gateway", "gateway.example.org:1"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    assert run("--token-file", str(tmp_path / "token")).exit_code == 2


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "httptools"])
def test_without_the_extra_one_line_says_how_to_get_it(tmp_path: Path, missing: str) -> None:
    # A module that is None in sys.modules cannot be imported, as if it were not installed.
    code = (
        f"import sys; sys.modules['{missing}'] = None; sys.argv[1:] = ['bridge'];"
        " from llmgateway.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    line = "llmgateway: the bridge needs: pip install 'llmgateway[bridge]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
