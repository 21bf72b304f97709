"""The states of targets: how many are remembered, and what is told of their providers."""

import pytest

from llmgateway_server.domain.catalog import ProviderEntry, ProviderState, Target
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderHealth
from llmgateway_server.resilience.failure import FailureClass
from llmgateway_server.routing.target_state import Lease, TargetState
from llmgateway_server.routing.targets import Targets
from support.hand_clock import HandClock
from support.money import PRICES, FixedPrices
from support.provider import ScriptedProvider

ILL = ProviderHealth(False, 0.1, Reason.PROVIDER_ERROR, "down")
WELL = ProviderHealth(True, 0.1)
MOST = 4096
ONE, TWO, OTHER = Target("a", "one"), Target("a", "two"), Target("b", "one")


class World:
    """Two providers' targets, and the clocks that they are seen by."""

    def __init__(self) -> None:
        self.clock = HandClock()
        entries = {name: ProviderEntry(name, "scripted", True, Timers()) for name in "ab"}
        providers = {name: ScriptedProvider() for name in "ab"}
        self.targets = Targets(
            entries, providers, FixedPrices(PRICES), self.clock, wall=lambda: 1e9 + self.clock.now
        )

    def lease(self, target: Target) -> Lease:
        lease = self.targets.state(target).lease(self.clock.now, 0)
        assert lease is not None
        return lease

    def fail(self, target: Target, kind: FailureClass, times: int = 1) -> None:
        for _ in range(times):
            self.lease(target).failed(kind, self.clock.now)

    def recover(self, target: Target) -> None:
        for _ in range(3):
            self.lease(target).first_content(self.clock.now, slow_after=10.0)

    def status(self, provider: str = "a") -> tuple[ProviderState, float]:
        status = self.targets.status(provider)
        return status.state, status.since - 1e9


@pytest.fixture
def world() -> World:
    return World()


def test_a_target_keeps_its_state(world: World) -> None:
    state = world.targets.state(ONE)
    assert world.targets.state(Target("a", "one")) is state
    assert world.targets.state(TWO) is not state
    assert world.targets.state(OTHER) is not state
    assert state.prices == PRICES


def test_names_without_end_are_forgotten_the_longest_unused_first(world: World) -> None:
    kept = world.targets.state(ONE)
    first = world.targets.state(Target("a", "0"))
    for number in range(1, MOST * 2):
        world.targets.state(ONE)
        world.targets.state(Target("a", str(number)))
    assert world.targets.state(ONE) is kept
    assert world.targets.state(Target("a", "0")) is not first


def test_no_target_in_flight_is_forgotten(world: World) -> None:
    busy: list[tuple[Target, TargetState, Lease]] = []
    for number in range(100):
        target = Target("a", f"busy-{number}")
        busy.append((target, world.targets.state(target), world.lease(target)))
    for number in range(MOST * 2):
        world.targets.state(Target("b", str(number)))
    assert all(world.targets.state(target) is state for target, state, _ in busy)
    assert world.targets.status("a").in_flight == 100
    for _, _, lease in busy:
        lease.release(0.0)
    assert world.targets.status("a").in_flight == 0


def test_more_than_the_bound_in_flight_are_all_remembered(world: World) -> None:
    leases = [world.lease(Target("a", str(number))) for number in range(MOST + 50)]
    assert world.targets.status("a").in_flight == MOST + 50
    for lease in leases:
        lease.release(0.0)
    assert world.targets.status("a").in_flight == 0
    first = world.targets.state(Target("a", "0"))
    for number in range(MOST):
        world.targets.state(Target("b", str(number)))
    assert world.targets.state(Target("a", "0")) is not first


def test_a_provider_is_active_before_its_first_call(world: World) -> None:
    world.clock.now = 50.0
    assert world.status() == (ProviderState.ACTIVE, 0.0)


def test_a_provider_goes_down_and_comes_back(world: World) -> None:
    world.fail(ONE, FailureClass.FAULT, times=4)
    assert world.status() == (ProviderState.ACTIVE, 0.0)
    world.clock.now = 1.0
    world.fail(ONE, FailureClass.FAULT)
    assert world.status() == (ProviderState.CIRCUIT_OPEN, 1.0)
    world.clock.now = 3.0
    assert world.status() == (ProviderState.CIRCUIT_OPEN, 1.0)
    # Half-open: calls get through, one at a time.
    world.clock.now = 7.0
    assert world.status() == (ProviderState.DEGRADED, 7.0)
    world.clock.now = 8.0
    world.recover(ONE)
    assert world.status() == (ProviderState.ACTIVE, 8.0)
    assert world.status("b") == (ProviderState.ACTIVE, 0.0)


def test_one_open_breaker_of_two_degrades_a_provider(world: World) -> None:
    world.lease(TWO).release(0.0)
    world.fail(ONE, FailureClass.FAULT, times=5)
    assert world.status()[0] is ProviderState.DEGRADED
    world.fail(TWO, FailureClass.FAULT, times=5)
    assert world.status()[0] is ProviderState.CIRCUIT_OPEN


def test_a_cool_down_degrades_and_a_refused_key_shuts(world: World) -> None:
    world.lease(ONE).failed(FailureClass.BACKPRESSURE, 0.0, 20.0)
    assert world.status()[0] is ProviderState.DEGRADED
    world.clock.now = 20.0
    assert world.status() == (ProviderState.ACTIVE, 20.0)
    world.fail(ONE, FailureClass.CREDENTIAL)
    assert world.status() == (ProviderState.CIRCUIT_OPEN, 20.0)
    world.clock.now = 25.0
    world.targets.standings["a"].checked(WELL)
    assert world.status() == (ProviderState.ACTIVE, 25.0)


def test_a_bad_check_degrades_a_provider_that_nobody_has_asked(world: World) -> None:
    world.clock.now = 5.0
    world.targets.standings["a"].checked(ILL)
    assert world.status() == (ProviderState.DEGRADED, 5.0)
    world.targets.standings["a"].checked(WELL)
    assert world.status() == (ProviderState.ACTIVE, 5.0)


def test_open_calls_are_counted_over_all_targets_of_a_provider(world: World) -> None:
    leases = [world.lease(target) for target in (ONE, ONE, TWO, OTHER)]
    assert world.targets.status("a").in_flight == 3
    assert world.targets.status("b").in_flight == 1
    for lease in leases:
        lease.failed(FailureClass.CALLER, 0.0)
    assert world.targets.status("a").in_flight == 0


def test_a_route_is_open_while_one_of_its_targets_is(world: World) -> None:
    assert world.targets.is_any_open([ONE, OTHER])
    assert not world.targets.is_any_open([])
    world.fail(ONE, FailureClass.FAULT, times=5)
    assert not world.targets.is_any_open([ONE])
    assert world.targets.is_any_open([ONE, TWO])
    world.fail(TWO, FailureClass.CREDENTIAL)
    assert not world.targets.is_any_open([ONE, TWO])
    assert world.targets.is_any_open([ONE, TWO, OTHER])
    # A target that only rests is not shut: its provider is there.
    world.lease(OTHER).failed(FailureClass.BACKPRESSURE, 0.0, 60.0)
    assert world.targets.is_any_open([OTHER])
    world.clock.now = 6.0
    world.targets.standings["a"].checked(WELL)
    assert world.targets.is_any_open([ONE])
