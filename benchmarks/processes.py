"""Programs under test and around it: built, started, pinned, and their cost read from /proc."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"
# The server alone on one core; what makes load and what plays the provider share the other.
SERVER_CORE = 0
LOAD_CORE = 1

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_FLAGS = ("-O2", "-std=gnu11")


def build() -> None:
    """Compiles the native parts where they are older than their sources."""
    BUILD.mkdir(exist_ok=True)
    for name in ("upstream", "loadgen"):
        sources = sorted((HERE / "native").glob(f"{name}*.c"))
        newest = max(path.stat().st_mtime for path in (HERE / "native").iterdir())
        binary = BUILD / name
        if not binary.exists() or binary.stat().st_mtime < newest:
            command = ("cc", *_FLAGS, "-o", str(binary), *map(str, sources), "-lm")
            subprocess.run(command, check=True)


def _pinned(core: int, *command: str) -> tuple[str, ...]:
    return ("taskset", "-c", str(core % (os.cpu_count() or 1)), *command)


class Program:
    """A running program and all its descendants."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.address = address
        self._process = process

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def cpu_seconds(self) -> float:
        """User and system time of the whole tree so far."""
        ticks = 0
        for pid in self._tree():
            fields = _stat(pid)
            ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICK

    def rss_bytes(self) -> int:
        """Resident memory of the whole tree."""
        return sum(int(_stat(pid)[21]) * _PAGE for pid in self._tree())

    def _tree(self) -> Iterator[int]:
        waiting = [self._process.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())


def _stat(pid: int) -> list[str]:
    # The name in parentheses may hold spaces; the fields after it are counted from `state`.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@contextmanager
def running(command: Sequence[str], ready: str, *, core: int = SERVER_CORE) -> Iterator[Program]:
    """Starts a program and waits for the line that gives its address or port."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            _pinned(core, *command),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
        )
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.search(ready, line)
            if not found:
                errors.seek(0)
                raise RuntimeError(f"{command[0]} did not start: {line}{errors.read()[-2000:]}")
            yield Program(process, found[1])
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def upstream() -> Iterator[Program]:
    """The scripted provider."""
    with running((str(BUILD / "upstream"),), r"(\d+)", core=LOAD_CORE) as program:
        yield program


@contextmanager
def gateway(provider: Program) -> Iterator[Program]:
    """Our server in front of the scripted provider."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.json"
        config = {
            "server": {"listen": "127.0.0.1:0"},
            "providers": {
                "up": {
                    "dialect": "openai_chat",
                    "base_url": f"http://127.0.0.1:{provider.port}/v1",
                    "pool": {"connections": 10_000},
                }
            },
        }
        # JSON is YAML.
        file.with_suffix(".yaml").write_text(json.dumps(config))
        command = (
            *(sys.executable, "-m", "llmgateway_server", "serve", "--config"),
            str(file.with_suffix(".yaml")),
        )
        with running(command, r"ready on (\S+)") as program:
            yield program


@contextmanager
def canned() -> Iterator[Program]:
    """The floor: grpc.aio alone."""
    command = (sys.executable, str(HERE / "floors" / "canned.py"))
    with running(command, r"ready on (\S+)") as program:
        yield program


def load(arguments: Sequence[str]) -> dict[str, object]:
    """Runs the load generator to its end."""
    done = subprocess.run(
        _pinned(LOAD_CORE, str(BUILD / "loadgen"), *arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(f"loadgen failed: {done.stderr[-2000:]}")
    result: dict[str, object] = json.loads(done.stdout)
    return result
