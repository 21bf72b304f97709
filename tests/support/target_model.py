"""A target and its provider's key again, so simple that they are obviously right."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from llmgateway_server.domain.catalog import ProviderEntry
from llmgateway_server.resilience.failure import FailureClass
from llmgateway_server.routing.target_state import Lease, Shut
from support.breaker_model import OPEN, Call, Model

# What a failed lease is to the breaker; the other classes are nothing to it.
BROKEN = {FailureClass.FAULT, FailureClass.TIMEOUT, FailureClass.CONFLICT}
AGAINST_THE_TARGET = {
    FailureClass.FAULT: "fault",
    FailureClass.TIMEOUT: "fault",
    FailureClass.SLOW: "timeout",
}


@dataclass
class Minute:
    """What is left of a minute's worth; exact."""

    capacity: int
    at: float = 0.0
    left: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        self.left = Fraction(self.capacity)

    def at_time(self, now: float) -> Fraction:
        refilled = self.left + Fraction(now - self.at) * self.capacity / 60
        self.at, self.left = now, min(Fraction(self.capacity), refilled)
        return self.left

    def has(self, amount: int, now: float) -> bool:
        return self.at_time(now) >= min(amount, self.capacity)

    def change(self, amount: int, now: float) -> None:
        most = Fraction(self.capacity)
        self.left = max(-most, min(most, self.at_time(now) + amount))

    def settle(self, reserved: int, used: int, now: float) -> None:
        most = 2 * self.capacity
        self.change(min(reserved, most) - min(used, most), now)


@dataclass
class Key:
    """The provider's: shut until then."""

    shut_until: float = 0.0


@dataclass(eq=False)
class Taken:
    """A lease that was given, and what it is to the model; `call` None: the breaker knows it."""

    lease: Lease
    call: Call | None
    is_probe: bool
    began: float
    tokens: int
    has_content: bool = False
    is_slow: bool = False


@dataclass
class TargetModel:
    """One target."""

    entry: ProviderEntry
    key: Key
    taken: list[Taken] = field(default_factory=list)
    pushed_back: int = 0
    rest_until: float = 0.0
    rest_why: Shut = Shut.COOLING

    def __post_init__(self) -> None:
        limits = self.entry.limits
        self.breaker = Model(self.entry.breaker)
        self.requests = Minute(limits.requests_per_minute) if limits.requests_per_minute else None
        self.tokens = Minute(limits.tokens_per_minute) if limits.tokens_per_minute else None

    def shut(self, now: float, tokens: int) -> Shut | None:
        """What bars a call."""
        if self.key.shut_until > now:
            return Shut.DISABLED
        if self.rest_until > now:
            return self.rest_why
        if not self.breaker.seen_at(now)[1]:
            return Shut.BREAKER
        return Shut.FULL if self.is_full(now, tokens) else None

    def is_full(self, now: float, tokens: int) -> bool:
        most = self.entry.limits.in_flight
        return (
            (most is not None and len(self.taken) >= most)
            or (self.requests is not None and not self.requests.has(1, now))
            or (self.tokens is not None and not self.tokens.has(tokens, now))
        )

    def take(self, lease: Lease, call: Call, now: float, tokens: int) -> None:
        self.taken.append(Taken(lease, call, call.role != "call", now, tokens))
        if self.requests is not None:
            self.requests.change(-1, now)
        if self.tokens is not None:
            self.tokens.change(-min(tokens, 2 * self.tokens.capacity), now)

    def first_content(self, taken: Taken, now: float, slow_after: float) -> None:
        taken.has_content = True
        taken.is_slow = now - taken.began > slow_after
        self.pushed_back = 0
        if taken.is_probe:
            self.tell_breaker(taken, "slow" if taken.is_slow else "good", now)

    def end(self, taken: Taken, result: str, now: float, used: int | None = None) -> None:
        self.taken.remove(taken)
        self.tell_breaker(taken, result, now)
        if self.tokens is not None:
            if used is None:
                used = taken.tokens if taken.has_content else 0
            self.tokens.settle(taken.tokens, used, now)

    def fail(self, taken: Taken, kind: FailureClass, now: float, retry_after: float | None) -> None:
        self.end(taken, AGAINST_THE_TARGET.get(kind, "released"), now)
        if kind is FailureClass.CREDENTIAL:
            self.key.shut_until = now + 300
        elif kind is FailureClass.MISSING:
            self.rest(Shut.DISABLED, now + 60)
        elif kind is FailureClass.BACKPRESSURE:
            self.pushed_back += self.rest_until <= now
            usual = min(8.0, 2.0 ** max(self.pushed_back - 1, 0))
            wait = retry_after if retry_after is not None else usual
            self.rest(Shut.COOLING, now + min(wait, 3600.0))
        elif retry_after and kind in BROKEN:
            self.rest(Shut.COOLING, now + min(retry_after, 3600.0))

    def rest(self, why: Shut, until: float) -> None:
        if until > self.rest_until:
            self.rest_until, self.rest_why = until, why

    def tell_breaker(self, taken: Taken, result: str, now: float) -> None:
        call, taken.call = taken.call, None
        if call is None:
            return
        phase = self.breaker.phase
        self.breaker.settle(call, now, result)
        if self.breaker.state is OPEN and self.breaker.phase != phase:
            self.breaker.open_until = self.breaker.clock + self.breaker.open_for
