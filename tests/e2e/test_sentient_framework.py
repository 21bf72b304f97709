"""The real Sentient Agent Framework beside us: our agent in its server, our bytes in its models.

It pins old servers, so it lives in an environment of its own, made here from its lock.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway import Failure
from llmgateway._errors import error_for
from llmgateway.sentient.events import EventStream
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway.v1.usage_pb2 import Route, Usage
from support.gateway import MODEL, gateway_to
from support.openai import start_stream, stream_text, text_chunk
from support.sentient_wire import Answer, StrictReader, WireEvent, read_answer, read_frames
from support.upstream import Conn, Upstream

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "sentient_framework"
AGENT = ROOT / "clients/python/examples/search_agent.py"
ID = "01JAAAAAAAAAAAAAAAAAAAAAAA"
FOREVER = 2**48
"""The framework's ids run ahead of the clock, by seconds where an answer is long."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the framework and our client."""
    environment = tmp_path_factory.mktemp("framework") / "venv"
    run(sys.executable, "-m", "venv", environment)
    made = environment / "bin" / "python"
    run(
        *(made, "-m", "pip", "install", "--quiet", "--require-hashes"),
        *("-r", "requirements/sentient.lock"),
    )
    site = run(made, "-c", "import site; print(site.getsitepackages()[0])").strip()
    (Path(site) / "client.pth").write_text(f"{ROOT / 'clients' / 'python'}\n")
    return made


def run(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Models:
    """The framework's event models, in a process where they are installed."""

    def __init__(self, python: Path) -> None:
        self.process = subprocess.Popen(
            [python, HERE / "read_events.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self, body: bytes) -> list[dict[str, Any]]:
        """The events of a stream."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(body.decode()) + "\n")
        self.process.stdin.flush()
        events = json.loads(self.process.stdout.readline())
        assert isinstance(events, list), events
        return events


@pytest.fixture(scope="module")
def models(python: Path) -> Iterator[Models]:
    made = Models(python)
    yield made
    made.process.communicate()


class FrameworkReader(StrictReader):
    """Strict, but for metadata: the framework's handler has no way to give any."""

    def _take_chunk(self, event: WireEvent) -> None:
        assert event.data["metadata"] is None
        first = event.stream_id not in self.answer.streams
        event.data["metadata"] = {"model": "", "is_first_chunk": first}
        super()._take_chunk(event)


def read_framework(body: bytes) -> Answer:
    reader = FrameworkReader()
    reader.feed(body, FOREVER)
    return reader.end()


def test_the_agent_works_with_the_frameworks_own_handler(python: Path) -> None:
    checks = sorted(HERE.glob("check_*.py"))
    out = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *checks)
    assert " passed" in out


@asynccontextmanager
async def search_agent(python: Path, gateway: str) -> AsyncIterator[httpx.AsyncClient]:
    """Our search agent in the framework's DefaultServer, and a client of it."""
    process = await asyncio.create_subprocess_exec(
        *map(str, (python, AGENT, "--gateway", gateway, "--model", MODEL, "--port", "0")),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    try:
        said = ""
        async with asyncio.timeout(60):
            while not (ready := re.search(r"running on (http://\S+)", said)):
                line = await process.stderr.readline()
                assert line, said
                said += line.decode()
        async with httpx.AsyncClient(base_url=ready[1], timeout=60) as client:
            yield client
    finally:
        process.kill()
        await process.wait()


async def assist(client: httpx.AsyncClient, prompt: str, activity: str = ID) -> bytes:
    ids = {"processor_id": "a-processor", "activity_id": activity, "request_id": ID}
    response = await client.post(
        "/assist",
        json={"query": {"id": ID, "prompt": prompt}, "session": {**ids, "interactions": []}},
    )
    assert response.status_code == 200
    return response.content


async def test_a_search_agent_answers_through_gateway_and_framework(
    python: Path, models: Models
) -> None:
    pieces = ["Because", " the", " moon\u2028", " pulls \U0001f311", ""]
    script = stream_text(pieces)
    async with (
        Upstream(script) as upstream,
        gateway_to(upstream.base_url) as gateway,
        search_agent(python, gateway.address) as client,
    ):
        body = await assist(client, "Why are there two tides a day?")
        second = await assist(client, "Xyzzy?")
        conversation = upstream.requests[-1].json()["messages"]
        asked = upstream.requests[0].json()["messages"]

    text = "".join(pieces).replace("\u2028", "\n")
    answer = read_framework(body)
    assert answer.texts() == [text]
    assert [name for name, _ in answer.documents] == ["SOURCES", "IMAGES", "USAGE", "ROUTE"]
    documents = dict(answer.documents)
    assert documents["SOURCES"]["results"][0]["title"] == "Tides"
    assert documents["IMAGES"]["images"][0].startswith("data:image/svg+xml,")
    assert documents["ROUTE"]["provider"] == "up"
    assert documents["USAGE"]["output_tokens"] > 0

    events = models.read(body)
    assert [event["event_name"] for event in events[:3]] == ["SEARCH", "SOURCES", "IMAGES"]
    chunks = [event for event in events if event["content_type"] == "chunked.text"]
    assert "".join(event["content"] for event in chunks) == f"{text} "
    assert events[-1]["content_type"] == "atomic.done"
    assert {event["source"] for event in events} == {"a-processor"}

    assert [message["role"] for message in asked] == ["system", "user"]
    assert "two tides a day?. Search results: [" in str(asked[-1]["content"])
    # No word fits, so there are neither sources nor images; and the chat went on.
    assert [name for name, _ in read_framework(second).documents] == ["USAGE", "ROUTE"]
    assert [message["role"] for message in conversation] == ["system", "user", "assistant", "user"]
    assert "Search results" not in str(conversation[1])
    assert conversation[2]["content"] == text


async def limited(conn: Conn) -> None:
    body = json.dumps({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}).encode()
    await conn.respond(429, body, {"content-type": "application/json"})


async def cut(conn: Conn) -> None:
    await start_stream(conn)
    await conn.event(text_chunk("Half"))
    conn.close()


async def test_failures_are_told_and_the_response_ends(python: Path, models: Models) -> None:
    async with (
        Upstream(cut) as upstream,
        gateway_to(upstream.base_url) as gateway,
        search_agent(python, gateway.address) as client,
    ):
        interrupted = await assist(client, "Seasons?")
        upstream.script = limited
        refused = await assist(client, "Seasons?")
    async with search_agent(python, gateway.address) as client:
        unreachable = await assist(client, "Seasons?")

    for body, status, texts in (
        (interrupted, 503, ["Half"]),
        (refused, 429, []),
        (unreachable, 503, []),
    ):
        answer = read_framework(body)
        assert answer.texts() == texts
        (error,) = answer.errors
        assert error["error_code"] == status
        assert error["details"]["partial"] is bool(texts)
        told, done = models.read(body)[-2:]
        assert told["content"] == error
        assert done["content_type"] == "atomic.done"


async def test_answers_at_the_same_time_do_not_mix(python: Path) -> None:
    async def echo(conn: Conn) -> None:
        (number,) = re.findall(r"Prompt: (\d+)", str(conn.received.json()["messages"][-1]))
        await stream_text([number, "-"] * 50, delay=0.001)(conn)

    async with (
        Upstream(echo) as upstream,
        gateway_to(upstream.base_url) as gateway,
        search_agent(python, gateway.address) as client,
    ):
        bodies = await asyncio.gather(
            *(assist(client, str(number), f"01J{number:023}") for number in range(20))
        )
    for number, body in enumerate(bodies):
        assert read_framework(body).texts() == [f"{number}-" * 50]


NASTY = st.sampled_from('\x00\x1f\x7f\x85\u2028\u2029\ufeff\uffff\r\n"\\/ \U0001f600')
TEXTS = st.text(NASTY | st.characters(exclude_categories=["Cs"]), max_size=8)
ROUTES = st.builds(Route, provider=TEXTS, provider_model=TEXTS)
DELTAS = st.one_of(
    st.builds(pb.Delta, text=TEXTS, part_index=st.integers(0, 2)),
    st.builds(pb.Delta, reasoning=TEXTS, part_index=st.integers(3, 4)),
    st.builds(
        pb.Delta,
        tool_call=st.builds(pb.ToolCallDelta, tool_call_id=TEXTS, arguments_json=TEXTS),
        part_index=st.integers(5, 6),
    ),
)
RECOVERIES = st.builds(
    pb.Recovery,
    kind=st.sampled_from([pb.RECOVERY_KIND_CONTINUED, pb.RECOVERY_KIND_RESTARTED]),
    route=ROUTES,
)
MESSAGES = st.builds(
    pb.GenerateStreamResponse,
    deltas=st.lists(DELTAS, max_size=4),
    recovery=st.none() | RECOVERIES,
    usage=st.none() | st.builds(Usage, output_token_count=st.integers(0, 99)),
)
FAILURES = st.builds(
    Failure,
    code=st.sampled_from([code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]),
    message=TEXTS,
    reason=TEXTS,
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=2),
)
START = pb.GenerateStreamResponse(start=pb.StreamStart(response_id=ID, model="demo/small"))
FINISH = pb.GenerateStreamResponse(finish=pb.Finish(reason=pb.FINISH_REASON_STOP))
ANSWERS = st.tuples(st.lists(MESSAGES, max_size=6), st.none() | FAILURES)


@given(answer=ANSWERS, source=TEXTS)
def test_the_frameworks_models_read_our_events(
    answer: tuple[list[pb.GenerateStreamResponse], Failure | None], source: str, models: Models
) -> None:
    messages, failure = answer
    stream = EventStream(source=source)
    body = b"".join(stream.feed(message) for message in (START, *messages))
    if failure is None:
        body += stream.feed(FINISH) + stream.finish()
    else:
        body += stream.fail(error_for(failure))
    # What the models hold is what we wrote.
    assert models.read(body) == [event.data for event in read_frames(body) if event.data]
    assert len(read_answer([body], FOREVER).errors) == (failure is not None)
