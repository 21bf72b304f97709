"""What a caller is told when no attempt brought an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.resilience.failure import FailureClass, class_of
from llmgateway_server.routing.target_state import Bar, Shut

# Of failures that differ, the one that the caller can act on: by the order of the contract's
# codes, INVALID_ARGUMENT > RESOURCE_EXHAUSTED > UNAVAILABLE > INTERNAL.
_RANK: Final = {
    FailureClass.NOBODYS: 5,
    FailureClass.CALLER: 4,
    FailureClass.CONTEXT: 4,
    FailureClass.BACKPRESSURE: 2,
    FailureClass.FAULT: 2,
    FailureClass.CONFLICT: 2,
    FailureClass.TIMEOUT: 2,
    FailureClass.SLOW: 2,
    FailureClass.CREDENTIAL: 1,
    FailureClass.MISSING: 1,
    FailureClass.INCAPABLE: 0,
}
_RESOURCE_EXHAUSTED: Final = frozenset(
    {Reason.PROVIDER_RATE_LIMITED, Reason.PROVIDER_QUOTA_EXHAUSTED}
)
# Bars that say nothing of when they end are looked at again after this long; seconds.
_SOON: Final = 1.0
_SPREAD: Final = 0.25


def verdict(failures: Sequence[GatewayError], last: GatewayError) -> GatewayError:
    """The error of a call, with the failed attempts of all of them in their order.

    Args:
        failures: those of its attempts.
        last: what ended it; a failure of its own only where no attempt was made.
    """
    if not failures:
        return last
    _, _, error = max((_rank(each), index, each) for index, each in enumerate(failures))
    return with_all_attempts(error, failures)


def with_all_attempts(error: GatewayError, failures: Sequence[GatewayError]) -> GatewayError:
    """A copy that lists the attempts of all failures; each failure itself keeps its own alone."""
    told = GatewayError(error.reason, error.message)
    vars(told).update(vars(error))
    told.attempts = tuple(attempt for each in failures for attempt in each.attempts[-1:])
    return told


def _rank(error: GatewayError) -> int:
    if error.reason in _RESOURCE_EXHAUSTED:
        return 3
    if error.reason is Reason.PROVIDER_PROTOCOL_ERROR:
        return 1
    return _RANK[class_of(error)]


def unavailable(bars: Sequence[Bar], now: float, spread: float) -> GatewayError:
    """Why no candidate of a call can be asked now, and when one may be.

    Args:
        bars: what keeps the call from each of its candidates.
        now: on the clock.
        spread: 0 to 1, by chance, so that those who are turned away do not come back together.
    """
    soonest = min((bar.until for bar in bars), default=now) - now
    retry_after = (soonest if soonest > 0 else _SOON) * (1 + _SPREAD * spread)
    reasons = {bar.why for bar in bars}
    if Shut.BREAKER in reasons:
        return GatewayError(
            Reason.NO_PROVIDER_AVAILABLE,
            "every target of this request has failed lately; their circuit breakers are open",
            retry_after=retry_after,
        )
    if Shut.FULL in reasons:
        return GatewayError(
            Reason.GATEWAY_OVERLOADED,
            "every target of this request is at the limit that this gateway has for it",
            retry_after=retry_after,
        )
    if Shut.COOLING in reasons:
        return GatewayError(
            Reason.PROVIDER_RATE_LIMITED,
            "every target of this request has asked to be left alone for a while",
            retry_after=retry_after,
        )
    return GatewayError(
        Reason.NO_PROVIDER_AVAILABLE,
        "no target of this request can be used: the gateway's keys were refused, or its models "
        "are not there",
        retry_after=retry_after,
    )
