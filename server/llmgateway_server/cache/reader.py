"""One call's view of an answer that it may share with others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from llmgateway_server.cache.flight import Flight
from llmgateway_server.domain.answer import CacheStatus, Route, Usage
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import (
    ReasoningDelta,
    Recovery,
    RecoveryKind,
    SignatureDelta,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.domain.ulid import new_ulid
from llmgateway_server.ports.clock import Clock

_NOBODY_YET = Route("", "", attempt_count=0)
# The call upstream is due at the moment of its last reader, and knows more: it speaks first.
_FOR_THE_SOURCE = 0.05


class Reader:
    """A whole answer for one call, read by one task and closed in a `finally`.

    `is_leader`: this call started the one upstream. `position` and `consumed` are the flight's.
    """

    def __init__(self, flight: Flight, deadline: float, clock: Clock, *, is_leader: bool) -> None:
        self.is_leader = is_leader
        self.response_id = new_ulid()
        self.position = 0
        self.consumed = 0
        self._flight = flight
        self._deadline = deadline
        self._clock = clock
        self._has_started = False
        self._has_content = False
        self._is_late = False
        self._is_closed = False
        self._news: asyncio.Future[None] | None = None
        flight.join(self, deadline)
        # One timer for all of its waiting.
        self._timer = clock.call_at(deadline, self._ring)

    @property
    def route(self) -> Route:
        """Who answers; without names until the call upstream has begun."""
        source = self._flight.source
        return self._own_route(source.route if source is not None else _NOBODY_YET)

    @property
    def dropped(self) -> tuple[str, ...]:
        """The fields of the request that the model could not take."""
        source = self._flight.source
        return source.dropped if source is not None else ()

    @property
    def failures(self) -> tuple[GatewayError, ...]:
        """The errors of upstream attempts, in order."""
        source = self._flight.source
        return source.failures if source is not None else ()

    async def read(self) -> Sequence[StreamEvent]:
        """Everything since the last read: StreamStart first of all, Finish last of all.

        Empty after that.

        Raises:
            GatewayError: the call upstream failed, or this reader's deadline has passed.
            Exception: the bug that ended the call upstream.
        """
        flight = self._flight
        while True:
            if self._is_closed:
                raise RuntimeError("a closed reader cannot be read")
            if self._is_late and not flight.has_ended:
                raise self._too_late()
            events = self._unread()
            if events:
                return events
            if isinstance(flight.failure, GatewayError):
                raise self._own_error(flight.failure) from None
            if flight.failure is not None:
                raise flight.failure
            if flight.has_ended:
                return ()
            self._news = asyncio.get_running_loop().create_future()
            try:
                await self._news
            finally:
                self._news = None

    def close(self) -> None:
        """Leaves the others alone; the call upstream ends with its last reader."""
        if not self._is_closed:
            self._is_closed = True
            self._timer.cancel()
            self._flight.leave(self)
            self.wake()

    def wake(self) -> None:
        """Lets a `read` that waits look again."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _ring(self) -> None:
        patience = self._deadline + _FOR_THE_SOURCE
        if self._flight.deadline <= self._deadline and self._clock.time() < patience:
            self._timer = self._clock.call_at(patience, self._ring)
            return
        self._is_late = True
        self.wake()

    def _unread(self) -> Sequence[StreamEvent]:
        flight, log = self._flight, self._flight.log
        first = flight.first
        if first is None or (self._has_started and self.position == log.end):
            return ()
        events = log.after(self.position)
        flight.caught_up(self)
        if not self._has_started:
            self._has_started = True
            events = self._from_the_start(first, events)
        events = [
            event if type(event) is TextDelta else self._own_event(event) for event in merge(events)
        ]
        if not self._has_content:
            self._has_content = any(map(_is_content, events))
        return events

    def _from_the_start(
        self, first: StreamStart, events: Sequence[StreamEvent]
    ) -> Sequence[StreamEvent]:
        """For someone who has seen nothing, an answer that was begun anew simply begins."""
        head = events[0] if events else None
        if isinstance(head, Recovery) and head.kind is RecoveryKind.RESTARTED:
            return [replace(first, route=head.route), *events[1:]]
        return [first, *events]

    def _own_event(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, StreamStart):
            return StreamStart(self.response_id, event.model, self._own_route(event.route))
        if isinstance(event, Recovery):
            return replace(event, route=self._own_route(event.route))
        if isinstance(event, Usage):
            return self._own_usage(event)
        return event

    def _own_route(self, route: Route) -> Route:
        status = CacheStatus.MISS if self.is_leader else CacheStatus.SHARED
        return replace(route, cache_status=status)

    def _own_usage(self, usage: Usage) -> Usage:
        """One call pays for all; a cost that nobody knows stays unknown."""
        if usage.cost_nano_usd is None or self._flight.is_paid_by(self):
            return usage
        return replace(usage, cost_nano_usd=0)

    def _own_error(self, error: GatewayError) -> GatewayError:
        """A copy, since whoever handles an error may change it."""
        own = GatewayError(error.reason, error.message)
        vars(own).update(vars(error))
        own.response_id = self.response_id
        own.partial_output_sent = self._has_content
        own.usage = self._own_usage(error.usage) if error.usage is not None else None
        return own

    def _too_late(self) -> GatewayError:
        message = "the call's deadline passed before the answer ended"
        return self._own_error(GatewayError(Reason.DEADLINE_EXCEEDED, message))


def _is_content(event: StreamEvent) -> bool:
    return isinstance(event, TextDelta | ReasoningDelta | SignatureDelta | ToolCallDelta)
