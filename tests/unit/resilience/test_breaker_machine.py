"""The circuit breaker beside a model of it, in every order of calls."""

import math
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmgateway_server.domain.policies import BreakerSettings
from llmgateway_server.resilience.breaker import BreakerState, CircuitBreaker, Permit
from support.breaker_model import Call, Model

RESULT = st.sampled_from(["good", "slow", "fault", "timeout", "released"])
MOSTLY_SLOW = st.sampled_from(["good", "slow", "slow", "slow", "slow"])
LAG = st.sampled_from([0.0, 0.0, 0.0, 0.5, 40.0])
SETTINGS = st.builds(
    BreakerSettings,
    minimum_calls=st.sampled_from([4, 20]),
    consecutive=st.sampled_from([3, 5]),
    probes=st.sampled_from([1, 3]),
    ramp=st.sampled_from([0.0, 10.0]),
)


class Breakers(RuleBasedStateMachine):
    @initialize(
        settings=SETTINGS,
        start=st.integers(0, 100),
        draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5),
    )
    def begin(self, settings: BreakerSettings, start: int, draws: list[float]) -> None:
        self.settings = settings
        self.now = float(start)
        self.breaker = CircuitBreaker(settings, lambda: draws[self.breaker_opened % len(draws)])
        self.breaker_opened = 0
        self.model = Model(settings)
        self.live: list[tuple[Permit, Call]] = []
        self.settled: list[Permit] = []
        self.answered_probes = 0

    @rule(quarters=st.integers(0, 12) | st.integers(0, 160))
    def time_passes(self, quarters: int) -> None:
        self.now += quarters / 4

    @precondition(lambda self: self.model.state is BreakerState.OPEN)
    @rule(is_over=st.booleans())
    def its_time_comes(self, is_over: bool) -> None:
        end = self.breaker.retry_at(self.now)
        self.now = max(self.now, end if is_over else math.nextafter(end, 0))

    @rule(lag=LAG)
    def admit(self, lag: float) -> None:
        self.took(self.breaker.admit(self.now - lag), self.model.admit(self.now - lag))

    @rule(lag=LAG)
    def admit_as_the_last_resort(self, lag: float) -> None:
        now = self.now - lag
        self.took(self.breaker.admit_last_resort(now), self.model.admit_last_resort(now))

    @precondition(lambda self: self.live)
    @rule(data=st.data(), result=RESULT, lag=LAG)
    def settle(self, data: st.DataObject, result: str, lag: float) -> None:
        index = data.draw(st.integers(0, len(self.live) - 1))
        self.settle_one(index, result, self.now - lag)

    @rule(results=st.lists(RESULT, min_size=1, max_size=25) | st.lists(MOSTLY_SLOW, max_size=25))
    def a_burst_of_calls(self, results: list[str]) -> None:
        for result in results:
            before = len(self.live)
            self.admit(0.0)
            if len(self.live) == before:
                return
            self.settle_one(before, result, self.now)

    @precondition(lambda self: not self.live)
    @rule(reopenings=st.integers(0, 3), healthy_for=st.sampled_from([0.0, 29.75, 30.0, 40.0]))
    def an_outage_ends(self, reopenings: int, healthy_for: float) -> None:
        """Brings about what single steps seldom do: long times open, and being forgiven them."""
        self.a_burst_of_calls(["fault"] * 5)
        for _ in range(reopenings):
            self.now = max(self.now, self.breaker.retry_at(self.now))
            self.a_burst_of_calls(["fault"])
        self.now = max(self.now, self.breaker.retry_at(self.now))
        self.a_burst_of_calls(["good"] * self.settings.probes)
        self.now += healthy_for

    @precondition(lambda self: self.settled)
    @rule(data=st.data(), result=RESULT, later=st.integers(0, 100))
    def a_settled_permit_is_settled_again(
        self, data: st.DataObject, result: str, later: int
    ) -> None:
        permit = data.draw(st.sampled_from(self.settled))
        self.tell(permit, result, self.now + later)

    @rule()
    def all_calls_are_released(self) -> None:
        while self.live:
            self.settle_one(0, "released", self.now)
        is_open = self.breaker.state(self.now) is BreakerState.OPEN
        assert self.breaker.admits(self.now) is not is_open, "the slot is free"

    @invariant()
    def it_is_as_the_model(self) -> None:
        for now in (self.now, self.now - 7, self.now + 0.25, self.now + 8, self.now + 40):
            state, admits, retry_at, share = self.model.seen_at(now)
            assert self.breaker.state(now) is state
            assert self.breaker.admits(now) is admits
            assert self.breaker.retry_at(now) == retry_at
            assert math.isclose(self.breaker.share(now), share)
            assert 0 <= share <= 1

    @invariant()
    def one_probe_is_in_flight_at_most(self) -> None:
        assert sum(call.role == "probe" for _, call in self.live) <= 1

    @invariant()
    def last_resorts_are_a_second_apart(self) -> None:
        times = self.model.extra_at
        assert all(after - before >= 1 for before, after in pairwise(times))

    def took(self, permit: Permit | None, call: Call | None) -> None:
        assert (permit is None) == (call is None)
        if permit is not None and call is not None:
            assert permit.is_probe == (call.role != "call")
            self.live.append((permit, call))

    def settle_one(self, index: int, result: str, now: float) -> None:
        permit, call = self.live.pop(index)
        before = self.breaker.state(self.now), self.breaker.share(self.now)
        phase = self.model.phase
        self.tell(permit, result, now)
        self.model.settle(call, now, result)
        self.settled.append(permit)
        after = self.breaker.state(self.now), self.breaker.share(self.now)
        if result == "released":
            assert after == before, "a caller who goes away moves nothing"
        if permit.is_probe and result in {"good", "slow"}:
            self.answered_probes += 1
        if self.model.state is BreakerState.OPEN and self.model.phase != phase:
            self.opened()
        if self.model.state is BreakerState.CLOSED and self.model.phase != phase:
            assert self.answered_probes >= self.settings.probes

    def opened(self) -> None:
        """How long it stays open is the breaker's own draw; the model takes it over."""
        until = self.breaker.retry_at(self.model.clock)
        open_for = until - self.model.clock
        base = self.model.open_for
        assert 0.9 * base - 1e-9 <= open_for <= 1.1 * base + 1e-9
        assert 4.5 - 1e-9 <= open_for <= 33 + 1e-9
        self.model.open_until = until
        self.breaker_opened += 1
        self.answered_probes = 0

    def tell(self, permit: Permit, result: str, now: float) -> None:
        if result == "released":
            self.breaker.released(permit)
        elif result == "fault":
            self.breaker.failed(permit, now)
        elif result == "timeout":
            self.breaker.timed_out(permit, now)
        else:
            self.breaker.succeeded(permit, now, slow=result == "slow")


TestBreakers = Breakers.TestCase
