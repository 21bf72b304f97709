"""The command `llmgateway` against a real gRPC server that follows a script."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from typer.testing import CliRunner, Result

from llmgateway.cli.app import app
from llmgateway.v1.catalog_service_pb2 import Model
from support.ports import closed_port
from support.scripted_gateway import (
    FINISH,
    REQUEST_ID,
    START,
    Abort,
    Hang,
    ScriptedGateway,
    text,
)

COMMAND = (sys.executable, "-W", "error", "-m", "llmgateway.cli")


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with ScriptedGateway() as scripted:
        yield scripted


def run(
    gateway: ScriptedGateway, *arguments: str, stdin: str | None = None, token: str | None = None
) -> Result:
    environment = {"LLMGATEWAY_ADDRESS": gateway.address, "LLMGATEWAY_TOKEN": token}
    return CliRunner().invoke(app, arguments, input=stdin, env=environment)


def start(gateway: ScriptedGateway, arguments: Sequence[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "LLMGATEWAY_ADDRESS": gateway.address, "GRPC_VERBOSITY": "NONE"}
    return subprocess.Popen(
        (*COMMAND, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment,
        text=True,
    )


def test_chat_streams_the_answer_and_tells_what_it_took(gateway: ScriptedGateway) -> None:
    result = run(gateway, "chat", "Hi", "--model", "chat", "--system", "Be brief.")
    assert (result.exit_code, result.stdout) == (0, "Hello\n")
    for fact in ("first token", "tokens/s", "demo/small", "3 tokens in, 5 out", "stop"):
        assert fact in result.stderr
    given = gateway.requests[0].input
    assert (given.model, given.messages[0].parts[0].text) == ("chat", "Be brief.")


def test_chat_sends_its_options(gateway: ScriptedGateway) -> None:
    options = ("--max-tokens", "7", "--temperature", "0", "--timeout", "9")
    assert run(gateway, "chat", "Hi", *options, token="secret").exit_code == 0
    given = gateway.requests[0].input
    assert given.output.max_output_tokens == 7
    assert given.sampling.HasField("temperature")
    assert gateway.metadata["authorization"] == "Bearer secret"


@pytest.mark.parametrize("arguments", [("chat",), ("chat", "-")])
def test_chat_reads_the_prompt_from_stdin(
    gateway: ScriptedGateway, arguments: tuple[str, ...]
) -> None:
    assert run(gateway, *arguments, stdin="Explain\nthis").exit_code == 0
    assert gateway.requests[0].input.messages[0].parts[0].text == "Explain\nthis"


def test_chat_as_json_is_one_document_of_the_contract(gateway: ScriptedGateway) -> None:
    result = run(gateway, "chat", "Hi", "--json")
    answer = json.loads(result.stdout)
    assert answer["parts"] == [{"text": "Hello"}]
    assert answer["finish"]["reason"] == "FINISH_REASON_STOP"
    assert answer["route"]["provider"] == "demo"


def test_a_failed_call_is_one_line_that_says_what_to_do(gateway: ScriptedGateway) -> None:
    retry = RetryInfo(retry_delay=Duration(seconds=3))
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    message = "slow\ndown\x1b[2J"
    gateway.script = [Abort(code, "PROVIDER_RATE_LIMITED", message, details=(retry,))]
    result = run(gateway, "chat", "Hi")
    line = (
        f"llmgateway: PROVIDER_RATE_LIMITED: slow down[2J - try again in 3 s [request {REQUEST_ID}]"
    )
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line + "\n")


def test_an_unknown_model_points_to_the_list(gateway: ScriptedGateway) -> None:
    gateway.script = [Abort(grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", "no model 'x'")]
    result = run(gateway, "chat", "Hi", "--model", "x")
    assert result.exit_code == 1
    assert "MODEL_NOT_FOUND: no model 'x' - see `llmgateway models`" in result.stderr


def test_wrong_usage_is_exit_code_2(gateway: ScriptedGateway) -> None:
    assert run(gateway, "chat", "--max-tokens", "0", "Hi").exit_code == 2
    assert run(gateway, "chat", stdin="").exit_code == 2
    assert run(gateway, "chat", "half a character: \udcff").exit_code == 2
    remote = run(gateway, "chat", "Hi", "--address", "gateway.example.org:1", token="secret")
    assert remote.exit_code == 2
    assert "secret" not in remote.output
    assert gateway.requests == []


def test_models_are_lines_that_other_commands_can_read(gateway: ScriptedGateway) -> None:
    gateway.models = [
        Model(name="chat", targets=["demo/small", "demo/large"]),
        Model(name="demo/small", provider="demo", context_window_token_count=2048),
    ]
    result = run(gateway, "models")
    lines = ["chat\tdemo/small, demo/large\t-\t-", "demo/small\tdemo\t2048\t-"]
    assert (result.exit_code, result.stdout.splitlines()) == (0, lines)


def test_health_is_exit_code_0_only_if_it_serves(gateway: ScriptedGateway) -> None:
    gateway.set_serving("")
    gateway.set_serving("route/chat", serving=False)
    for arguments, code, word in (
        ((), 0, "SERVING"),
        (("route/chat",), 1, "NOT_SERVING"),
        (("route/none", "--wait", "0.3"), 1, "SERVICE_UNKNOWN"),
    ):
        result = run(gateway, "health", *arguments)
        assert (result.exit_code, result.stdout) == (code, word + "\n")


def test_health_waits_for_a_gateway_that_starts(gateway: ScriptedGateway) -> None:
    waiting = start(gateway, ["health", "late", "--wait", "20"])
    with waiting:
        gateway.set_serving("late")
        output, errors = waiting.communicate(timeout=20)
    assert (waiting.returncode, output, errors) == (0, "SERVING\n", "")


def test_nobody_there_says_how_to_go_on() -> None:
    with closed_port() as port:
        result = CliRunner().invoke(app, ["health", "--address", f"127.0.0.1:{port}"])
    assert result.exit_code == 1
    assert f"is the gateway up at 127.0.0.1:{port}?" in result.stderr


def test_the_real_command_writes_no_colours_into_a_pipe(gateway: ScriptedGateway) -> None:
    with start(gateway, ["chat", "Hi"]) as process:
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, "Hello\n")
    assert "demo/small" in errors
    assert "\x1b" not in errors


def test_ctrl_c_cancels_the_call_and_is_exit_code_130(gateway: ScriptedGateway) -> None:
    gateway.script = [START, text("Hel"), Hang()]
    with start(gateway, ["chat", "Hi"]) as process:
        assert process.stdout is not None
        assert process.stdout.read(3) == "Hel"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors
    gateway.wait_for_calls(1, alive=0)


def test_a_closed_pipe_ends_the_call_without_a_traceback(gateway: ScriptedGateway) -> None:
    gateway.script = [START, *[text("Hello ")] * 20_000, FINISH, Hang()]
    with start(gateway, ["chat", "Hi"]) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == "Hello"
        process.stdout.close()
        process.wait(20)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    gateway.wait_for_calls(1, alive=0)


def test_without_the_extra_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    # A module that is None in sys.modules cannot be imported, as if it were not installed.
    code = "import sys; sys.modules['typer'] = None; from llmgateway.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    line = "llmgateway: this command needs: pip install 'llmgateway[cli]'\n"
    assert (done.returncode, done.stderr) == (1, line)
