"""An answer's way through the bridge, with a call and a reader in the test's hands."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway._errors import Failure, UnavailableError
from llmgateway.sentient.answer import Answer
from llmgateway.sentient.events import EventStream
from llmgateway.v1.generation_service_pb2 import GenerateStreamResponse
from support.scripted_gateway import FINISH, HEARTBEAT, START, text
from support.sentient_wire import Answer as Read
from support.sentient_wire import read_answer

STOPPING = UnavailableError(Failure(code=grpc.StatusCode.UNAVAILABLE, message="stopping"))


class Call:
    """What grpc.aio's call is to the bridge: an iterator of messages that can be cancelled."""

    def __init__(
        self, *messages: GenerateStreamResponse, then: BaseException | None = None
    ) -> None:
        self._messages = list(messages)
        self._then = then
        self.read = 0
        self.is_cancelled = False
        self.waits = asyncio.Event()
        self._cancelled = asyncio.Event()

    def cancel(self) -> bool:
        self.is_cancelled = True
        self._cancelled.set()
        return True

    async def __aiter__(self) -> AsyncIterator[GenerateStreamResponse]:
        for message in self._messages:
            if self.is_cancelled:
                raise asyncio.CancelledError
            self.read += 1
            yield message
        if isinstance(self._then, Hang):
            self.waits.set()
            await self._cancelled.wait()
            raise asyncio.CancelledError
        if self._then is not None:
            raise self._then


class Hang(Exception):  # noqa: N818 - not raised
    """Instead of an end: messages that may still come."""


class Reader:
    """An ASGI server and the client behind it."""

    def __init__(self, *, takes: int = 1_000_000) -> None:
        self.sent: list[dict[str, Any]] = []
        self.is_stuck = asyncio.Event()
        self.gone = asyncio.Event()
        self._takes = takes

    async def send(self, message: Any) -> None:
        if len(self.sent) == self._takes:
            self.is_stuck.set()
            await self.gone.wait()
        self.sent.append(message)

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.sent[1:]]

    def read(self) -> Read:
        """All that came, which has to be whole."""
        assert self.sent[0]["status"] == 200
        assert [message["more_body"] for message in self.sent[1:]].index(False) == len(
            self.bodies
        ) - 1
        return read_answer(self.bodies, time.time_ns() // 1_000_000)


def answer_of(call: Call) -> Answer:
    return Answer(cast("Any", call), EventStream(source="me"))


async def run(call: Call, reader: Reader) -> None:
    await answer_of(call).run(reader.receive, reader.send)


def failed(code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "it failed")


async def test_each_message_is_one_send_and_the_end_is_the_last() -> None:
    call, reader = Call(START, text("a", "b"), HEARTBEAT, text("c"), FINISH), Reader()
    await run(call, reader)
    assert [body.count(b"event: ") for body in reader.bodies] == [1, 0, 1, 3, 1]
    assert reader.read().texts() == ["abc"]
    assert call.is_cancelled


async def test_the_next_message_is_read_when_the_one_before_was_taken() -> None:
    # The reader takes the headers and one text; the second text is in its send.
    call = Call(START, *[text("x")] * 100, FINISH)
    reader = Reader(takes=2)
    running = asyncio.create_task(run(call, reader))
    await reader.is_stuck.wait()
    for _ in range(50):
        await asyncio.sleep(0)
    assert call.read == 3
    reader.gone.set()
    await running


async def test_a_reader_that_goes_away_ends_the_call() -> None:
    call, reader = Call(START, text("a"), then=Hang()), Reader()
    running = asyncio.create_task(run(call, reader))
    await call.waits.wait()
    assert reader.bodies
    reader.gone.set()
    await running
    assert call.is_cancelled
    assert b"event: error" not in b"".join(reader.bodies)


async def test_a_server_that_stops_says_so_to_the_reader() -> None:
    call, reader = Call(START, text("a"), then=Hang()), Reader()
    answer = answer_of(call)
    running = asyncio.create_task(answer.run(reader.receive, reader.send))
    await call.waits.wait()
    answer.end(STOPPING)
    await running
    read = reader.read()
    assert read.texts() == ["a"]
    assert [error["error_message"] for error in read.errors] == ["stopping"]


async def test_a_cancelled_task_stays_cancelled_and_ends_the_call() -> None:
    call, reader = Call(START, then=Hang()), Reader()
    running = asyncio.create_task(run(call, reader))
    await call.waits.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert call.is_cancelled


async def test_a_bug_is_an_event_and_logged_without_what_was_typed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call, reader = Call(START, text("a"), then=ValueError("canary")), Reader()
    with caplog.at_level(logging.DEBUG):
        await run(call, reader)
    read = reader.read()
    assert [error["error_code"] for error in read.errors] == [500]
    assert "ValueError" in caplog.text
    assert "canary" not in caplog.text + str(read.errors)


MESSAGES = st.lists(st.sampled_from([text("a"), text("b", "c"), HEARTBEAT]), max_size=8)
ENDS = st.sampled_from([FINISH, None, failed(), KeyError("bug"), STOPPING])


@given(messages=MESSAGES, end=ENDS, starts=st.booleans())
def test_whatever_happens_a_strict_reader_gets_a_whole_answer(
    messages: list[GenerateStreamResponse], end: Any, *, starts: bool
) -> None:
    async def scenario() -> Read:
        head = [START] if starts else []
        tail = [FINISH] if end is FINISH else []
        then = Hang() if end is STOPPING else end if isinstance(end, Exception) else None
        call, reader = Call(*head, *messages, *tail, then=then), Reader()
        answer = answer_of(call)
        running = asyncio.create_task(answer.run(reader.receive, reader.send))
        if end is STOPPING:
            await call.waits.wait()
            answer.end(STOPPING)
        await running
        return reader.read()

    read = asyncio.run(scenario())
    texts = "".join("".join(delta.text for delta in message.deltas) for message in messages)
    assert read.texts() == ([texts] if texts else [])
    assert len(read.errors) == (0 if end is FINISH else 1)
