"""One answer on its way: from the first connect to the finish."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from llmgateway_server.domain.answer import Finish, Route, Usage
from llmgateway_server.domain.coalesce import content_size
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import (
    ProviderEvent,
    StreamEvent,
    StreamStart,
)
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.ulid import new_ulid
from llmgateway_server.gateway.accounts import Accounts, input_bytes
from llmgateway_server.gateway.alarm import Alarm
from llmgateway_server.gateway.visible import VisibleEvents
from llmgateway_server.ports.provider import Provider, ProviderStream
from llmgateway_server.routing.fitting import fit
from llmgateway_server.routing.routes import Resolution

# Faults of a provider become STREAM_INTERRUPTED once content was delivered: a caller can then
# only start over. What the caller itself can mend keeps its name.
_KEEPS_ITS_NAME = frozenset(
    {
        Reason.CONTENT_BLOCKED,
        Reason.CONTEXT_LENGTH_EXCEEDED,
        Reason.DEADLINE_EXCEEDED,
        Reason.INTERNAL,
    }
)


class Generation:
    """A call's answer, pulled by the one task that serves the call.

    `read` gives what became available since the last read, and applies the timers of the route;
    nothing is read ahead, so a reader that is slow slows the provider down.
    """

    def __init__(
        self,
        request: GenerationRequest,
        resolution: Resolution,
        provider: Provider,
        deadline: float,
        accounts: Accounts,
    ) -> None:
        self.response_id = new_ulid()
        self.route = Route(resolution.target.provider, resolution.target.model, attempt_count=0)
        self._request = request
        self._resolution = resolution
        self._provider = provider
        self._deadline = deadline
        self._accounts = accounts
        self.dropped: tuple[str, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._alarm = Alarm()
        self._stream: ProviderStream | None = None
        self._delivered = False
        self._content_due = 0.0
        self._output_bytes = 0
        self._is_settled = False
        self._visible = VisibleEvents() if not request.output.include_reasoning else None

    async def read(self) -> Sequence[StreamEvent]:
        """The next events: StreamStart first of all, Finish last of all.

        Start-up frames are held back until the first content, so that nothing is delivered of an
        attempt that fails before it.

        Raises:
            GatewayError: the call failed; it carries what is known of the answer so far.
        """
        try:
            stream = self._stream
            if stream is None:
                return await self._begin()
            loop, timers = self._loop, self._resolution.timers
            now = loop.time()
            # Both idle timers start anew with each call: time in which the reader kept us waiting
            # is not the provider's.
            self._content_due = min(now + timers.idle_content, self._deadline)
            while True:
                with self._alarm.at(min(now + timers.idle_bytes, self._content_due)):
                    batch = await stream.read()
                if batch:
                    events = self._seen(batch)
                    if events:
                        return events
                    self._content_due = min(loop.time() + timers.idle_content, self._deadline)
                now = loop.time()
        except GatewayError as error:
            raise self._described(error) from None
        except TimeoutError:
            raise self._described(self._too_late()) from None

    def close(self) -> None:
        """Gives everything back at once; an unfinished upstream is cut off."""
        self._alarm.close()
        if self._stream is not None:
            self._stream.close()
            if not self._is_settled:
                self._is_settled = True
                self._accounts.wasted(self._resolution.target, self._burnt(self._stream))

    async def _begin(self) -> Sequence[StreamEvent]:
        timers, target = self._resolution.timers, self._resolution.target
        due = min(self._began + timers.first_content, self._deadline)
        self.route = replace(self.route, attempt_count=1)
        capabilities = self._provider.capabilities(target.model)
        fitted = fit(self._request, capabilities, self._resolution.unsupported)
        self.dropped = fitted.dropped
        with self._alarm.at(due):
            stream = await self._provider.open(fitted.request, target.model, timers)
        self._stream = stream
        events: Sequence[StreamEvent] = ()
        while not events:
            with self._alarm.at(due):
                batch = await stream.read()
            if batch:
                events = self._seen(batch)
                # Reasoning that nobody asked to see is progress all the same.
                due = min(self._loop.time() + timers.idle_content, self._deadline)
        self._delivered = True
        self.route = replace(
            self.route,
            provider_request_id=stream.request_id,
            time_to_first_token=self._loop.time() - self._began,
        )
        return [StreamStart(self.response_id, target.name, self.route), *events]

    def _too_late(self) -> GatewayError:
        if self._loop.time() >= self._deadline:
            return GatewayError(
                Reason.DEADLINE_EXCEEDED, "the call's deadline passed before the answer ended"
            )
        awaited = "first content"
        if self._delivered:
            awaited = "content" if self._loop.time() >= self._content_due else "bytes"
        return GatewayError(
            Reason.PROVIDER_TIMEOUT,
            f"{self._resolution.target.name} sent no {awaited} in time",
            attempt=self._attempt(),
        )

    def _seen(self, events: Sequence[ProviderEvent]) -> Sequence[StreamEvent]:
        for event in events:
            self._output_bytes += content_size(event)
        last = events[-1]
        if isinstance(last, Finish):
            return self._finished(events[:-1], last)
        return events if self._visible is None else self._visible.filter(events)

    def _finished(self, events: Sequence[ProviderEvent], finish: Finish) -> Sequence[StreamEvent]:
        """The last batch, with what the answer cost."""
        target = self._resolution.target
        content: Sequence[ProviderEvent] = [e for e in events if not isinstance(e, Usage)]
        reported = next((event for event in events if isinstance(event, Usage)), None)
        if reported is not None:
            usage = self._accounts.priced(target, reported)
        else:
            usage = self._accounts.estimated(target, input_bytes(self._request), self._output_bytes)
        self._is_settled = True
        self._accounts.answered(target, usage)
        if self._visible is not None:
            content = self._visible.filter(content)
        duration = self._loop.time() - self._began
        return [*content, usage, replace(finish, total_duration=duration)]

    def _burnt(self, stream: ProviderStream) -> Usage:
        """What an answer that does not reach its end has used: as reported, or estimated."""
        target, reported = self._resolution.target, stream.usage
        if reported is not None:
            return self._accounts.priced(target, reported)
        return self._accounts.estimated(target, input_bytes(self._request), self._output_bytes)

    def _attempt(self) -> AttemptFailure:
        target = self._resolution.target
        request_id = self._stream.request_id if self._stream else ""
        return AttemptFailure(target.provider, target.model, provider_request_id=request_id)

    def _described(self, error: GatewayError) -> GatewayError:
        """The error as the caller shall see it, with what is known of the answer so far."""
        if self._delivered and error.reason not in _KEEPS_ITS_NAME:
            cause = error
            error = GatewayError(
                Reason.STREAM_INTERRUPTED,
                f"the answer broke off: {cause.message}",
                metadata=(*cause.metadata, ("cause", cause.reason.value)),
            )
            error.attempts = cause.attempts
        else:
            error = self._resolution.blamed(error)
        error.response_id = self.response_id
        error.partial_output_sent = self._delivered
        error.usage = self._burnt(self._stream) if self._stream is not None else None
        return error
