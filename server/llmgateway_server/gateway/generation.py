"""One answer on its way: from the first connect to the finish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from llmgateway_server.domain.answer import CacheStatus, Finish, Route, Usage
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent, StreamEvent, StreamStart
from llmgateway_server.domain.request import GenerationRequest, RecoveryMode
from llmgateway_server.domain.ulid import new_ulid
from llmgateway_server.gateway.asking import Asking
from llmgateway_server.gateway.attempt import Attempt
from llmgateway_server.gateway.resuming import Resuming
from llmgateway_server.gateway.verdict import with_all_attempts
from llmgateway_server.ports.clock import Clock
from llmgateway_server.recovery.delivered import Delivered
from llmgateway_server.resilience.failure import FailureClass, class_of
from llmgateway_server.routing.route_state import RouteState
from llmgateway_server.routing.routes import Resolution

# Faults of a provider become STREAM_INTERRUPTED once content was delivered: a caller can then
# only start over. What the caller itself can mend keeps its name.
_KEEPS_ITS_NAME: Final = frozenset(
    {
        Reason.CONTENT_BLOCKED,
        Reason.CONTEXT_LENGTH_EXCEEDED,
        Reason.DEADLINE_EXCEEDED,
        Reason.INTERNAL,
    }
)


class Generation:
    """A call's answer, pulled by the one task that serves the call.

    `read` gives what became available since the last read, and applies the timers of the target;
    nothing is read ahead, so a reader that is slow slows the provider down. What fails before the
    first content is tried elsewhere, and what fails after it goes on elsewhere where `recovery`
    allows it.
    """

    def __init__(
        self,
        request: GenerationRequest,
        resolution: Resolution,
        asking: Asking,
        *,
        recovery: RecoveryMode,
        route_state: RouteState,
        clock: Clock,
        cache_status: CacheStatus = CacheStatus.BYPASS,
        queued: float = 0.0,
    ) -> None:
        self.response_id = new_ulid()
        first = resolution.places[0].target
        self.route = Route(
            first.provider,
            first.model,
            attempt_count=0,
            cache_status=cache_status,
            gateway_queue_duration=queued,
        )
        self.dropped: tuple[str, ...] = ()
        self._request = request
        self._resolution = resolution
        self._asking = asking
        self._attempts = asking.attempts
        self._recovery = recovery
        self._route_state = route_state
        self._clock = clock
        self._began = clock.time()
        self._alarm = asking.alarm
        self._attempt: Attempt | None = None
        self._delivered = Delivered()

    @property
    def failures(self) -> tuple[GatewayError, ...]:
        """How the attempts failed that did, in their order."""
        return tuple(self._attempts.failures)

    async def read(self) -> Sequence[StreamEvent]:
        """The next events: StreamStart first of all, Finish last of all.

        Start-up frames are held back until the first content, so that nothing is delivered of an
        attempt that fails before it.

        Raises:
            GatewayError: the call failed; it carries what is known of the answer so far.
        """
        attempt = self._attempt
        if attempt is None or attempt.stream is None:
            return await self._begin()
        stream, clock = attempt.stream, self._clock
        # Both idle timers start anew with each call: time in which the reader kept us waiting
        # is not the provider's.
        now = clock.time()
        due, content_due = now + attempt.idle, now + attempt.timers.idle_content
        try:
            while True:
                with self._alarm.at(due):
                    batch = await stream.read()
                if batch:
                    events = attempt.seen(batch)
                    if type(batch[-1]) is Finish:
                        return self._finished(attempt, events)
                    if events:
                        self._delivered.add(events)
                        return events
                    content_due = clock.time() + attempt.timers.idle_content
                due = min(clock.time() + attempt.timers.idle_bytes, content_due)
        except GatewayError as error:
            failure = error
        except TimeoutError:
            failure = attempt.late("content" if clock.time() >= content_due else "bytes")
        return await self._recovered(attempt, failure)

    def extend(self, deadline: float) -> None:
        """Gives the call more time, where another reader of the same answer has more."""
        mine = self._attempts.deadline
        mine.when = max(mine.when, deadline)

    def close(self) -> None:
        """Gives everything back at once; an unfinished upstream is cut off."""
        self._alarm.close()
        if self._attempt is not None:
            self._attempt.close()

    async def _begin(self) -> Sequence[StreamEvent]:
        try:
            attempt, events = await self._attempts.first(self._asking.ask)
        except GatewayError as error:
            self._asking.told(error)
            raise self._described(error) from None
        finally:
            self.route = replace(self.route, attempt_count=self._attempts.count)
        self._take_over(attempt)
        start = StreamStart(self.response_id, attempt.prospect.name, self.route)
        return [start, *self._passed_on(attempt, events)]

    async def _recovered(self, failed: Attempt, failure: GatewayError) -> Sequence[StreamEvent]:
        """Goes on after a failure in the middle of the answer.

        Raises:
            GatewayError: it cannot go on; the first failure is the one that is told.
        """
        self._attempts.failed(failed.prospect, failed.lease, failure)
        self._asking.burn(failed)
        failed.close()
        resuming = Resuming(
            self._asking,
            self._request,
            mode=self._recovery,
            delivered=self._delivered,
            failed=failed,
        )
        if class_of(failure) is FailureClass.NOBODYS or self._recovery is RecoveryMode.NONE:
            raise self._described(with_all_attempts(failure, self.failures))
        try:
            attempt, kind, events = await self._attempts.again(
                failed.prospect, failure, resuming.ask, resuming.can_help
            )
        except GatewayError as last:
            raise self._described(_told(failure, last, self.failures)) from None
        finally:
            self.route = replace(self.route, attempt_count=self._attempts.count)
        self._take_over(attempt)
        recovery = resuming.recovery(kind, self.route, failure)
        return [recovery, *self._passed_on(attempt, events)]

    def _take_over(self, attempt: Attempt) -> None:
        """The attempt is the answer from here on."""
        self._attempt = attempt
        self.dropped = attempt.prospect.fitted.dropped
        target = attempt.prospect.place.target
        took = self.route.time_to_first_token or self._clock.time() - self._began
        self.route = replace(
            self.route,
            provider=target.provider,
            provider_model=target.model,
            attempt_count=self._attempts.count,
            provider_request_id=attempt.request_id,
            time_to_first_token=took,
        )

    def _passed_on(
        self, attempt: Attempt, events: Sequence[ProviderEvent]
    ) -> Sequence[StreamEvent]:
        if events and isinstance(events[-1], Finish):
            return self._finished(attempt, events)
        self._delivered.add(events)
        return events

    def _finished(self, attempt: Attempt, events: Sequence[ProviderEvent]) -> list[StreamEvent]:
        """The last batch, with what the answer cost."""
        content: list[StreamEvent] = []
        reported: Usage | None = None
        finish: list[StreamEvent] = []
        duration = self._clock.time() - self._began
        for event in events:
            if isinstance(event, Usage):
                reported = event
            elif isinstance(event, Finish):
                finish.append(replace(event, total_duration=duration))
            else:
                content.append(event)
        usage = attempt.answered(reported)
        self._attempts.succeeded()
        self._route_state.answered(usage.output_token_count)
        return [*content, self._asking.total(usage), *finish]

    def _described(self, error: GatewayError) -> GatewayError:
        """The error as the caller shall see it, with what is known of the answer so far."""
        delivered = self._delivered.has_content
        if delivered and error.reason not in _KEEPS_ITS_NAME:
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
        error.partial_output_sent = delivered
        error.usage = self._asking.burnt
        return error


def _told(
    failure: GatewayError, last: GatewayError, failures: Sequence[GatewayError]
) -> GatewayError:
    """The first failure, which nothing that was tried after it may hide; a deadline may."""
    told = last if last.reason is Reason.DEADLINE_EXCEEDED else failure
    return with_all_attempts(told, failures)
