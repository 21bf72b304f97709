"""One attempt upstream: from its place at a target to the last event that it gave."""

from __future__ import annotations

from collections.abc import Sequence

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.coalesce import content_size
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent, TextDelta
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.size import input_bytes
from llmgateway_server.gateway.accounts import Accounts
from llmgateway_server.gateway.alarm import Alarm, Deadline
from llmgateway_server.gateway.turns import Turn
from llmgateway_server.gateway.visible import VisibleEvents
from llmgateway_server.ports.clock import Clock
from llmgateway_server.ports.provider import ProviderStream
from llmgateway_server.recovery.continuation import Seam
from llmgateway_server.resilience.failure import FirstContentTimeoutError
from llmgateway_server.routing.target_state import Lease


class Attempt:
    """A request at one target. `request` is what the target is asked, fitted to it.

    It has to end by `answered`, `failed` elsewhere, or `close`, each of which may come again.
    """

    def __init__(
        self,
        turn: Turn,
        lease: Lease,
        request: GenerationRequest,
        *,
        accounts: Accounts,
        clock: Clock,
        deadline: Deadline,
    ) -> None:
        self.prospect = turn.prospect
        self.lease = lease
        self.timers = timers = turn.prospect.place.timers
        self.idle = min(timers.idle_bytes, timers.idle_content)
        self.stream: ProviderStream | None = None
        self.time_to_first_token = 0.0
        self._fresh = turn.fresh
        self._request = request
        self._accounts = accounts
        self._clock = clock
        self._deadline = deadline
        self._visible = None if request.output.include_reasoning else VisibleEvents()
        self._seam: Seam | None = None
        self._output_bytes = 0
        self._is_settled = False

    @property
    def request_id(self) -> str:
        """The provider's id of the request; empty where it gave none."""
        return self.stream.request_id if self.stream is not None else ""

    async def begin(
        self, alarm: Alarm, *, within: float, slow_after: float
    ) -> Sequence[ProviderEvent]:
        """Asks, and returns the first content that the caller may see.

        Args:
            alarm: of the task that awaits this.
            within: seconds to the first content, shown or hidden.
            slow_after: seconds after which an answer counts as slow.

        Raises:
            GatewayError: the attempt failed, or was too late.
        """
        clock, target = self._clock, self.prospect.place.target
        due = clock.time() + within
        came = False
        events: Sequence[ProviderEvent] = ()
        try:
            with alarm.at(due):
                stream = await self.prospect.state.provider.open(
                    self._request, target.model, self.timers, fresh=self._fresh
                )
            self.stream = stream
            while not events:
                with alarm.at(due):
                    batch = await stream.read()
                if batch:
                    now = clock.time()
                    if not came:
                        came = True
                        took = self.lease.first_content(now, slow_after=slow_after)
                        self.time_to_first_token = took
                    events = self.seen(batch)
                    # Reasoning that nobody asked to see is progress all the same.
                    due = now + self.timers.idle_content
        except TimeoutError:
            raise self._too_late(came=came) from None
        return events

    def join(self, seam: Seam) -> None:
        """Continues an answer: the first text is joined to what was delivered."""
        self._seam = seam

    def seen(self, batch: Sequence[ProviderEvent]) -> Sequence[ProviderEvent]:
        """What the caller may see of a batch, Usage and Finish included."""
        first = batch[0]
        if type(first) is TextDelta and len(batch) == 1 and self._passes_text():
            # What nearly every read of a stream brings.
            self._output_bytes += len(first.text)
            return batch
        for event in batch:
            self._output_bytes += content_size(event)
        shown = batch if self._visible is None else self._visible.filter(batch)
        return shown if self._seam is None else self._seam.filter(shown)

    def _passes_text(self) -> bool:
        """Whether text goes through as it is: nothing before it was hidden, nothing is joined."""
        return self._seam is None and (self._visible is None or not self._visible.has_hidden)

    def answered(self, reported: Usage | None) -> Usage:
        """The whole answer came; returns what this attempt used."""
        target = self.prospect.place.target
        if reported is not None:
            usage = self._accounts.priced(target, reported)
        else:
            size = input_bytes(self._request)
            usage = self._accounts.estimated(target, size, self._output_bytes)
        self._is_settled = True
        self._accounts.answered(target, usage)
        self.lease.answered(usage, self._clock.time())
        return usage

    def wasted(self) -> Usage | None:
        """What an attempt burnt that came to nothing, counted now.

        None where it burnt nothing, or was counted before.
        """
        if self.stream is None or self._is_settled:
            return None
        self._is_settled = True
        target, size = self.prospect.place.target, input_bytes(self._request)
        usage = self._accounts.broken_off(target, self.stream.usage, size, self._output_bytes)
        self._accounts.wasted(target, usage)
        return usage

    async def more(self, alarm: Alarm) -> Sequence[ProviderEvent]:
        """The next events, under the idle timers; for readers off the hot path.

        Raises:
            GatewayError: the stream failed or fell silent.
        """
        if self.stream is None:
            raise AssertionError("an attempt that has not begun")
        due = self._clock.time() + self.timers.idle_content
        events: Sequence[ProviderEvent] = ()
        try:
            while not events:
                with alarm.at(due):
                    events = await self.stream.read()
        except TimeoutError:
            raise self.late("content") from None
        return self.seen(events)

    def cut(self) -> None:
        """Cuts off an upstream that has not ended."""
        if self.stream is not None:
            self.stream.close()

    def close(self) -> None:
        """Cuts the upstream off and gives the place back; harmless after any end."""
        self.cut()
        self.wasted()
        self.lease.release(self._clock.time())

    def failure(self) -> AttemptFailure:
        """The attempt as a failed one, where the provider said nothing."""
        target = self.prospect.place.target
        return AttemptFailure(target.provider, target.model, provider_request_id=self.request_id)

    def late(self, what: str) -> GatewayError:
        """The error of a timer that fired."""
        if self._clock.time() >= self._deadline.when:
            return GatewayError(
                Reason.DEADLINE_EXCEEDED, "the call's deadline passed before the answer ended"
            )
        return GatewayError(
            Reason.PROVIDER_TIMEOUT,
            f"{self.prospect.name} sent no {what} in time",
            attempt=self.failure(),
        )

    def _too_late(self, *, came: bool) -> GatewayError:
        error = self.late("content" if came else "first content")
        if came or error.reason is Reason.DEADLINE_EXCEEDED:
            return error
        return FirstContentTimeoutError(error.reason, error.message, attempt=self.failure())
