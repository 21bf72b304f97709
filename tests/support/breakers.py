"""Circuit breakers in the states that tests need, and the calls that bring them there."""

from llmgateway_server.domain.policies import BreakerSettings
from llmgateway_server.resilience.breaker import CircuitBreaker, Permit


def breaker(settings: BreakerSettings | None = None, random: float = 0.5) -> CircuitBreaker:
    """One whose time open is not moved: the middle of the jitter."""
    return CircuitBreaker(settings or BreakerSettings(), lambda: random)


def admitted(permit: Permit | None) -> Permit:
    assert permit is not None
    return permit


def succeed(machine: CircuitBreaker, now: float, *, slow: bool = False) -> None:
    machine.succeeded(admitted(machine.admit(now)), now, slow=slow)


def fail(machine: CircuitBreaker, now: float) -> None:
    machine.failed(admitted(machine.admit(now)), now)


def time_out(machine: CircuitBreaker, now: float) -> None:
    machine.timed_out(admitted(machine.admit(now)), now)


def opened(now: float = 0.0, settings: BreakerSettings | None = None) -> CircuitBreaker:
    machine = breaker(settings)
    for _ in range(5):
        fail(machine, now)
    return machine


def closed_again(now: float) -> CircuitBreaker:
    """One that opened 5 s before `now` and closes at `now`."""
    machine = opened(now - 5)
    for _ in range(3):
        succeed(machine, now)
    return machine
