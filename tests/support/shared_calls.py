"""Shared calls over scripted sources, and what must hold after each test of them."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from llmgateway_server.cache.flights import Flights, Reader
from llmgateway_server.domain.answer import Answer, Finish
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.events import StreamEvent
from support.shared_source import SharedSource
from support.virtual_time import run_virtual


class Shared:
    """Flights over scripted sources, and the readers that a test has opened."""

    def __init__(self) -> None:
        self.loop_errors: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.loop_errors.append(context))
        self.flights = Flights(loop)
        self.sources: list[SharedSource] = []
        self.answers: list[Answer] = []

    def join(self, key: bytes = b"k", deadline: float = 100.0) -> Reader:
        return self.flights.join(key, deadline, self._start, self.answers.append)

    @property
    def source(self) -> SharedSource:
        return self.sources[-1]

    async def leading(self) -> Reader:
        """A leader whose call has begun."""
        reader = self.join()
        await settle()
        return reader

    def _start(self, deadline: float) -> SharedSource:
        self.sources.append(SharedSource(deadline))
        return self.sources[-1]


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def rest(reader: Reader) -> list[StreamEvent]:
    """Everything to the end."""
    events: list[StreamEvent] = []
    while not events or not isinstance(events[-1], Finish):
        events += await reader.read()
    return events


async def failing(reader: Reader) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await rest(reader)
    return caught.value


def scenario(body: Callable[[Shared], Coroutine[Any, Any, None]]) -> None:
    """Runs a test's body; in the end nothing may be left, and nothing logged."""

    async def main() -> None:
        shared = Shared()
        await body(shared)
        await settle()
        assert len(shared.flights) == 0
        assert [len(source.closed_by) for source in shared.sources] == [1] * len(shared.sources)
        assert all(source.closed_by == [source.made_by] for source in shared.sources)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        # Sources remember their tasks; one that failed unheard would be logged once it is gone.
        shared.sources.clear()
        gc.collect()
        assert shared.loop_errors == []

    run_virtual(main())
