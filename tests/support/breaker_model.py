"""The circuit breaker again, so simple that it is obviously right: it keeps all it ever saw."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from llmgateway_server.domain.policies import BreakerSettings
from llmgateway_server.resilience.breaker import BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN

FAILURES = ("fault", "timeout")
SLOW = ("slow", "timeout")


@dataclass(eq=False)
class Call:
    """A call that was let through, in which phase, and in what role: call, probe or extra."""

    phase: int
    role: str


@dataclass
class Model:
    settings: BreakerSettings
    state: BreakerState = CLOSED
    phase: int = 0
    clock: float = -math.inf
    closed_at: float = -math.inf
    open_for: float = 0.0
    open_until: float = -math.inf
    results: list[tuple[float, str]] = field(default_factory=list)
    in_flight: list[Call] = field(default_factory=list)
    extra_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open_for = self.settings.open

    def enter(self, state: BreakerState) -> None:
        self.state = state
        self.phase += 1
        self.results = []

    def move_to(self, now: float) -> None:
        self.clock = max(self.clock, now)
        if self.state is OPEN and self.clock >= self.open_until:
            self.enter(HALF_OPEN)

    def has_probe(self) -> bool:
        return any(call.role == "probe" for call in self.in_flight)

    def admit(self, now: float) -> Call | None:
        self.move_to(now)
        if self.state is OPEN or (self.state is HALF_OPEN and self.has_probe()):
            return None
        call = Call(self.phase, "call" if self.state is CLOSED else "probe")
        self.in_flight.append(call)
        return call

    def admit_last_resort(self, now: float) -> Call | None:
        call = self.admit(now)
        if call is None and all(self.clock - at >= 1 for at in self.extra_at):
            self.extra_at.append(self.clock)
            call = Call(self.phase, "extra")
            self.in_flight.append(call)
        return call

    def settle(self, call: Call, now: float, result: str) -> None:
        """`result`: good, slow, fault, timeout or released."""
        self.in_flight.remove(call)
        if result == "released":
            return
        self.move_to(now)
        if call.phase != self.phase:
            return
        if self.state is OPEN:
            if result in FAILURES:
                return
            self.enter(HALF_OPEN)
        self.results.append((self.clock, result))
        if self.state is HALF_OPEN:
            self.judge_probes()
        elif self.is_bad():
            if self.clock - self.closed_at >= self.settings.window:
                self.open_for = self.settings.open
            self.enter(OPEN)

    def judge_probes(self) -> None:
        outcomes = [result for _, result in self.results]
        if outcomes[-1] in FAILURES:
            self.open_for = min(2 * self.open_for, self.settings.longest_open)
            self.enter(OPEN)
        elif len(outcomes) >= self.settings.probes:
            self.closed_at = self.clock
            self.enter(CLOSED)

    def is_bad(self) -> bool:
        tenth = self.settings.window / 10
        recent = [
            result
            for when, result in self.results
            if math.floor(when / tenth) > math.floor(self.clock / tenth) - 10
        ]
        faults = recent.count("fault")
        slow = sum(result in SLOW for result in recent)
        is_enough = len(recent) >= self.settings.minimum_calls
        newest = [result for _, result in self.results[-self.settings.consecutive :]]
        return (is_enough and (2 * faults >= len(recent) or 10 * slow >= 8 * len(recent))) or (
            len(newest) == self.settings.consecutive and set(newest) <= set(FAILURES)
        )

    def seen_at(self, now: float) -> tuple[BreakerState, bool, float, float]:
        """State, whether it admits, when it may, and its share."""
        now_there = max(self.clock, now)
        state = self.state
        if state is OPEN and now_there >= self.open_until:
            state = HALF_OPEN
        if state is OPEN:
            return state, False, self.open_until, 0.0
        if state is HALF_OPEN:
            taken = self.has_probe()
            return state, not taken, now + 1 if taken else now, 1.0
        closed_for = now_there - self.closed_at
        share = 1.0 if closed_for >= self.settings.ramp else 0.1 + 0.9 * closed_for / 10
        return state, True, now, share
