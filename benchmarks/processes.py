"""Programs under test and around it: built, started, pinned, and what they use of the machine."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BUILD = HERE / "build"
# The server alone on one core; what makes load and what plays the provider share the other.
SERVER_CORE = 0
LOAD_CORE = 1

_PAGE = os.sysconf("SC_PAGE_SIZE")
_FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra")
# CPUCLOCK_SCHED of <linux/posix-timers.h>: the nanoseconds that a process's threads have run,
# ended ones included. The fields of /proc/PID/stat count in hundredths of a second.
_CPU_CLOCK = 2


def build() -> None:
    """Compiles the native parts where they are older than their sources."""
    BUILD.mkdir(exist_ok=True)
    for name in ("upstream", "loadgen"):
        sources = sorted((HERE / "native").glob(f"{name}*.c"))
        newest = max(path.stat().st_mtime for path in (HERE / "native").iterdir())
        binary = BUILD / name
        if not binary.exists() or binary.stat().st_mtime < newest:
            command = ("cc", *_FLAGS, "-o", str(binary), *map(str, sources))
            subprocess.run(command, check=True)


def stay_off_the_server_core() -> None:
    """Keeps the harness itself away from what is measured."""
    os.sched_setaffinity(0, {LOAD_CORE})


def free_port() -> int:
    """A port for programs that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """A running program and all its descendants."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self._pids = [process.pid]

    def add(self, other: Program) -> None:
        """Counts another program as a part of this one."""
        self._pids += other._pids

    def cpu_seconds(self) -> float:
        """User and system time of the whole tree so far."""
        total = 0.0
        for pid in self._tree():
            with suppress(OSError):
                total += time.clock_gettime(~pid << 3 | _CPU_CLOCK)
        return total

    def rss_bytes(self) -> int:
        """Resident memory of the whole tree."""
        pages = 0
        for pid in self._tree():
            with suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * _PAGE

    def forget_peak(self) -> None:
        """Lets `peak_bytes` start anew (5: see proc_pid_clear_refs(5))."""
        for pid in self._tree():
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_bytes(self) -> int:
        """The most resident memory since `forget_peak`, summed over the tree."""
        kib = 0
        for pid in self._tree():
            with suppress(OSError):
                found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())
                kib += int(found[1]) if found else 0
        return kib * 1024

    def settle(self, seconds: float = 120.0) -> float:
        """Waits until work that outlives its load is done; gives what is used of a core idle."""
        end = time.monotonic() + seconds
        while True:
            before, began = self.cpu_seconds(), time.monotonic()
            time.sleep(0.2)
            share = (self.cpu_seconds() - before) / (time.monotonic() - began)
            if share < 0.05 or time.monotonic() > end:
                return share

    def _tree(self) -> Iterator[int]:
        waiting = [*self._pids]
        while waiting:
            pid = waiting.pop()
            yield pid
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += map(int, (task / "children").read_text().split())


@contextmanager
def running(
    command: Sequence[str],
    *,
    port: int = 0,
    core: int = SERVER_CORE,
    seconds: float = 60.0,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Program]:
    """Starts a program pinned to a core.

    It is ready when its first line, which ends with its port, is there; or, where `port` is
    given, when something accepts there.
    """
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            ("taskset", "-c", str(core), *command),
            stdout=log if port else subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "GRPC_VERBOSITY": "ERROR", **(environment or {})},
            start_new_session=True,
        )
        try:
            ready = _accepts(process, port, seconds) if port else _announced(process, seconds)
            if not ready:
                log.seek(0)
                raise RuntimeError(f"{command[0]} did not start: {log.read()[-2000:]}")
            yield Program(process, ready)
        finally:
            _stop(process)


def _announced(process: subprocess.Popen[str], seconds: float) -> int:
    assert process.stdout
    if not select.select([process.stdout], [], [], seconds)[0]:
        return 0
    found = re.search(r"(?:^|:)(\d+)(?:[, ]|$)", process.stdout.readline().rstrip())
    return int(found[1]) if found else 0


def _accepts(process: subprocess.Popen[str], port: int, seconds: float) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return port
        time.sleep(0.1)
    return 0


def _stop(process: subprocess.Popen[str]) -> None:
    # The process group, since some programs leave their children behind.
    for number, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            break
    if process.stdout:
        process.stdout.close()


def load(arguments: Sequence[str]) -> dict[str, Any]:
    """Runs the load generator to its end."""
    done = subprocess.run(
        ("taskset", "-c", str(LOAD_CORE), str(BUILD / "loadgen"), *arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(f"loadgen failed: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    result["complaint"] = done.stderr.strip().partition("\n")[0]
    return result
