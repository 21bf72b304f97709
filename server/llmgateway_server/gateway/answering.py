"""What the gateway gives to the one who serves a call: an answer to be read, and then closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from llmgateway_server.admission.gate import Slot
from llmgateway_server.cache.entry import replay
from llmgateway_server.domain.answer import Answer, CacheStatus, Route
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.events import StreamEvent, StreamStart
from llmgateway_server.domain.ulid import new_ulid
from llmgateway_server.ports.clock import Clock


class Source(Protocol):
    """Where the events of an answer come from."""

    @property
    def response_id(self) -> str:
        """The answer's ULID."""

    @property
    def route(self) -> Route:
        """How far the call came."""

    @property
    def dropped(self) -> tuple[str, ...]:
        """The request's fields that the model could not take."""

    @property
    def failures(self) -> tuple[GatewayError, ...]:
        """The failed attempts, in their order."""

    async def read(self) -> Sequence[StreamEvent]:
        """The next events: StreamStart first of all, Finish last of all."""

    def close(self) -> None:
        """Gives everything back at once; harmless to call again."""


class Answering:
    """A call's answer with its place in the gateway; read by one task, and closed by it."""

    def __init__(self, source: Source, slot: Slot) -> None:
        # Not a method that calls it: it is one more frame to resume for every chunk.
        self.read = source.read
        self._source = source
        self._slot = slot

    @property
    def response_id(self) -> str:
        """The answer's ULID."""
        return self._source.response_id

    @property
    def route(self) -> Route:
        """How far the call came."""
        return self._source.route

    @property
    def dropped(self) -> tuple[str, ...]:
        """The request's fields that the model could not take."""
        return self._source.dropped

    @property
    def failures(self) -> tuple[GatewayError, ...]:
        """How the attempts failed that did."""
        return self._source.failures

    def close(self) -> None:
        """Gives everything back at once; an unfinished upstream is cut off."""
        try:
            self._source.close()
        finally:
            self._slot.leave(went_well=not self._source.failures)


class Replay:
    """An answer from the response cache."""

    failures: tuple[GatewayError, ...] = ()

    def __init__(
        self,
        answer: Answer,
        clock: Clock,
        began: float,
        *,
        queued: float,
        dropped: tuple[str, ...],
    ) -> None:
        self.dropped = dropped
        self.response_id = new_ulid()
        self.route = replace(
            answer.route,
            attempt_count=0,
            cache_status=CacheStatus.HIT,
            provider_request_id="",
            gateway_queue_duration=queued,
            time_to_first_token=clock.time() - began,
        )
        self._answer = answer
        self._clock = clock
        self._began = began

    async def read(self) -> Sequence[StreamEvent]:
        """The whole answer."""
        duration = self._clock.time() - self._began
        events = replay(self._answer, response_id=self.response_id, total_duration=duration)
        start = StreamStart(self.response_id, self._answer.model, self.route)
        return [start, *events[1:]]

    def close(self) -> None:
        """Nothing is held."""
