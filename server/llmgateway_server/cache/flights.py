"""Identical calls in flight share one upstream call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from llmgateway_server.cache.flight import Flight, Source
from llmgateway_server.cache.reader import Reader
from llmgateway_server.domain.answer import Answer
from llmgateway_server.ports.clock import Clock

__all__ = ["Flights", "Reader", "Source"]


class Flights:
    """The shared calls of one event loop; `len` counts those whose upstream is not closed yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._joinable: dict[bytes, Flight] = {}
        self._all: set[Flight] = set()

    def __len__(self) -> int:
        return len(self._all)

    def join(
        self,
        key: bytes,
        deadline: float,
        start: Callable[[float], Source],
        finished: Callable[[Answer], None] | None = None,
    ) -> Reader:
        """A reader of the call under the key, which is started where there is none.

        Args:
            key: What makes calls identical; with it the caller answers for tenant and recovery.
            deadline: Loop time at which this reader gives up. The call upstream goes on until the
                latest of its readers' deadlines.
            start: Makes the call, with its deadline so far; called in the task that reads it.
            finished: Called in that task with a whole answer, unless that has become too large to
                be kept (`JOINABLE`). Those of readers that join are not looked at.
        """
        flight = self._joinable.get(key)
        if flight is not None:
            return Reader(flight, deadline, self._clock, is_leader=False)

        def unlist() -> None:
            # By then the key may lead to the next flight.
            if self._joinable.get(key) is flight:
                del self._joinable[key]

        flight = Flight(deadline, start, finished, unlist)
        self._joinable[key] = flight
        self._all.add(flight)
        flight.task.add_done_callback(lambda _: self._all.discard(flight))
        return Reader(flight, deadline, self._clock, is_leader=True)

    async def shutdown(self) -> None:
        """Ends the calls that are left, and waits until they have given everything back."""
        left = list(self._all)
        for flight in left:
            flight.cancel()
        await asyncio.gather(*(flight.task for flight in left), return_exceptions=True)
