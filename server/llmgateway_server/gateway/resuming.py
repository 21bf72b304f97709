"""Going on with an answer whose attempt failed in its middle."""

from __future__ import annotations

from collections.abc import Sequence

from llmgateway_server.domain.answer import Route
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent, Recovery, RecoveryKind
from llmgateway_server.domain.request import GenerationRequest, RecoveryMode
from llmgateway_server.gateway.asking import Asking
from llmgateway_server.gateway.attempt import Attempt
from llmgateway_server.gateway.attempts import WayClosedError
from llmgateway_server.gateway.turns import Turn
from llmgateway_server.recovery.continuation import continuation
from llmgateway_server.recovery.delivered import Delivered
from llmgateway_server.recovery.splice import Progress, Splice
from llmgateway_server.recovery.ways import Way, ways
from llmgateway_server.resilience.failure import FailureClass, class_of
from llmgateway_server.routing.candidates import Prospect
from llmgateway_server.routing.target_state import Lease

# A prefill that is refused in one of these ways says nothing about the caller's own request.
_REFUSED = frozenset({FailureClass.CALLER, FailureClass.CONTEXT, FailureClass.INCAPABLE})

Resumed = tuple[Attempt, RecoveryKind, Sequence[ProviderEvent]]


class Resuming:
    """The ways on from one failure; each is tried once on each target."""

    def __init__(
        self,
        asking: Asking,
        request: GenerationRequest,
        *,
        mode: RecoveryMode,
        delivered: Delivered,
        failed: Attempt,
    ) -> None:
        self._asking = asking
        self._request = request
        self._mode = mode
        self._delivered = delivered
        self._failed = failed
        self._closed: set[tuple[Prospect, Way]] = set()

    def can_help(self, prospect: Prospect) -> bool:
        """Whether a way on leads over the target."""
        return bool(self._ways(prospect))

    async def ask(self, turn: Turn, lease: Lease) -> Resumed:
        """Tries the best way that is left on the target.

        Raises:
            WayClosedError: this way does not lead on; another may.
            GatewayError: the attempt failed.
        """
        way = self._ways(turn.prospect)[0]
        self._closed.add((turn.prospect, way))
        match way:
            case Way.CONTINUE:
                attempt, events = await self._continue(turn, lease)
            case Way.SPLICE:
                return await self._splice(turn, lease)
            case Way.RESTART:
                attempt = self._asking.attempt(turn, lease, turn.prospect.fitted.request)
                _, events = await self._asking.started(attempt)
                return attempt, RecoveryKind.RESTARTED, events
        return attempt, RecoveryKind.CONTINUED, events

    def recovery(self, kind: RecoveryKind, route: Route, failure: GatewayError) -> Recovery:
        """What the caller is told; what it was given counts no more where it has to drop it."""
        if kind is RecoveryKind.RESTARTED:
            self._delivered.restart()
        cause = failure.attempts[-1] if failure.attempts else self._failed.failure()
        return Recovery(kind, route, cause)

    def _ways(self, prospect: Prospect) -> list[Way]:
        found = ways(
            self._request,
            self._mode,
            self._delivered,
            failed=self._failed.prospect.place.target,
            other=prospect.place.target,
            capabilities=prospect.capabilities,
        )
        return [way for way in found if (prospect, way) not in self._closed]

    async def _continue(self, turn: Turn, lease: Lease) -> tuple[Attempt, Sequence[ProviderEvent]]:
        rest = continuation(turn.prospect.fitted.request, self._delivered.text)
        attempt = self._asking.attempt(turn, lease, rest.request)
        attempt.join(rest.seam)
        try:
            return await self._asking.started(attempt)
        except GatewayError as error:
            if class_of(error) in _REFUSED:
                raise WayClosedError(error.reason, error.message) from None
            raise

    async def _splice(self, turn: Turn, lease: Lease) -> Resumed:
        """Goes on where the answer is the same; another one is as good as new for a restart."""
        attempt = self._asking.attempt(turn, lease, turn.prospect.fitted.request)
        splice = Splice(self._delivered.text)
        made: list[ProviderEvent] = []
        _, events = await self._asking.started(attempt)
        try:
            while True:
                made += events
                result = splice.feed(events)
                if result.progress is Progress.DIFFERS:
                    break
                if result.events:
                    return attempt, RecoveryKind.CONTINUED, result.events
                events = await attempt.more(self._asking.alarm)
        except BaseException as error:
            self._asking.burn(attempt)
            if isinstance(error, GatewayError):
                attempt.cut()
            else:
                attempt.close()
            raise
        if self._mode is RecoveryMode.RESTART:
            return attempt, RecoveryKind.RESTARTED, made
        self._asking.burn(attempt)
        attempt.cut()
        raise WayClosedError(Reason.PROVIDER_ERROR, f"{turn.prospect.name} wrote another answer")
