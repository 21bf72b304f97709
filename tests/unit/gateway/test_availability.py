"""Availability over thousands of calls, in virtual time and with every timer as it is.

What the design promises: one of two providers flapping at 50 % costs at most one call in a
thousand, nothing is said twice, and attempts stay within 1.2 a call.
"""

import random
import time
from collections.abc import Sequence

import pytest

from llmgateway_server.domain.policies import BreakerSettings
from llmgateway_server.domain.request import RecoveryMode, Sampling
from support.planned import (
    Outcome,
    Plan,
    PlannedProvider,
    answer,
    call,
    cut_after,
    fault,
    gateway_between,
    traffic,
)
from support.provider import Step
from support.virtual_time import run_virtual

CALLS = 10_000
SAME = [f"token{number} " for number in range(8)]
OTHER = [f"word{number} " for number in range(8)]
DETERMINISTIC = Sampling(temperature=0.0)


def broken(number: int, kind: str, tokens: Sequence[str]) -> list[Step]:
    """The ways in which a flapping provider fails, one after the other where all are meant."""
    kinds = ["500", "reset", "cut"]
    match kinds[number % 3] if kind == "all" else kind:
        case "500":
            return [0.02, fault("a")]
        case "reset":
            return [fault("a", 0)]
        case _:
            return cut_after(answer(tokens), 1 + number % 7, fault("a", 200))


def coin_flips(kind: str, tokens: Sequence[str]) -> Plan:
    """Every attempt fails with a chance of a half."""
    coins = random.Random(20261124)

    def plan(number: int, now: float) -> Sequence[Step]:
        del now
        return broken(number, kind, tokens) if coins.random() < 0.5 else answer(tokens)

    return plan


def five_seconds(kind: str, tokens: Sequence[str]) -> Plan:
    """Five seconds up, five seconds down."""

    def plan(number: int, now: float) -> Sequence[Step]:
        return broken(number, kind, tokens) if now % 10.0 >= 5.0 else answer(tokens)

    return plan


class Figures:
    """What all calls came to."""

    def __init__(self, outcomes: Sequence[Outcome], *providers: PlannedProvider) -> None:
        self.answered = sum(outcome.is_whole for outcome in outcomes) / len(outcomes)
        self.texts = {outcome.text for outcome in outcomes if outcome.is_whole}
        self.amplification = sum(len(each.times) for each in providers) / len(outcomes)
        self.first = len(providers[0].times) / len(outcomes)
        waits = sorted(outcome.first_after for outcome in outcomes if outcome.is_whole)
        self.first_content_p99 = waits[len(waits) * 99 // 100] if waits else 0.0

    def __repr__(self) -> str:
        return (
            f"answered {self.answered:.2%}, attempts a call {self.amplification:.3f} "
            f"(first target {self.first:.3f}), first content p99 {self.first_content_p99:.3f} s"
        )


def flapping(
    plan: Plan, other: Sequence[str], recovery: RecoveryMode, sampling: Sampling
) -> Figures:
    async def main() -> Figures:
        a = PlannedProvider(plan)
        b = PlannedProvider(lambda number, now: answer(other))
        gateway = gateway_between({"a": a, "b": b})
        outcomes = await traffic(gateway, CALLS, recovery=recovery, sampling=sampling)
        assert gateway.gate.in_flight == 0
        return Figures(outcomes, a, b)

    random.seed(7)
    return run_virtual(main())


@pytest.mark.parametrize("flaps", [coin_flips, five_seconds], ids=lambda flaps: flaps.__name__)
@pytest.mark.parametrize("kind", ["500", "reset", "cut", "all"])
def test_one_of_two_flapping_is_answered_by_splice(flaps: object, kind: str) -> None:
    """Pain 33, and the availability of the design's page on faults."""
    assert callable(flaps)
    figures = flapping(flaps(kind, SAME), SAME, RecoveryMode.CONTINUE, DETERMINISTIC)

    assert figures.answered >= 0.999, figures
    assert figures.texts == {"".join(SAME)}, figures
    assert figures.amplification <= 1.2, figures


@pytest.mark.parametrize("flaps", [coin_flips, five_seconds], ids=lambda flaps: flaps.__name__)
@pytest.mark.parametrize("kind", ["cut", "all"])
def test_one_of_two_flapping_is_answered_by_restart(flaps: object, kind: str) -> None:
    assert callable(flaps)
    figures = flapping(flaps(kind, SAME), OTHER, RecoveryMode.RESTART, Sampling())

    assert figures.answered >= 0.999, figures
    assert figures.texts <= {"".join(SAME), "".join(OTHER)}, figures
    assert figures.amplification <= 1.2, figures


def down(number: int, now: float) -> Sequence[Step]:
    del number, now
    return [0.02, fault("x")]


# Breakers that never open show what the retry budget alone is worth.
NO_BREAKER = BreakerSettings(minimum_calls=10**6, consecutive=10**6)


@pytest.mark.parametrize("breaker", [None, NO_BREAKER], ids=["breaker", "budget alone"])
def test_all_down_is_not_multiplied_and_fails_fast(breaker: BreakerSettings | None) -> None:
    """Pain 33: an outage is not made worse by retries, once the budget for them is spent."""

    async def main() -> tuple[int, int, list[Outcome]]:
        a, b = PlannedProvider(down), PlannedProvider(down)
        gateway = gateway_between({"a": a, "b": b}, breaker=breaker)
        # Both budgets together are good for 71 more attempts: 500 / 14 each.
        begun = await traffic(gateway, 100)
        spent = len(a.times) + len(b.times)
        outcomes = await traffic(gateway, 1_200)
        assert not any(outcome.is_whole for outcome in (*begun, *outcomes))
        return spent, len(a.times) + len(b.times) - spent, outcomes

    random.seed(7)
    spent, attempts, outcomes = run_virtual(main())
    assert spent <= 100 + 2 * 36
    assert attempts <= 1.2 * len(outcomes)
    if breaker is None:
        # A minute of one last resort a second, and of some probes.
        assert attempts <= 2 * 60
        untried = [outcome.took for outcome in outcomes if outcome.attempts == 0]
        assert len(untried) >= 0.9 * len(outcomes)
        assert max(untried) == 0.0


def test_a_call_that_finds_everyone_down_costs_less_than_ten_milliseconds() -> None:
    """Real time, all of it the processor's."""

    async def main() -> list[float]:
        gateway = gateway_between({"a": PlannedProvider(down), "b": PlannedProvider(down)})
        await traffic(gateway, 100, rate=1000.0)
        took = []
        for _ in range(500):
            began = time.perf_counter()
            assert (await call(gateway)).error is not None
            took.append(time.perf_counter() - began)
        return took

    took = sorted(run_virtual(main()))
    assert took[len(took) // 2] < 0.010
    assert took[len(took) * 95 // 100] < 0.010


@pytest.mark.parametrize("seed", range(5))
def test_a_primary_that_was_down_for_a_minute_is_back_within_half_a_minute(seed: int) -> None:
    """Pains 29 and 34: half-open closes again, and traffic comes back step by step."""

    def plan(number: int, now: float) -> Sequence[Step]:
        del number
        return [0.02, fault("a")] if 10.0 <= now < 70.0 else answer(SAME)

    async def main() -> tuple[PlannedProvider, list[Outcome]]:
        a = PlannedProvider(plan)
        b = PlannedProvider(lambda number, now: answer(SAME))
        gateway = gateway_between({"a": a, "b": b})
        return a, await traffic(gateway, 2_600)

    random.seed(seed)
    a, outcomes = run_virtual(main())
    assert all(outcome.is_whole for outcome in outcomes)
    # Five failures open it, each asked twice; then one probe at a time, ever more seldom.
    while_down = [moment for moment in a.times if 10.0 <= moment < 70.0]
    assert len(while_down) <= 16
    opened = while_down[0] + 1.0
    assert sum(moment > opened for moment in while_down) <= 5
    back = [outcome.began for outcome in outcomes if outcome.provider == "a"]
    again = next(moment for moment in back if moment >= 70.0)
    assert again - 70.0 <= 30.0
    # Ten seconds after that all traffic is where it was.
    later = [outcome.provider for outcome in outcomes if outcome.began >= again + 12.0]
    assert len(later) >= 100
    assert set(later) == {"a"}
    # In between it is neither nothing nor everything at once.
    ramp = [outcome.provider for outcome in outcomes if again + 1.0 <= outcome.began < again + 6.0]
    assert 0.1 <= ramp.count("a") / len(ramp) <= 0.8


def test_silence_for_two_minutes_costs_ten_seconds_and_one_attempt() -> None:
    """Pains 17 and 32, with the timers as they are."""

    async def main() -> tuple[PlannedProvider, Outcome]:
        a = PlannedProvider(lambda number, now: answer(SAME, first=120.0))
        b = PlannedProvider(lambda number, now: answer(SAME))
        return a, await call(gateway_between({"a": a, "b": b}))

    a, outcome = run_virtual(main())
    assert (outcome.is_whole, outcome.provider, outcome.attempts) == (True, "b", 2)
    assert outcome.first_after == pytest.approx(10.1)
    assert len(a.times) == 1


def test_a_first_token_after_twenty_seconds_is_overtaken() -> None:
    """Pain 14: start-up frames do not move the timer on."""

    async def main() -> tuple[PlannedProvider, Outcome]:
        late: list[Step] = [0.1, [], 10.0, [], 9.9, *answer(SAME)[1:]]
        a = PlannedProvider(lambda number, now: late)
        b = PlannedProvider(lambda number, now: answer(SAME))
        return a, await call(gateway_between({"a": a, "b": b}))

    a, outcome = run_virtual(main())
    assert (outcome.is_whole, outcome.provider) == (True, "b")
    assert outcome.first_after <= 15.0
    assert len(a.times) == 1


def test_a_target_that_usually_takes_long_is_given_four_times_that() -> None:
    """Pain 14: healthy answers that take long to begin are not killed."""

    async def main() -> list[Outcome]:
        firsts = [4.0] * 20 + [15.0]
        a = PlannedProvider(lambda number, now: answer(SAME, first=firsts[number]))
        b = PlannedProvider(lambda number, now: answer(SAME))
        gateway = gateway_between({"a": a, "b": b})
        return [await call(gateway) for _ in firsts]

    assert {outcome.provider for outcome in run_virtual(main())} == {"a"}
