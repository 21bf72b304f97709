"""Who is asked first, and what is told where nobody can be: resting, shut, full, or too slow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import TextDelta
from llmgateway_server.domain.policies import TargetLimits
from llmgateway_server.domain.request import GenerationRequest, Routing
from llmgateway_server.gateway.gateway import Gateway
from support.attempt_rows import FAULT, IMPATIENT, OK, limited
from support.scripted_targets import (
    ASK,
    Script,
    ScriptedTarget,
    answer,
    assert_idle,
    call,
    gateway_with,
)
from support.virtual_time import run_virtual

ONE_ATTEMPT = GenerationRequest(ASK.model, ASK.messages, routing=Routing(max_attempts=1))


def test_where_all_rest_a_patient_call_waits() -> None:
    async def main() -> None:
        targets = {"a": ScriptedTarget(limited(9.0), OK), "b": ScriptedTarget(limited(2.0), OK)}
        gateway = gateway_with(targets)
        assert (await call(gateway, ONE_ATTEMPT)).reason is Reason.PROVIDER_RATE_LIMITED
        assert (await call(gateway, ONE_ATTEMPT)).reason is Reason.PROVIDER_RATE_LIMITED
        outcome = await call(gateway)
        assert (outcome.text, outcome.took) == ("hello", 2.0)
        assert targets["b"].asked == [0.0, 2.0]
        await assert_idle(gateway, targets)

    run_virtual(main())


@pytest.mark.parametrize(
    ("retry_after", "within", "route"),
    [(30.0, 600.0, {}), (2.0, 600.0, IMPATIENT), (2.5, 2.0, {})],
)
def test_where_all_rest_for_too_long_the_caller_is_told_when_to_come_again(
    retry_after: float, within: float, route: Mapping[str, Any]
) -> None:
    async def main() -> None:
        targets = {name: ScriptedTarget(limited(retry_after)) for name in "ab"}
        gateway = gateway_with(targets, **route)
        for _ in targets:
            await call(gateway, ONE_ATTEMPT)
        outcome = await call(gateway, within=within)
        assert (outcome.reason, outcome.took) == (Reason.PROVIDER_RATE_LIMITED, 0.0)
        assert outcome.error is not None
        assert outcome.error.retry_after is not None
        assert retry_after <= outcome.error.retry_after <= 1.25 * retry_after
        assert outcome.error.attempts == ()
        assert len(targets["a"].log) == 2

    run_virtual(main())


def test_of_calls_that_wait_for_the_same_moment_none_is_lost() -> None:
    async def main() -> None:
        targets = {"a": ScriptedTarget(limited(2.0), OK)}
        gateway = gateway_with(targets)
        await call(gateway, ONE_ATTEMPT)
        outcomes = await asyncio.gather(*(call(gateway) for _ in range(20)))
        assert [each.text for each in outcomes] == ["hello"] * 20
        await assert_idle(gateway, targets)

    run_virtual(main())


def test_where_all_breakers_are_open_one_call_a_second_is_the_last_resort() -> None:
    async def main() -> None:
        targets = {"a": ScriptedTarget(FAULT), "b": ScriptedTarget(FAULT)}
        gateway = gateway_with(targets)
        while gateway.route_is_open("words"):
            await call(gateway, ONE_ATTEMPT)
        log = targets["a"].log
        log.clear()
        for seconds in range(3):
            outcomes = await asyncio.gather(*(call(gateway, within=9.0) for _ in range(10)))
            assert len(log) == seconds + 1
            reasons = [each.reason for each in outcomes]
            assert reasons.count(Reason.PROVIDER_ERROR) == 1
            assert reasons.count(Reason.NO_PROVIDER_AVAILABLE) == 9
            shut = [each for each in outcomes if each.reason is Reason.NO_PROVIDER_AVAILABLE]
            assert all(each.took == 0.0 for each in shut)
            assert all(each.error and (each.error.retry_after or 0) > 0 for each in shut)
            await asyncio.sleep(1.0)
        await assert_idle(gateway, targets)

    run_virtual(main())


def test_a_last_resort_that_is_answered_is_an_answer() -> None:
    async def main() -> None:
        targets = {"a": ScriptedTarget(*[FAULT] * 5, OK)}
        gateway = gateway_with(targets)
        while gateway.route_is_open("words"):
            await call(gateway, ONE_ATTEMPT)
        assert (await call(gateway)).text == "hello"

    run_virtual(main())


def learn(gateway: Gateway, name: str, seconds: float) -> None:
    """The target's usual time to first token."""
    state = gateway.targets.state(Target(name, "m"))
    for _ in range(20):
        lease = state.lease(0.0, 0)
        assert lease is not None
        lease.first_content(seconds, slow_after=600.0)
        lease.release(seconds)


def test_nobody_is_asked_with_less_time_left_than_it_usually_takes() -> None:
    async def main() -> None:
        targets = {"a": ScriptedTarget(OK), "b": ScriptedTarget(OK)}
        gateway = gateway_with(targets)
        learn(gateway, "a", 5.0)
        await call(gateway, within=4.0)
        await call(gateway, within=6.0)
        learn(gateway, "b", 5.0)
        outcome = await call(gateway, within=4.0)
        assert (outcome.reason, outcome.took) == (Reason.DEADLINE_EXCEEDED, 0.0)
        assert [name for name, _ in targets["a"].log] == ["b", "a"]

    run_virtual(main())


def test_no_second_attempt_begins_with_less_time_left_than_it_usually_takes() -> None:
    async def main() -> None:
        a = ScriptedTarget([4.0, FAULT], OK)
        targets = {"a": a, "b": ScriptedTarget(OK)}
        gateway = gateway_with(targets)
        learn(gateway, "a", 5.0)
        learn(gateway, "b", 5.0)
        outcome = await call(gateway, within=8.0)
        assert outcome.reason is Reason.PROVIDER_ERROR
        assert len(a.log) == 1

    run_virtual(main())


def test_who_is_full_is_passed_over_and_where_all_are_the_gateway_says_so() -> None:
    async def main() -> None:
        held: Script = [[TextDelta(0, "he")], 5.0, *answer("llo")]
        targets = {"a": ScriptedTarget(held), "b": ScriptedTarget(held)}
        gateway = gateway_with(targets, providers={"limits": TargetLimits(in_flight=1)})
        first = asyncio.ensure_future(call(gateway))
        second = asyncio.ensure_future(call(gateway))
        await asyncio.sleep(1)
        outcome = await call(gateway)
        assert (outcome.reason, outcome.took) == (Reason.GATEWAY_OVERLOADED, 0.0)
        assert [name for name, _ in targets["a"].log] == ["a", "b"]
        assert [(await each).text for each in (first, second)] == ["hello", "hello"]
        assert (await call(gateway)).text == "hello"
        await assert_idle(gateway, targets)

    run_virtual(main())
