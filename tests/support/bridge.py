"""The Sentient bridge over real sockets, and a client that sees every byte of its answers."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from llmgateway import AsyncClient
from llmgateway.sentient.app import create_app
from llmgateway.sentient.serve import BridgeServer, listen
from llmgateway.sentient.settings import BridgeOptions
from support.process import clean_environment
from support.sentient_wire import Answer, StrictReader

ULID = "01M82JEX77JMC2FVWF2HT0CKDJ"
_READY = re.compile(r"llmgateway bridge ready on http://127\.0\.0\.1:(\d+), gateway \S+\n")


def question(prompt: str = "Hi", **session: Any) -> bytes:
    """The body of a request; `session` has what its session should say."""
    asked: dict[str, Any] = {"query": {"id": ULID, "prompt": prompt}}
    if session:
        ids = {"processor_id": "me", "activity_id": ULID, "request_id": ULID, "interactions": []}
        asked["session"] = {**ids, **session}
    return json.dumps(asked).encode()


class HttpAnswer:
    """A response whose body is read chunk by chunk, as the server wrote it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        status: int,
        headers: list[tuple[str, str]],
    ) -> None:
        self.status = status
        self.headers = headers
        self._reader = reader
        self._writer = writer
        self._fields = dict(headers)

    def header(self, name: str) -> str:
        """One header, by its name in lower case; empty if it is not there."""
        return self._fields.get(name, "")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks of the body up to its end, which has to come."""
        if "content-length" in self._fields:
            yield await self._reader.readexactly(int(self._fields["content-length"]))
            return
        while size := int(await self._reader.readline(), 16):
            yield await self._reader.readexactly(size)
            assert await self._reader.readexactly(2) == b"\r\n"
        assert await self._reader.readexactly(2) == b"\r\n"

    async def body(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def json(self) -> Any:
        """The body, parsed."""
        assert self.header("content-type") == "application/json"
        return json.loads(await self.body())

    async def answer(self) -> Answer:
        """The body as events, each law of the wire asserted; every chunk holds whole ones."""
        reader = StrictReader()
        async for chunk in self.chunks():
            reader.feed(chunk, time.time_ns() // 1_000_000)
        return reader.end()

    def close(self) -> None:
        """Goes away."""
        self._writer.close()

    def reset(self) -> None:
        """Goes away without a farewell."""
        self._writer.transport.abort()

    async def ended(self) -> bytes:
        """What comes until the server closes the connection."""
        return await self._reader.read()


class Bridge:
    """A bridge that listens."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._writers: list[asyncio.StreamWriter] = []

    def close(self) -> None:
        """Closes all connections to it."""
        for writer in self._writers:
            writer.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to it; what nobody reads is left to the socket, but for 128 KiB."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return reader, writer

    async def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Sends a request on a connection of its own; returns when the headers are in."""
        reader, writer = await self.connect()
        fields = {"host": f"127.0.0.1:{self.port}", **(headers or {})}
        if body and "transfer-encoding" not in fields:
            fields.setdefault("content-length", str(len(body)))
        lines = [f"{method} {target} HTTP/1.1", *(f"{key}: {fields[key]}" for key in fields)]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        status = int((await reader.readline()).split()[1])
        found: list[tuple[str, str]] = []
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            name, _, value = line.partition(": ")
            found.append((name, value))
        return HttpAnswer(reader, writer, status, found)

    async def get(self, target: str, **headers: str) -> HttpAnswer:
        """Sends a GET; `headers` with underscores for hyphens."""
        return await self.send("GET", target, headers=_named(headers))

    async def ask(
        self, body: bytes | None = None, target: str = "/assist", **headers: str
    ) -> HttpAnswer:
        """Asks."""
        fields = {"content-type": "application/json", **_named(headers)}
        return await self.send("POST", target, question() if body is None else body, fields)

    async def answer(self, prompt: str = "Hi", target: str = "/assist") -> Answer:
        """Asks and reads the answer to its end."""
        answer = await self.ask(question(prompt), target)
        assert answer.status == 200
        return await answer.answer()


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class BridgeThread(Bridge):
    """A bridge in a thread of this process."""

    def __init__(self, port: int, server: BridgeServer, thread: threading.Thread) -> None:
        super().__init__(port)
        self._server = server
        self._thread = thread

    async def stop(self) -> None:
        """Stops it as SIGTERM does; returns when it has stopped."""
        self._server.should_exit = True
        await asyncio.to_thread(self._thread.join, 20)
        assert not self._thread.is_alive()


@asynccontextmanager
async def bridge_to(
    gateway: str, options: BridgeOptions | None = None, *, grace: float = 5.0, **client: Any
) -> AsyncIterator[BridgeThread]:
    """A bridge in a thread and loop of its own."""
    app = create_app(AsyncClient(gateway, **client), options or BridgeOptions())
    ready = threading.Event()
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = BridgeServer(app, grace=grace, on_ready=ready.set)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    bridge = BridgeThread(port, server, thread)
    try:
        assert await asyncio.to_thread(ready.wait, 10)
        yield bridge
    finally:
        bridge.close()
        await bridge.stop()


class BridgeProcess(Bridge):
    """`llmgateway bridge` as its own process, the way a user starts it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        super().__init__(port)
        self._process = process

    @property
    def resident_bytes(self) -> int:
        """How much memory the process has."""
        status = Path(f"/proc/{self._process.pid}/status").read_text("utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    @property
    def connections(self) -> int:
        """How many connections to its port it has not closed."""
        port = f":{self.port:04X}"
        # Local address, remote address, state; 01 is ESTABLISHED, 08 is CLOSE_WAIT.
        rows = (line.split()[1:4] for line in Path("/proc/net/tcp").read_text("ascii").splitlines())
        return sum(row[0].endswith(port) and row[2] in {"01", "08"} for row in rows)

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    async def end(self) -> tuple[int, str, str]:
        """Waits for the end: exit code, the rest of standard output, standard error."""
        async with asyncio.timeout(30):
            out, err = await self._process.communicate()
        return self._process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def bridge_process(
    gateway: str, *arguments: str, **environment: str
) -> AsyncIterator[BridgeProcess]:
    """A running bridge; killed at the end of the block if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "llmgateway.cli", "bridge"),
        *("--gateway", gateway, "--listen", "127.0.0.1:0", *arguments),
        env=clean_environment(GRPC_VERBOSITY="NONE", **environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).decode()
        ready = _READY.fullmatch(line)
        assert ready, line or (await process.communicate())[1].decode()
        bridge = BridgeProcess(process, int(ready[1]))
        yield bridge
        bridge.close()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
