"""When the circuit breaker of a target opens, and what it lets through when it is shut."""

from collections.abc import Callable

import pytest

from llmgateway_server.resilience.breaker import BreakerState, CircuitBreaker
from support.breakers import admitted, breaker, fail, succeed, time_out

CLOSED, OPEN = BreakerState.CLOSED, BreakerState.OPEN


def test_it_starts_closed_and_admits() -> None:
    machine = breaker()

    assert machine.state(0) is CLOSED
    assert machine.admits(0)
    assert machine.retry_at(7) == 7
    assert machine.share(0) == 1
    assert not admitted(machine.admit(0)).is_probe


@pytest.mark.parametrize("goes_wrong", [fail, time_out])
def test_five_failures_in_a_row_open_it(
    goes_wrong: Callable[[CircuitBreaker, float], None],
) -> None:
    machine = breaker()
    for second in range(4):
        goes_wrong(machine, second * 100)
    assert machine.state(300) is CLOSED

    goes_wrong(machine, 400)

    assert machine.state(400) is OPEN
    assert machine.admit(400) is None
    assert not machine.admits(400)
    assert machine.share(400) == 0
    assert machine.retry_at(400) == 405


def test_a_success_ends_the_run_of_failures() -> None:
    machine = breaker()
    for _ in range(3):
        for _ in range(4):
            fail(machine, 0)
        succeed(machine, 0, slow=True)

    assert machine.state(0) is CLOSED


def test_half_of_twenty_calls_failing_open_it() -> None:
    machine = breaker()
    for _ in range(9):
        succeed(machine, 0)
        fail(machine, 0)
    succeed(machine, 0)
    assert machine.state(0) is CLOSED

    fail(machine, 0)

    assert machine.state(0) is OPEN


def test_the_twentieth_call_may_open_it_although_it_went_well() -> None:
    machine = breaker()
    for _ in range(9):
        fail(machine, 0)
        succeed(machine, 0)
    fail(machine, 0)

    succeed(machine, 0)

    assert machine.state(0) is OPEN


def test_less_than_half_failing_do_not_open_it() -> None:
    machine = breaker()
    for _ in range(100):
        for _ in range(6):
            succeed(machine, 0)
        for _ in range(4):
            fail(machine, 0)

    assert machine.state(0) is CLOSED


def test_four_fifths_slow_open_it_although_all_are_answered() -> None:
    machine = breaker()
    for _ in range(4):
        succeed(machine, 0)
    for _ in range(15):
        succeed(machine, 0, slow=True)
    assert machine.state(0) is CLOSED

    succeed(machine, 0, slow=True)

    assert machine.state(0) is OPEN


def test_a_timeout_is_slow_and_no_fault() -> None:
    machine = breaker()
    for timeouts in (4, 4, 4, 3):
        succeed(machine, 0)
        for _ in range(timeouts):
            time_out(machine, 0)
    assert machine.state(0) is CLOSED, "15 of 19"

    succeed(machine, 0, slow=True)

    assert machine.state(0) is OPEN, "16 of 20"


@pytest.mark.parametrize(("now", "state"), [(29.9, OPEN), (30.0, CLOSED)])
def test_what_is_older_than_the_window_is_forgotten(now: float, state: BreakerState) -> None:
    machine = breaker()
    for _ in range(9):
        fail(machine, 0)
        succeed(machine, 0)
    succeed(machine, 0)

    fail(machine, now)

    assert machine.state(now) is state
