"""Two targets of one provider and their leases beside a model, in every order of calls."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.catalog import ProviderEntry, Target
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.policies import BreakerSettings, TargetLimits
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderHealth
from llmgateway_server.resilience.breaker import BreakerState
from llmgateway_server.resilience.failure import FailureClass
from llmgateway_server.routing.standing import ProviderStanding
from llmgateway_server.routing.target_state import Lease, Shut, TargetState
from support.provider import ScriptedProvider
from support.target_model import Key, Taken, TargetModel

# Times in quarters of a second and rates in whole units a second, so that floats are exact.
TOKENS = st.sampled_from([0, 1, 60, 90, 500])
LIMITS = st.builds(
    TargetLimits,
    in_flight=st.sampled_from([None, 1, 2, 5]),
    requests_per_minute=st.sampled_from([None, None, 60, 180]),
    tokens_per_minute=st.sampled_from([None, None, 120, 600]),
)
BREAKER = BreakerSettings(minimum_calls=6, consecutive=3)
KINDS = st.sampled_from(list(FailureClass))
RETRY_AFTER = st.sampled_from([None, None, 0.0, 0.25, 2.0, 90.0, 3600.0, 86400.0, 1e308])
ENDS = st.sampled_from(["answered", "failed", "released", "first content"])
WELL, ILL = ProviderHealth(True, 0.1), ProviderHealth(False, 0.1, Reason.PROVIDER_ERROR, "down")
PICK = st.integers(0, 1)


class Leases(RuleBasedStateMachine):
    @initialize(limits=LIMITS, start=st.integers(1, 100))
    def begin(self, limits: TargetLimits, start: int) -> None:
        self.now = float(start)
        entry = ProviderEntry("a", "scripted", True, Timers(), limits=limits, breaker=BREAKER)
        self.limits = limits
        self.standing, key = ProviderStanding(), Key()
        self.states = [
            TargetState(
                Target("a", name),
                ScriptedProvider(),
                entry,
                standing=self.standing,
                prices=lambda: None,
                rng=lambda: 0.5,
            )
            for name in ("one", "two")
        ]
        self.models = [TargetModel(entry, key) for _ in self.states]
        self.key = key
        self.settled: list[Lease] = []
        # Until when each target was asked to be left alone.
        self.asked_to_rest = [0.0, 0.0]

    @rule(quarters=st.integers(0, 12) | st.integers(0, 400) | st.integers(0, 20_000))
    def time_passes(self, quarters: int) -> None:
        self.now += quarters / 4

    @rule(which=PICK, tokens=TOKENS)
    def lease(self, which: int, tokens: int) -> None:
        state, model = self.states[which], self.models[which]
        shut = model.shut(self.now, tokens)
        bar = state.bar(self.now, tokens)
        assert (bar.why if bar is not None else None) is shut
        assert bar is None or bar.until >= self.now
        lease = state.lease(self.now, tokens)
        assert (lease is None) == (shut is not None)
        if lease is not None:
            self.took(which, lease, tokens)
            call = model.breaker.admit(self.now)
            assert call is not None
            model.take(lease, call, self.now, tokens)

    @rule(which=PICK, tokens=TOKENS)
    def lease_as_the_last_resort(self, which: int, tokens: int) -> None:
        state, model = self.states[which], self.models[which]
        lease = state.lease_last_resort(self.now, tokens)
        if model.shut(self.now, tokens) in {Shut.DISABLED, Shut.COOLING} or model.is_full(
            self.now, tokens
        ):
            assert lease is None
            return
        call = model.breaker.admit_last_resort(self.now)
        assert (lease is None) == (call is None)
        if lease is not None and call is not None:
            self.took(which, lease, tokens)
            model.take(lease, call, self.now, tokens)

    @rule(data=st.data(), which=PICK, end=ENDS, kind=KINDS, retry_after=RETRY_AFTER)
    def go_on(
        self,
        data: st.DataObject,
        which: int,
        end: str,
        kind: FailureClass,
        retry_after: float | None,
    ) -> None:
        taken = self.models[which].taken
        if taken:
            one = taken[data.draw(st.integers(0, len(taken) - 1))]
            self.act(which, one, end, kind, retry_after)

    @rule(which=PICK, results=st.lists(st.tuples(ENDS, KINDS), max_size=12))
    def a_burst_of_calls(self, which: int, results: list[tuple[str, FailureClass]]) -> None:
        for end, kind in results:
            before = len(self.models[which].taken)
            self.lease(which, 0)
            if len(self.models[which].taken) == before:
                return
            self.act(which, self.models[which].taken[-1], end, kind, None)

    @rule(which=PICK)
    def a_run_of_faults(self, which: int) -> None:
        self.a_burst_of_calls(which, [("failed", FailureClass.FAULT)] * 3)

    @rule(
        which=PICK,
        kinds=st.permutations([FailureClass.BACKPRESSURE, FailureClass.MISSING]),
        retry_after=RETRY_AFTER,
    )
    def two_calls_at_once_are_sent_away(
        self, which: int, kinds: list[FailureClass], retry_after: float | None
    ) -> None:
        before = len(self.models[which].taken)
        for _ in kinds:
            self.lease(which, 0)
        for taken, kind in zip(self.models[which].taken[before:], kinds, strict=False):
            self.act(which, taken, "failed", kind, retry_after)

    @precondition(lambda self: self.settled)
    @rule(data=st.data(), end=ENDS, kind=KINDS, retry_after=RETRY_AFTER)
    def a_settled_lease_is_settled_again(
        self, data: st.DataObject, end: str, kind: FailureClass, retry_after: float | None
    ) -> None:
        lease = data.draw(st.sampled_from(self.settled))
        if end == "answered":
            lease.answered(Usage(100, 100), self.now)
        elif end == "failed":
            lease.failed(kind, self.now, retry_after)
        else:
            lease.release(self.now)

    @rule(health=st.sampled_from([WELL, ILL]))
    def a_check(self, health: ProviderHealth) -> None:
        self.standing.checked(health)
        if health.is_healthy:
            self.key.shut_until = 0.0
            assert all(self.shut(which) is not Shut.DISABLED for which in self.not_missing())

    @rule()
    def everybody_goes_away(self) -> None:
        for which in range(2):
            while self.models[which].taken:
                self.act(which, self.models[which].taken[0], "released", FailureClass.CALLER, None)
            state = self.states[which]
            assert state.in_flight == 0
            is_open = state.breaker.state(self.now) is BreakerState.OPEN
            assert state.breaker.admits(self.now) is not is_open, "the half-open slot is free"

    @invariant()
    def places_are_counted(self) -> None:
        for state, model in zip(self.states, self.models, strict=True):
            assert state.in_flight == len(model.taken) >= 0
            assert state.in_flight <= (self.limits.in_flight or state.in_flight)
            assert all(taken.lease.is_open for taken in model.taken)
        assert not any(lease.is_open for lease in self.settled)

    @invariant()
    def the_breakers_are_as_the_models(self) -> None:
        for state, model in zip(self.states, self.models, strict=True):
            seen, admits, retry_at, _ = model.breaker.seen_at(self.now)
            assert state.breaker.state(self.now) is seen
            assert state.breaker.admits(self.now) is admits
            assert state.breaker.retry_at(self.now) == retry_at

    @invariant()
    def bars_are_as_the_models(self) -> None:
        for which in range(2):
            assert self.shut(which) is self.models[which].shut(self.now, 0)

    @invariant()
    def a_refused_key_shuts_all_targets(self) -> None:
        if self.key.shut_until > self.now:
            assert all(self.shut(which) is Shut.DISABLED for which in range(2))

    def shut(self, which: int) -> Shut | None:
        bar = self.states[which].bar(self.now, 0)
        return bar.why if bar is not None else None

    def not_missing(self) -> list[int]:
        return [n for n, model in enumerate(self.models) if model.rest_why is Shut.COOLING]

    def took(self, which: int, lease: Lease, tokens: int) -> None:
        assert lease.is_open
        assert self.asked_to_rest[which] <= self.now, f"{tokens} tokens within a cool-down"

    def act(
        self, which: int, taken: Taken, end: str, kind: FailureClass, retry_after: float | None
    ) -> None:
        model, lease, now = self.models[which], taken.lease, self.now
        if end == "first content":
            if not taken.has_content:
                took = lease.first_content(now, slow_after=10.0)
                assert took == now - taken.began
                model.first_content(taken, now, 10.0)
            return
        if end == "answered":
            used = Usage(40, 80)
            lease.answered(used, now)
            model.end(taken, "slow" if taken.is_slow else "good", now, used=120)
        elif end == "failed":
            lease.failed(kind, now, retry_after)
            model.fail(taken, kind, now, retry_after)
            if kind is FailureClass.BACKPRESSURE and retry_after is not None:
                until = now + min(retry_after, 3600.0)
                self.asked_to_rest[which] = max(self.asked_to_rest[which], until)
        else:
            self.abort(which, taken)
        self.settled.append(lease)

    def abort(self, which: int, taken: Taken) -> None:
        """A caller goes away; that tells nothing of the target."""
        breaker = self.states[which].breaker
        before = breaker.state(self.now), breaker.share(self.now)
        taken.lease.release(self.now)
        self.models[which].end(taken, "released", self.now)
        assert (breaker.state(self.now), breaker.share(self.now)) == before


TestLeases = Leases.TestCase
