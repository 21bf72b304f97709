"""What can be measured: our server, the floors, and the scripted provider itself."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import processes
from processes import BUILD, HERE, LOAD_CORE, Program

# Any identifier will do: neither server keeps anything between requests.
_ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
SENTIENT_REQUEST = {
    "session": {
        "processor_id": "sentient-chat-client",
        "activity_id": _ULID,
        "request_id": _ULID,
        "interactions": [],
    },
    "query": {"id": _ULID, "prompt": "%s"},
}
_SERVICE = "/llmgateway.v1.GenerationService/"


@dataclass(frozen=True)
class Subject:
    """Something that answers, and how it is spoken to."""

    program: Program
    protocol: str = "grpc"
    prefix: str = ""  # of a model's name
    routes: tuple[str, ...] = ()  # names without a prefix
    path: str = "/v1/chat/completions"
    body: str = ""  # where it is not OpenAI's; %s is the model
    done: str = ""  # the line that ends a good stream, where it is not OpenAI's
    headers: tuple[str, ...] = ()
    has_unary: bool = True

    def arguments(self, model: str, *, unary: bool) -> list[str]:
        """The load generator's words for this subject."""
        path = self.path.replace("%s", model)
        if self.protocol == "grpc":
            path = _SERVICE + ("Generate" if unary else "GenerateStream")
        words = ["--port", str(self.program.port), "--proto", self.protocol, "--path", path]
        words += ["--model", model if model in self.routes else self.prefix + model]
        words += [word for header in self.headers for word in ("--header", header)]
        words += ["--body", self.body % model] if self.body else []
        words += ["--done", self.done] if self.done else []
        return [*words, "--unary"] if unary else words


Start = Callable[[Program], AbstractContextManager[Subject]]


@contextmanager
def upstream() -> Iterator[Program]:
    """The scripted provider."""
    with processes.running((str(BUILD / "upstream"),), core=LOAD_CORE) as program:
        yield program


@contextmanager
def ours(provider: Program) -> Iterator[Subject]:
    """Our server in front of the scripted provider."""
    up = {
        "dialect": "openai_chat",
        "base_url": f"http://127.0.0.1:{provider.port}/v1",
        "pool": {"connections": 10_000},
    }
    with tempfile.TemporaryDirectory() as folder:
        # JSON is YAML.
        file = Path(folder) / "gateway.yaml"
        config = {
            "server": {"listen": "127.0.0.1:0"},
            "providers": {"up": up},
            "routes": {"cached": {"targets": ["up/unary-200"], "cache": {"ttl": "1h"}}},
        }
        file.write_text(json.dumps(config))
        command = (sys.executable, "-m", "llmgateway_server", "serve", "--config", str(file))
        with processes.running(command) as program:
            yield Subject(program, prefix="up/", routes=("cached",))


@contextmanager
def bridge(provider: Program) -> Iterator[Subject]:
    """Our Sentient bridge and our server behind it, counted together, on one core."""
    with ours(provider) as gateway:
        words = ("bridge", "--gateway", f"127.0.0.1:{gateway.program.port}")
        command = (str(Path(sys.executable).with_name("llmgateway")), *words, "--listen")
        with processes.running((*command, "127.0.0.1:0")) as program:
            program.add(gateway.program)
            yield Subject(
                program,
                protocol="sse",
                path="/assist?model=up/%s",
                body=json.dumps(SENTIENT_REQUEST),
                done="event: done",
                has_unary=False,
            )


@contextmanager
def canned(provider: Program) -> Iterator[Subject]:
    """The floor: grpc.aio alone."""
    del provider
    with processes.running((sys.executable, str(HERE / "floors" / "canned.py"))) as program:
        yield Subject(program)


@contextmanager
def relay(provider: Program) -> Iterator[Subject]:
    """The floor of a gateway: grpc.aio and a bare socket."""
    command = (sys.executable, str(HERE / "floors" / "relay.py"), str(provider.port))
    with processes.running(command) as program:
        yield Subject(program)


@contextmanager
def client(provider: Program) -> Iterator[Subject]:
    """A rung between the relay and ours: our HTTP client and decoder alone."""
    command = (sys.executable, str(HERE / "floors" / "client.py"), str(provider.port))
    with processes.running(command) as program:
        yield Subject(program)


@contextmanager
def alone(provider: Program) -> Iterator[Subject]:
    """The provider asked directly: what the load generator sees with nothing between."""
    yield Subject(provider, protocol="sse")
