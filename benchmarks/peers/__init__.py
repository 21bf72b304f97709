"""Other gateways in front of the same provider, each installed from a lock of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import processes
from peers import configs
from processes import HERE, Program
from subjects import SENTIENT_REQUEST, Start, Subject, bridge

_ROOT = HERE.parent


@contextmanager
def envoy(provider: Program) -> Iterator[Subject]:
    """Envoy, which passes bytes on and reads nothing of them: the least that a proxy costs."""
    port = processes.free_port()
    words = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    config = json.dumps(configs.envoy(port, provider.port))
    command = (_program("envoy", "envoy"), *words, "--config-yaml", config)  # JSON is YAML.
    with processes.running(command, port=port) as program:
        yield Subject(program, protocol="sse")


@contextmanager
def tensorzero(provider: Program) -> Iterator[Subject]:
    """TensorZero's gateway, without the database that it would observe into.

    It leaves Nagle's algorithm on towards its clients: 40 ms here and there are its own.
    """
    with _file("tensorzero.toml", configs.tensorzero(provider.port)) as config:
        command = _script("tensorzero", config)
        # What it logs would come before its port.
        with processes.running(command, environment={"RUST_LOG": "error"}) as program:
            yield Subject(
                program,
                protocol="sse",
                prefix="tensorzero::model_name::",
                path="/openai/v1/chat/completions",
            )


@contextmanager
def sentient(provider: Program) -> Iterator[Subject]:
    """Sentient's own server, whose agent asks the provider; the prompt is the model's name."""
    port = processes.free_port()
    command = _script("sentient", str(port), str(provider.port))
    with processes.running(command, port=port) as program:
        yield Subject(
            program,
            protocol="sse",
            path="/assist",
            body=json.dumps(SENTIENT_REQUEST),
            done="event: done",
            has_unary=False,
        )


@contextmanager
def litellm(provider: Program) -> Iterator[Subject]:
    """LiteLLM's proxy: one worker, no database, no logs."""
    port = processes.free_port()
    with (
        _file("litellm.yaml", json.dumps(configs.litellm(provider.port))) as config,
        _file("log.json", json.dumps(configs.UVICORN_SILENT)) as log,
    ):
        command = (
            *(_program("litellm", "litellm"), "--config", config, "--log_config", log),
            *("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"),
            *("--telemetry", "False"),
        )
        # The map of prices would be fetched, and a .env file of this folder read.
        environment = {
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MODE": "PRODUCTION",
        }
        with processes.running(
            command, port=port, seconds=120.0, environment=environment
        ) as program:
            yield Subject(program, protocol="sse")


PEERS: Mapping[str, Start] = {
    "envoy": envoy,
    "tensorzero": tensorzero,
    "sentient": sentient,
    "bridge": bridge,
    "litellm": litellm,
}


def _program(peer: str, name: str) -> str:
    """A program of the peer's environment, which is made where the lock has changed since."""
    lock = _ROOT / "requirements" / f"bench-{peer}.lock"
    folder = _ROOT / f".venv-bench-{peer}"
    # Written last, so that an install which was interrupted is done again.
    stamp, wanted = folder / ".installed", hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {peer} into {folder.name}", file=sys.stderr, flush=True)
        _install(peer, sys.executable, "-m", "venv", "--clear", str(folder))
        pip = (str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
        _install(peer, *pip, "install", "--quiet", "--require-hashes", "-r", str(lock))
        stamp.write_text(wanted)
    return str(folder / "bin" / name)


def _install(peer: str, *command: str) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{peer} cannot be installed: {done.stdout[-2000:]}")


def _script(peer: str, *arguments: str) -> tuple[str, ...]:
    """Our script that starts the peer, in the peer's environment."""
    script = Path(__file__).with_name(f"{peer}_server.py")
    return (_program(peer, "python"), str(script), *arguments)


@contextmanager
def _file(name: str, text: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text)
        yield str(path)
