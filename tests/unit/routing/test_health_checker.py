"""The checks of providers, in virtual time: when they come, and what becomes of their results."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.catalog import ProviderEntry, ProviderState, Target
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderHealth
from llmgateway_server.resilience.failure import FailureClass
from llmgateway_server.routing.health_checker import HealthChecker
from llmgateway_server.routing.targets import Targets
from support.candidates import below_one
from support.money import FixedPrices
from support.provider import ScriptedProvider
from support.virtual_time import run_virtual

WELL = ProviderHealth(is_healthy=True, latency=0.1)
ILL = ProviderHealth(False, 0.1, Reason.PROVIDER_ERROR, "down")
SECRET = "sk-canary-4f0c2b9d7e"


class Checked(ScriptedProvider):
    """Its checks end one after the other as said, the last way for ever; `asked` has their times.

    A way is a result, an error, or seconds to wait before WELL.
    """

    def __init__(self, *ways: ProviderHealth | BaseException | float) -> None:
        super().__init__()
        self.asked: list[float] = []
        self.running = 0
        self.most_running = 0
        self._ways = ways

    async def validate(self, timers: Timers) -> ProviderHealth:
        del timers
        way = self._ways[min(len(self.asked), len(self._ways) - 1)]
        self.asked.append(asyncio.get_running_loop().time())
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if isinstance(way, BaseException):
                raise way
            if isinstance(way, ProviderHealth):
                return way
            await asyncio.sleep(way)
            return WELL
        finally:
            self.running -= 1


def targets_of(**providers: Checked) -> Targets:
    entries = {name: ProviderEntry(name, "scripted", True, Timers()) for name in providers}
    return Targets(entries, providers, FixedPrices(), asyncio.get_running_loop())


def is_healthy(targets: Targets, name: str = "p") -> bool:
    return targets.standings[name].is_healthy


def checking(
    body: Callable[[Targets], Awaitable[None]],
    *,
    rng: Callable[[], float] = lambda: 0.5,
    **providers: Checked,
) -> None:
    """Checks every 10 s while the body runs; nothing may be left of it."""

    async def main() -> None:
        targets = targets_of(**providers)
        checker = HealthChecker(targets, 10.0, rng)
        checker.start()
        await asyncio.sleep(0)
        try:
            await body(targets)
        finally:
            await checker.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert all(provider.running == 0 for provider in providers.values())

    run_virtual(main())


@given(st.lists(below_one, min_size=1, max_size=20))
def test_checks_are_an_interval_apart_give_or_take_a_fifth(draws: list[float]) -> None:
    provider = Checked(WELL)
    number = 0

    def drawn() -> float:
        nonlocal number
        number += 1
        return draws[number % len(draws)]

    async def body(_: Targets) -> None:
        await asyncio.sleep(130)

    checking(body, rng=drawn, p=provider)
    apart = [after - before for before, after in pairwise([0.0, *provider.asked])]
    assert len(apart) >= 10
    assert all(8.0 - 1e-9 <= pause < 12.0 + 1e-9 for pause in apart)


def test_the_bounds_of_the_jitter_are_reached() -> None:
    for draw, first in [(0.0, 8.0), (0.5, 10.0), (1.0, 12.0)]:
        provider = Checked(WELL)

        async def body(_: Targets) -> None:
            await asyncio.sleep(13)

        checking(body, rng=lambda draw=draw: draw, p=provider)  # type: ignore[misc]
        assert provider.asked == [pytest.approx(first)]


def test_results_reach_the_standing_of_their_own_provider() -> None:
    async def body(targets: Targets) -> None:
        assert is_healthy(targets, "a")
        await asyncio.sleep(11)
        assert not is_healthy(targets, "a")
        assert targets.status("a").state is ProviderState.DEGRADED
        assert is_healthy(targets, "b")
        await asyncio.sleep(10)
        assert is_healthy(targets, "a")
        assert targets.status("a").state is ProviderState.ACTIVE

    checking(body, a=Checked(ILL, WELL), b=Checked(WELL))


def test_a_good_check_opens_what_a_refused_key_has_shut_and_a_bad_one_does_not() -> None:
    async def body(targets: Targets) -> None:
        state = targets.state(Target("a", "m"))
        lease = state.lease(0.0, 0)
        assert lease is not None
        lease.failed(FailureClass.CREDENTIAL, 0.0)
        await asyncio.sleep(11)
        assert state.lease(11.0, 0) is None
        await asyncio.sleep(10)
        assert state.lease(21.0, 0) is not None

    checking(body, a=Checked(ILL, WELL))


def test_a_slow_check_keeps_only_its_own_provider_waiting_and_does_not_pile_up() -> None:
    slow, quick = Checked(14.0), Checked(WELL)

    async def body(_: Targets) -> None:
        await asyncio.sleep(100)

    checking(body, slow=slow, quick=quick)
    assert slow.most_running == 1
    assert slow.asked == [10.0, 34.0, 58.0, 82.0]
    assert len(quick.asked) == 10


def test_a_check_that_never_ends_is_given_up_and_made_again() -> None:
    provider = Checked(3600.0, 3600.0, WELL)

    async def body(targets: Targets) -> None:
        await asyncio.sleep(26)
        assert not is_healthy(targets)
        await asyncio.sleep(60)
        assert is_healthy(targets)

    checking(body, p=provider)
    assert provider.asked[:3] == [10.0, 35.0, 60.0]


@pytest.mark.parametrize(
    "error",
    [
        GatewayError(Reason.PROVIDER_ERROR, SECRET),
        RuntimeError(SECRET),
        TimeoutError(SECRET),
        ExceptionGroup(SECRET, [ValueError(SECRET)]),
        asyncio.InvalidStateError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_check_that_raises_is_a_bad_one_and_ends_no_checking(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = Checked(error, error, WELL)

    async def body(targets: Targets) -> None:
        await asyncio.sleep(21)
        assert len(provider.asked) == 2
        assert not is_healthy(targets)
        await asyncio.sleep(10)
        assert is_healthy(targets)

    checking(body, p=provider)
    assert SECRET not in caplog.text


def test_the_type_of_a_bug_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def body(_: Targets) -> None:
        await asyncio.sleep(11)

    checking(body, p=Checked(RuntimeError(SECRET)))
    (record,) = caplog.records
    assert record.getMessage() == "the check of p raised RuntimeError"
    assert record.exc_info is None


def test_stopping_cuts_a_check_off() -> None:
    async def body(_: Targets) -> None:
        await asyncio.sleep(11)

    provider = Checked(3600.0)
    checking(body, p=provider)
    assert provider.asked == [10.0]


def test_stopping_before_the_start_and_twice_does_nothing() -> None:
    async def main() -> None:
        checker = HealthChecker(targets_of(p=Checked(WELL)), 10.0)
        await checker.stop()
        checker.start()
        await checker.stop()
        await checker.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())
