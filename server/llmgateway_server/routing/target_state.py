"""One target as this process sees it: who may ask it now, and what came of those who did."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.catalog import ProviderEntry, RouteTarget, Target
from llmgateway_server.domain.prices import Prices
from llmgateway_server.ports.provider import Provider
from llmgateway_server.ports.strategy import Candidate
from llmgateway_server.resilience.backoff import BACKPRESSURE_BASE, LONGEST
from llmgateway_server.resilience.breaker import BreakerState, CircuitBreaker, Permit
from llmgateway_server.resilience.failure import FailureClass
from llmgateway_server.resilience.latency import PeakEwma, Quantile
from llmgateway_server.resilience.retry_budget import RetryBudget
from llmgateway_server.resilience.token_bucket import TokenBucket
from llmgateway_server.routing.standing import ProviderStanding

# A target that the provider does not know is looked for again after this long; seconds.
_MISSING_REST: Final = 60.0
# A header that asks for more must not take a target out for a day.
_LONGEST_COOLDOWN: Final = 3600.0
# First tokens after which the quantiles are worked out anew: it takes a sort.
_REFRESH: Final = 16
# How much a new answer moves the usual share of cached tokens.
_SHARE_STEP: Final = 0.1


class Shut(enum.Enum):
    """Why a target is not asked now."""

    BREAKER = "breaker"
    COOLING = "cooling"
    DISABLED = "disabled"
    FULL = "full"


class Bar(Struct, frozen=True):
    """What keeps calls from a target, and until when (seconds on the clock) at least."""

    why: Shut
    until: float


class TargetState:
    """The machines of one target. All times are those of one clock, in seconds."""

    def __init__(
        self,
        target: Target,
        provider: Provider,
        entry: ProviderEntry,
        *,
        standing: ProviderStanding,
        prices: Callable[[], Prices | None],
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.target = target
        self.provider = provider
        self.breaker = CircuitBreaker(entry.breaker, rng)
        self.budget = RetryBudget()
        self.in_flight = 0
        self.vendor = entry.vendor
        self.cached_share = 0.0
        self.p50: float | None = None
        """Half of the first tokens came within this time (seconds); None before there are 20."""
        self.p95: float | None = None
        """19 of 20 first tokens came within this time."""
        self._came_since = 0
        self._standing = standing
        self._prices = prices
        self._rng = rng
        limits = entry.limits
        self._most = limits.in_flight
        self._requests = _bucket(limits.requests_per_minute)
        self._tokens = _bucket(limits.tokens_per_minute)
        self._first_token = PeakEwma()
        self._per_token = PeakEwma()
        self._first_tokens = Quantile()
        self.rest_until = 0.0
        self._rest_why = Shut.COOLING
        self._pushed_back = 0

    def bar(self, now: float, tokens: int) -> Bar | None:
        """What keeps a call of that many tokens away now; None where nothing does."""
        key = self._standing.shut_until(now)
        if key > now:
            return Bar(Shut.DISABLED, key)
        if self.rest_until > now:
            return Bar(self._rest_why, self.rest_until)
        if not self.breaker.admits(now):
            return Bar(Shut.BREAKER, self.breaker.retry_at(now))
        return self._full(now, tokens)

    def lease(self, now: float, tokens: int) -> Lease | None:
        """A place for one call of about that many tokens; None where something bars it."""
        if self.bar(now, tokens) is not None:
            return None
        permit = self.breaker.admit(now)
        return self._leased(permit, now, tokens) if permit is not None else None

    def lease_last_resort(self, now: float, tokens: int) -> Lease | None:
        """A place although the breaker is open: once a second, where nobody else could be asked."""
        if self._standing.shut_until(now) > now or self.rest_until > now:
            return None
        if self._full(now, tokens) is not None:
            return None
        permit = self.breaker.admit_last_resort(now)
        return self._leased(permit, now, tokens) if permit is not None else None

    def candidate(self, place: RouteTarget, now: float) -> Candidate:
        """What a strategy may know of the target at a place in a route."""
        # A target that has just recovered gets its share of traffic, not all of it at once.
        share = self.breaker.share(now)
        ramping = 0.0 < share < 1.0 and self._rng() >= share
        return Candidate(
            self.target,
            place.weight,
            self.in_flight,
            self._first_token.value(now),
            self._per_token.value(now),
            self._prices(),
            self.cached_share,
            is_healthy=self._standing.is_healthy and not ramping and self.bar(now, 0) is None,
        )

    @property
    def prices(self) -> Prices | None:
        """What its calls cost, as far as anyone here knows."""
        return self._prices()

    def is_shut(self, now: float) -> bool:
        """Whether its breaker or its key keeps every call away."""
        open_ = self.breaker.state(now) is BreakerState.OPEN
        return open_ or self._standing.shut_until(now) > now

    def is_degraded(self, now: float) -> bool:
        """Whether anything is wrong with it."""
        well = self.breaker.state(now) is BreakerState.CLOSED and self._standing.is_healthy
        return not well or self.rest_until > now

    def _full(self, now: float, tokens: int) -> Bar | None:
        if self._most is not None and self.in_flight >= self._most:
            return Bar(Shut.FULL, now)
        until = now
        if self._requests is not None:
            until = self._requests.available_at(1, now)
        if self._tokens is not None:
            until = max(until, self._tokens.available_at(tokens, now))
        return Bar(Shut.FULL, until) if until > now else None

    def _leased(self, permit: Permit, now: float, tokens: int) -> Lease:
        if self._requests is not None:
            self._requests.try_reserve(1, now)
        if self._tokens is not None:
            self._tokens.try_reserve(tokens, now)
        self.in_flight += 1
        return Lease(self, permit, now, tokens)

    def _came(self, seconds: float, now: float) -> None:
        """A first token came after so long."""
        self._first_token.observe(seconds, now)
        self._first_tokens.observe(seconds)
        self._pushed_back = 0
        self._came_since += 1
        if self.p50 is None or self._came_since >= _REFRESH:
            self._came_since = 0
            self.p50 = self._first_tokens.quantile(0.5)
            self.p95 = self._first_tokens.quantile(0.95)

    def _answered(self, usage: Usage, streamed: float, now: float) -> None:
        """A whole answer came; `streamed` seconds from its first content on."""
        if usage.output_token_count > 1:
            self._per_token.observe(streamed / usage.output_token_count, now)
        if usage.input_token_count > 0:
            share = usage.cached_input_token_count / usage.input_token_count
            self.cached_share += _SHARE_STEP * (min(max(share, 0.0), 1.0) - self.cached_share)
        self.budget.give(1.0)

    def _rest(self, kind: FailureClass, retry_after: float | None, now: float) -> None:
        """Leaves the target alone for as long as its failure asks for."""
        match kind:
            case FailureClass.BACKPRESSURE:
                if self.rest_until <= now:
                    # Calls that are turned away together are one sign, not many.
                    self._pushed_back += 1
                wait = retry_after
                if wait is None:
                    doublings = min(max(self._pushed_back - 1, 0), 8)
                    wait = min(LONGEST, BACKPRESSURE_BASE * 2**doublings)
                self._rest_till(now + min(wait, _LONGEST_COOLDOWN), Shut.COOLING)
            case FailureClass.CREDENTIAL:
                self._standing.refused_key(now)
            case FailureClass.MISSING:
                self._rest_till(now + _MISSING_REST, Shut.DISABLED)
            case FailureClass.FAULT | FailureClass.TIMEOUT | FailureClass.CONFLICT if retry_after:
                # A broken provider that says when to come back is taken at its word.
                self._rest_till(now + min(retry_after, _LONGEST_COOLDOWN), Shut.COOLING)
            case _:
                pass

    def _rest_till(self, until: float, why: Shut) -> None:
        """Never shortens what another failure has asked for."""
        if until > self.rest_until:
            self.rest_until, self._rest_why = until, why

    def _settle_tokens(self, reserved: int, used: int | None, now: float) -> None:
        if self._tokens is not None:
            self._tokens.settle(reserved, reserved if used is None else used, now)


def _bucket(per_minute: int | None) -> TokenBucket | None:
    return TokenBucket(per_minute) if per_minute is not None else None


class Lease:
    """One call's place at a target; given back once, whatever happens to the call.

    It is settled by `answered` or `failed`; `release` alone decides nothing, which is how a caller
    that goes away ends.
    """

    def __init__(self, state: TargetState, permit: Permit, now: float, tokens: int) -> None:
        self.state = state
        self._permit = permit
        self._began = now
        self._first_at: float | None = None
        self._is_slow = False
        self._tokens = tokens
        self.is_open = True

    def first_content(self, now: float, *, slow_after: float) -> float:
        """Notes the first content; returns the seconds it took.

        A probe has shown by it what it was sent for: its place in the half-open breaker is free.
        """
        took = now - self._began
        self._first_at = now
        self._is_slow = took > slow_after
        self.state._came(took, now)
        if self._permit.is_probe:
            self.state.breaker.succeeded(self._permit, now, slow=self._is_slow)
        return took

    def answered(self, usage: Usage, now: float) -> None:
        """The whole answer came."""
        if self.is_open:
            state = self.state
            state.breaker.succeeded(self._permit, now, slow=self._is_slow)
            state._answered(usage, now - (now if self._first_at is None else self._first_at), now)
            self._end(now, usage.input_token_count + usage.output_token_count)

    def failed(self, kind: FailureClass, now: float, retry_after: float | None = None) -> None:
        """The attempt failed; its class says whether that speaks against the target."""
        if self.is_open:
            breaker = self.state.breaker
            if kind is FailureClass.SLOW:
                breaker.timed_out(self._permit, now)
            elif kind in {FailureClass.FAULT, FailureClass.TIMEOUT}:
                breaker.failed(self._permit, now)
            else:
                breaker.released(self._permit)
            self.state._rest(kind, retry_after, now)
            self._end(now, None if self._first_at is not None else 0)

    def release(self, now: float) -> None:
        """Gives the place back; nothing is held against the target."""
        if self.is_open:
            self.state.breaker.released(self._permit)
            self._end(now, None if self._first_at is not None else 0)

    def _end(self, now: float, used: int | None) -> None:
        self.is_open = False
        self.state.in_flight -= 1
        self.state._settle_tokens(self._tokens, used, now)
