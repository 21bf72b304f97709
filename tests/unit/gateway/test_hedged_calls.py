"""Hedged calls: what they give, cost and leave behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import TextDelta
from llmgateway_server.domain.policies import HedgePolicy
from llmgateway_server.domain.request import CallOptions, RecoveryMode
from llmgateway_server.gateway.gateway import Gateway
from support.money import PRICES, FixedPrices
from support.scripted_targets import (
    ASK,
    Outcome,
    ScriptedTarget,
    answer,
    assert_idle,
    call,
    failure,
    gateway_with,
)
from support.virtual_time import run_virtual

SLOW = [30.0, *answer("slow")]
AFTER_ONE = HedgePolicy(after=1.0, budget=1.0)


async def hedged_call(
    a: ScriptedTarget, b: ScriptedTarget, **route: Any
) -> tuple[Outcome, Gateway]:
    targets = {"a": a, "b": b}
    fields = {"hedge": AFTER_ONE, "recovery": RecoveryMode.NONE, **route}
    gateway = gateway_with(targets, prices=FixedPrices(PRICES), **fields)
    outcome = await call(gateway)
    await assert_idle(gateway, targets)
    return outcome, gateway


def wasted(gateway: Gateway, provider: str) -> int:
    account = gateway.accounts.totals().get(Target(provider, "m"))
    return account.wasted.calls if account is not None else 0


def test_a_slow_target_is_hedged_and_everything_given_back() -> None:
    async def main() -> None:
        outcome, gateway = await hedged_call(ScriptedTarget(SLOW), ScriptedTarget(answer("quick")))
        assert (outcome.text, outcome.took) == ("quick", 1.0)
        assert outcome.answer.route.provider == "b"
        assert outcome.answer.route.attempt_count == 2
        assert wasted(gateway, "a") == 1

    run_virtual(main())


def test_a_hedge_that_comes_second_costs_and_is_given_back() -> None:
    async def main() -> None:
        a, b = ScriptedTarget([2.0, *answer("a")]), ScriptedTarget(SLOW)
        outcome, gateway = await hedged_call(a, b)
        assert (outcome.text, outcome.took) == ("a", 2.0)
        assert wasted(gateway, "b") == 1

    run_virtual(main())


def test_a_loser_s_cost_is_in_the_answers_usage_even_if_that_came_at_once() -> None:
    async def main() -> None:
        b = ScriptedTarget([[TextDelta(0, "quick"), Usage(3, 5), Finish(FinishReason.STOP)]])
        outcome, gateway = await hedged_call(ScriptedTarget(SLOW), b)
        burnt = gateway.accounts.totals()[Target("a", "m")].wasted
        usage = outcome.answer.usage
        assert burnt.input_token_count > 0
        assert usage.input_token_count == 3 + burnt.input_token_count

    run_virtual(main())


def test_a_first_that_fails_beside_its_hedge_is_noted() -> None:
    async def main() -> None:
        a = ScriptedTarget([2.0, failure(Reason.PROVIDER_ERROR)])
        outcome, _ = await hedged_call(a, ScriptedTarget([5.0, *answer("b")]))
        assert (outcome.text, outcome.took) == ("b", 6.0)
        assert len(a.asked) == 1

    run_virtual(main())


def test_where_both_fail_a_third_is_asked_for_or_the_call_fails() -> None:
    async def main() -> None:
        a = ScriptedTarget([2.0, failure(Reason.PROVIDER_TIMEOUT)])
        b = ScriptedTarget([5.0, failure(Reason.PROVIDER_TIMEOUT)])
        outcome, _ = await hedged_call(a, b)
        assert outcome.reason is Reason.PROVIDER_TIMEOUT
        assert outcome.error is not None
        assert [each.provider for each in outcome.error.attempts] == ["a", "b"]
        assert (len(a.asked), len(b.asked), outcome.took) == (1, 1, 6.0)

    run_virtual(main())


@pytest.mark.parametrize("moment", [0.0, 0.5, 1.0, 5.0])
def test_a_caller_that_goes_away_leaves_nothing_behind(moment: float) -> None:
    async def main() -> None:
        targets = {"a": ScriptedTarget(SLOW), "b": ScriptedTarget(SLOW)}
        gateway = gateway_with(targets, prices=FixedPrices(PRICES), hedge=AFTER_ONE)
        task = asyncio.ensure_future(call(gateway))
        await asyncio.sleep(moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_idle(gateway, targets)

    run_virtual(main())


def test_no_hedge_without_a_price_or_above_the_cap() -> None:
    async def main() -> None:
        for prices, policy in [
            (FixedPrices(), AFTER_ONE),
            (FixedPrices(PRICES), HedgePolicy(after=1.0, budget=1.0, max_cost_nano_usd=1)),
        ]:
            targets = {"a": ScriptedTarget([5.0, *answer("a")]), "b": ScriptedTarget(answer("b"))}
            gateway = gateway_with(targets, prices=prices, hedge=policy)
            assert (await call(gateway)).text == "a"
            assert targets["b"].asked == []

    run_virtual(main())


def test_hedges_never_exceed_their_share_of_the_calls() -> None:
    async def main() -> None:
        targets = {"a": ScriptedTarget([2.0, *answer("a")]), "b": ScriptedTarget(answer("b"))}
        policy = HedgePolicy(after=1.0, budget=0.05)
        gateway = gateway_with(targets, prices=FixedPrices(PRICES), hedge=policy)
        for _ in range(100):
            await call(gateway)
        assert len(targets["b"].asked) in {4, 5}

    run_virtual(main())


def test_a_hedged_stream_goes_on_like_any_other() -> None:
    async def main() -> None:
        b = ScriptedTarget([[TextDelta(0, "he")], 1.0, [TextDelta(0, "llo")], *answer("!")])
        outcome, _ = await hedged_call(ScriptedTarget(SLOW), b)
        assert outcome.text == "hello!"
        assert outcome.answer.usage.output_token_count >= Usage(3, 5).output_token_count

    run_virtual(main())


def test_a_reader_that_closes_early_gives_both_places_back() -> None:
    async def main() -> None:
        targets = {
            "a": ScriptedTarget(SLOW),
            "b": ScriptedTarget([[TextDelta(0, "he")], 60.0]),
        }
        gateway = gateway_with(targets, prices=FixedPrices(PRICES), hedge=AFTER_ONE)
        generation = await gateway.generate(ASK, CallOptions(600.0))
        await generation.read()
        generation.close()
        await assert_idle(gateway, targets)

    run_virtual(main())
