"""Who is asked after which failure, when, and at what cost: the table of classes, row by row."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import RouteTarget, Target
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest, Routing
from llmgateway_server.gateway.gateway import Gateway
from support.attempt_rows import (
    BLOCKED,
    CONFLICT,
    FAULT,
    IMPATIENT,
    OK,
    ROWS,
    TIMEOUT,
    TOO_LONG,
    Row,
    limited,
)
from support.scripted_targets import (
    ASK,
    Outcome,
    ScriptedTarget,
    assert_idle,
    call,
    failure,
    gateway_with,
)
from support.virtual_time import run_virtual

ONE_ATTEMPT = Routing(max_attempts=1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_who_is_asked_and_when(row: Row) -> None:
    targets = {
        name: ScriptedTarget(*scripts, capabilities=Capabilities(row.windows.get(name)))
        for name, scripts in row.targets.items()
    }
    fields = dict(row.route)
    if row.blocked:
        fields["blocked_content"] = RouteTarget(Target(row.blocked, "m"))

    async def main() -> Outcome:
        gateway = gateway_with(targets, outside=row.blocked, **fields)
        request = GenerationRequest(ASK.model, ASK.messages, routing=row.routing)
        outcome = await call(
            gateway, request, within=row.within, previous_attempts=row.previous_attempts
        )
        await assert_idle(gateway, targets)
        return outcome

    outcome = run_virtual(main())
    log = targets["a"].log
    assert "".join(name for name, _ in log) == row.asked
    assert outcome.reason is row.reason
    times = [when for _, when in log]
    gaps = [after - before for before, after in pairwise(times)]
    assert len(gaps) >= len(row.gaps)
    for gap, (least, most) in zip(gaps, row.gaps, strict=False):
        assert least - 1e-6 <= gap <= most + 1e-6
    assert outcome.took <= row.within + 1e-6
    if outcome.error is None:
        assert outcome.answer.route.provider == row.asked[-1]
    else:
        # What had no words for the request was no attempt.
        made = "" if row.reason is Reason.CAPABILITY_UNSUPPORTED else row.asked
        assert "".join(each.provider for each in outcome.error.attempts) == made
        assert not outcome.error.partial_output_sent


def test_only_a_retry_after_a_fault_has_a_connection_of_its_own() -> None:
    async def main() -> None:
        for error, fresh in [(FAULT, True), (limited(1.0), False), (CONFLICT, False)]:
            a = ScriptedTarget(error, OK)
            await call(gateway_with({"a": a, "b": ScriptedTarget(OK)}))
            assert a.fresh == [False, fresh]

    run_virtual(main())


def budget_of(gateway: Gateway, name: str = "a") -> float:
    return gateway.targets.state(Target(name, "m")).budget.left


@pytest.mark.parametrize(
    ("error", "cost"), [(FAULT, 14.0), (limited(1.0), 5.0), (TIMEOUT, 14.0), (TOO_LONG, 5.0)]
)
def test_what_an_attempt_costs_the_target_that_failed_comes_back_with_the_answer(
    error: GatewayError, cost: float
) -> None:
    async def main() -> None:
        targets = {"a": ScriptedTarget(error, OK), "b": ScriptedTarget([1.0, *OK])}
        gateway = gateway_with(targets, **IMPATIENT)
        task = asyncio.ensure_future(call(gateway))
        await asyncio.sleep(0.5)
        seen = budget_of(gateway)
        assert (await task).error is None
        assert budget_of(gateway) == 500.0
        if targets["b"].asked:
            assert seen == 500.0 - cost

    run_virtual(main())


def test_an_attempt_that_came_to_nothing_stays_paid() -> None:
    async def main() -> None:
        gateway = gateway_with({"a": ScriptedTarget(FAULT), "b": ScriptedTarget(FAULT)})
        await call(gateway)
        assert budget_of(gateway, "a") == 500.0 - 2 * 14.0
        # Its failure had no attempt after it.
        assert budget_of(gateway, "b") == 500.0

    run_virtual(main())


def test_without_a_budget_calls_fail_fast() -> None:
    async def main() -> None:
        targets = {"a": ScriptedTarget(FAULT), "b": ScriptedTarget(OK)}
        gateway = gateway_with(targets)
        for name in targets:
            assert gateway.targets.state(Target(name, "m")).budget.take(487.0)
        outcome = await call(gateway)
        assert (outcome.reason, outcome.took) == (Reason.PROVIDER_ERROR, 0.0)
        assert targets["b"].asked == []

    run_virtual(main())


def test_a_target_that_is_well_pays_for_itself_where_the_failed_one_cannot() -> None:
    async def main() -> None:
        targets = {"a": ScriptedTarget(FAULT), "b": ScriptedTarget(OK)}
        gateway = gateway_with(targets)
        assert gateway.targets.state(Target("a", "m")).budget.take(487.0)
        assert (await call(gateway)).text == "hello"
        assert [len(targets[name].asked) for name in "ab"] == [1, 1]

    run_virtual(main())


def test_a_target_that_was_refused_rests_for_the_calls_after() -> None:
    async def main() -> None:
        for reason, rests in [
            (Reason.PROVIDER_CREDENTIALS_REJECTED, 300.0),
            (Reason.PROVIDER_QUOTA_EXHAUSTED, 300.0),
            (Reason.MODEL_NOT_FOUND, 60.0),
        ]:
            targets = {"a": ScriptedTarget(failure(reason)), "b": ScriptedTarget(OK)}
            gateway = gateway_with(targets)
            for _ in range(5):
                assert (await call(gateway)).text == "hello"
            assert len(targets["a"].asked) == 1
            await asyncio.sleep(rests - 1)
            await call(gateway)
            assert len(targets["a"].asked) == 1
            await asyncio.sleep(1)
            await call(gateway)
            assert len(targets["a"].asked) == 2

    run_virtual(main())


def test_a_refused_key_shuts_the_provider_s_other_targets_too() -> None:
    async def main() -> None:
        a = ScriptedTarget(failure(Reason.PROVIDER_CREDENTIALS_REJECTED), OK)
        gateway = gateway_with({"a": a})
        await call(gateway)
        outcome = await call(gateway, GenerationRequest("a/another", ASK.messages))
        assert outcome.reason is Reason.NO_PROVIDER_AVAILABLE
        assert len(a.asked) == 1

    run_virtual(main())


def test_a_target_for_blocked_content_that_rests_is_no_way_around_a_policy() -> None:
    async def main() -> None:
        targets = {
            "a": ScriptedTarget(BLOCKED),
            "b": ScriptedTarget(OK),
            "z": ScriptedTarget(limited(60.0)),
        }
        gateway = gateway_with(targets, outside="z", blocked_content=RouteTarget(Target("z", "m")))
        await call(gateway, GenerationRequest("z/m", ASK.messages, routing=ONE_ATTEMPT))
        targets["a"].log.clear()
        outcome = await call(gateway)
        assert outcome.reason is Reason.CONTENT_BLOCKED
        assert [name for name, _ in targets["a"].log] == ["a"]

    run_virtual(main())
