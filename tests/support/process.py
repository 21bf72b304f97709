"""`llmgateway-server` as its own process, the way a user starts it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

_COMMAND = (sys.executable, "-m", "llmgateway_server")
_READY = re.compile(r"llmgateway-server ready on (\S+?)[, ]")


class ServerProcess:
    """A server that says it is ready."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.address = address
        self._process = process

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    async def exit_code(self, timeout: float = 30.0) -> int:
        """Waits for the end."""
        async with asyncio.timeout(timeout):
            return await self._process.wait()


def clean_environment(**variables: str) -> dict[str, str]:
    """The environment without what configures a gateway."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"LLMGATEWAY|OPENAI|ANTHROPIC|GEMINI", name)
    }
    return {**kept, **variables}


async def run(
    *arguments: str, environment: Mapping[str, str] | None = None, directory: Path | None = None
) -> tuple[int, str, str]:
    """Runs a command to its end: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        *arguments,
        env=environment or clean_environment(),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def server(
    *arguments: str, environment: Mapping[str, str] | None = None, within: Sequence[str] = ()
) -> AsyncIterator[ServerProcess]:
    """A running server; killed at the end of the block if it still runs.

    `within` is a command that runs the command that follows it.
    """
    process = await asyncio.create_subprocess_exec(
        *within,
        *_COMMAND,
        "serve",
        *arguments,
        env=environment or clean_environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).decode()
        ready = _READY.match(line)
        assert ready, line
        yield ServerProcess(process, ready[1])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
