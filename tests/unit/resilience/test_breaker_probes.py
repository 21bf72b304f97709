"""How the circuit breaker of a target closes again: its time open, probes, last resorts, ramp."""

from collections.abc import Callable

import pytest

from llmgateway_server.domain.policies import BreakerSettings
from llmgateway_server.resilience.breaker import BreakerState, CircuitBreaker
from support.breakers import admitted, breaker, closed_again, fail, opened, succeed, time_out

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 4.5), (0.5, 5.0), (0.75, 5.25)])
def test_the_time_open_is_moved_by_a_tenth_at_most(random: float, seconds: float) -> None:
    machine = breaker(random=random)
    for _ in range(5):
        fail(machine, 100)

    assert machine.retry_at(100) == pytest.approx(100 + seconds)


def test_it_is_half_open_when_its_time_is_over() -> None:
    machine = opened()

    assert machine.state(4.999) is OPEN
    assert machine.state(5) is HALF_OPEN
    assert machine.admits(5)
    assert machine.share(5) == 1
    assert machine.state(4.999) is OPEN, "asking changes nothing"


def test_half_open_it_lets_one_probe_through_at_a_time() -> None:
    machine = opened()

    probe = admitted(machine.admit(5))
    assert probe.is_probe
    assert machine.admit(6) is None
    assert not machine.admits(6)
    assert machine.retry_at(6) == 7

    machine.succeeded(probe, 6)
    assert machine.admits(6)
    assert machine.state(6) is HALF_OPEN


def test_three_probes_that_succeed_close_it_even_slow_ones() -> None:
    machine = opened()
    succeed(machine, 5)
    succeed(machine, 6, slow=True)
    assert machine.state(6) is HALF_OPEN

    succeed(machine, 7)

    assert machine.state(7) is CLOSED


@pytest.mark.parametrize("goes_wrong", [fail, time_out])
def test_one_probe_that_fails_opens_it_for_twice_as_long(
    goes_wrong: Callable[[CircuitBreaker, float], None],
) -> None:
    machine = opened()
    succeed(machine, 5)
    succeed(machine, 5)

    goes_wrong(machine, 5)

    assert machine.state(5) is OPEN
    assert machine.retry_at(5) == 15


def test_the_time_open_doubles_to_thirty_seconds() -> None:
    machine = opened()
    now = 0.0
    waits = []
    for _ in range(5):
        waits.append(machine.retry_at(now) - now)
        now = machine.retry_at(now)
        fail(machine, now)

    assert waits == [5, 10, 20, 30, 30]


def test_a_probe_that_is_released_gives_its_slot_back_and_decides_nothing() -> None:
    machine = opened()
    succeed(machine, 5)
    for _ in range(10):
        machine.released(admitted(machine.admit(5)))
        assert machine.state(5) is HALF_OPEN
        assert machine.admits(5)
    succeed(machine, 5)
    assert machine.state(5) is HALF_OPEN

    succeed(machine, 5)

    assert machine.state(5) is CLOSED


def test_calls_that_are_released_never_open_it() -> None:
    machine = breaker()
    for _ in range(4):
        fail(machine, 0)
    for _ in range(100):
        machine.released(admitted(machine.admit(0)))
    assert machine.state(0) is CLOSED

    fail(machine, 0)

    assert machine.state(0) is OPEN, "a release does not end the run either"


def test_what_was_counted_before_it_opened_is_forgotten_when_it_closes() -> None:
    machine = closed_again(5)
    for _ in range(4):
        fail(machine, 5)

    assert machine.state(5) is CLOSED


def test_after_closing_the_share_rises_from_a_tenth_over_ten_seconds() -> None:
    machine = closed_again(5)

    assert machine.share(5) == pytest.approx(0.1)
    assert machine.share(10) == pytest.approx(0.55)
    assert machine.share(14.999) < 1
    assert machine.share(15) == 1


def test_without_a_ramp_the_whole_share_is_back_at_once() -> None:
    machine = opened(settings=BreakerSettings(ramp=0.0, probes=1))

    succeed(machine, 5)

    assert machine.share(5) == 1


@pytest.mark.parametrize(("closed_for", "seconds"), [(29.0, 10), (30.0, 5)])
def test_a_window_without_opening_forgives_the_long_times(closed_for: float, seconds: int) -> None:
    machine = opened()
    fail(machine, 5)
    for _ in range(3):
        succeed(machine, 15)

    now = 15 + closed_for
    for _ in range(5):
        fail(machine, now)

    assert machine.retry_at(now) == now + seconds


def test_results_of_calls_from_before_a_change_of_state_do_not_count() -> None:
    machine = breaker()
    early = [admitted(machine.admit(0)) for _ in range(20)]
    for _ in range(5):
        fail(machine, 0)
    for permit in early[:5]:
        machine.succeeded(permit, 5)
    assert machine.state(5) is HALF_OPEN
    machine.failed(early[5], 5)
    assert machine.state(5) is HALF_OPEN

    for _ in range(3):
        succeed(machine, 5)
    for permit in early[6:]:
        machine.failed(permit, 5)

    assert machine.state(5) is CLOSED


def test_a_permit_settles_once() -> None:
    machine = opened()
    probe = admitted(machine.admit(5))
    machine.released(probe)
    machine.succeeded(probe, 5)
    machine.failed(probe, 5)
    machine.timed_out(probe, 5)
    assert machine.state(5) is HALF_OPEN

    probe = admitted(machine.admit(5))
    for _ in range(5):
        machine.succeeded(probe, 5)

    assert machine.state(5) is HALF_OPEN


def test_a_second_settling_does_not_free_the_slot_of_another_probe() -> None:
    machine = opened()
    first = admitted(machine.admit(5))
    machine.succeeded(first, 5)
    admitted(machine.admit(5))

    machine.released(first)

    assert not machine.admits(5)


def test_once_a_second_a_call_goes_through_as_the_last_resort() -> None:
    machine = opened()

    times = [t / 10 for t in range(40) if machine.admit_last_resort(t / 10) is not None]

    assert times == [0, 1, 2, 3]


def test_a_last_resort_that_fails_changes_nothing() -> None:
    machine = opened()
    for second in range(5):
        permit = admitted(machine.admit_last_resort(second))
        assert permit.is_probe
        machine.failed(permit, second)

    assert machine.retry_at(4.5) == 5


def test_a_last_resort_that_succeeds_makes_it_half_open_with_one_success() -> None:
    machine = opened()

    machine.succeeded(admitted(machine.admit_last_resort(1)), 1)

    assert machine.state(1) is HALF_OPEN
    succeed(machine, 1)
    assert machine.state(1) is HALF_OPEN
    succeed(machine, 1)
    assert machine.state(1) is CLOSED


def test_where_one_probe_is_enough_a_last_resort_that_succeeds_closes_it() -> None:
    machine = opened(settings=BreakerSettings(probes=1))

    machine.succeeded(admitted(machine.admit_last_resort(1)), 1)

    assert machine.state(1) is CLOSED


def test_a_last_resort_goes_past_a_slot_that_is_taken_and_counts_like_a_probe() -> None:
    machine = opened()
    probe = admitted(machine.admit(5))

    last_resort = admitted(machine.admit_last_resort(5))
    assert machine.admit_last_resort(5.9) is None
    machine.succeeded(last_resort, 5.9)
    assert not machine.admits(5.9), "the slot is the first probe's"
    machine.succeeded(probe, 5.9)
    succeed(machine, 5.9)

    assert machine.state(5.9) is CLOSED


def test_a_last_resort_of_a_breaker_that_admits_is_an_ordinary_permit() -> None:
    assert not admitted(breaker().admit_last_resort(0)).is_probe

    machine = opened()
    admitted(machine.admit_last_resort(5))
    assert not machine.admits(5), "it took the slot"


def test_the_slot_is_taken_until_its_probe_is_settled_whatever_happens_meanwhile() -> None:
    machine = opened()
    probe = admitted(machine.admit(5))
    machine.failed(admitted(machine.admit_last_resort(5)), 5)
    assert machine.state(5) is OPEN

    assert machine.state(15) is HALF_OPEN
    assert machine.admit(15) is None
    machine.failed(probe, 15)

    assert machine.state(15) is HALF_OPEN, "its result is of before"
    assert machine.admits(15)


def test_a_last_resort_that_outlives_the_half_open_state_does_not_count() -> None:
    machine = opened()
    probe = admitted(machine.admit(5))
    last_resort = admitted(machine.admit_last_resort(5))
    machine.succeeded(probe, 5)
    succeed(machine, 5)
    succeed(machine, 5)
    for _ in range(4):
        fail(machine, 5)

    machine.failed(last_resort, 5)

    assert machine.state(5) is CLOSED


def test_time_that_goes_back_stands_still() -> None:
    machine = opened(100)
    assert machine.admit(50) is None
    assert machine.state(50) is OPEN
    admitted(machine.admit_last_resort(100))
    assert machine.admit_last_resort(0) is None

    probe = admitted(machine.admit(105))
    machine.succeeded(probe, 0)

    assert machine.state(0) is HALF_OPEN
