"""Calls that share one upstream call: who asks, who pays, and who may leave."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.answer import CacheStatus
from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import TextDelta
from llmgateway_server.domain.request import (
    CacheMode,
    RecoveryMode,
    Routing,
)
from support.cached_calls import FAULT, SLOW, asking, done, gateway_over, status
from support.scripted_targets import (
    ASK,
    Outcome,
    ScriptedTarget,
    answer,
    call,
)
from support.virtual_time import run_virtual


def test_calls_that_bypass_the_cache_share_nothing() -> None:
    async def main() -> None:
        target = ScriptedTarget(SLOW)
        gateway = gateway_over(target)
        request = asking(CacheMode.BYPASS)
        outcomes = await asyncio.gather(*(call(gateway, request) for _ in range(5)))
        assert {status(each) for each in outcomes} == {CacheStatus.BYPASS}
        assert len(target.asked) == 5
        await done(gateway, target)

    run_virtual(main())


def test_only_joins_no_call_in_flight() -> None:
    async def main() -> None:
        target = ScriptedTarget(SLOW)
        gateway = gateway_over(target)
        first = asyncio.ensure_future(call(gateway))
        await asyncio.sleep(1.5)
        outcome = await call(gateway, asking(CacheMode.ONLY))
        assert outcome.reason is Reason.CAPABILITY_UNSUPPORTED
        assert (await first).text == "hello!"
        await done(gateway, target)

    run_virtual(main())


def test_tenants_share_neither_calls_nor_answers() -> None:
    async def main() -> None:
        target = ScriptedTarget(SLOW)
        gateway = gateway_over(target)
        tenants = ["x", "x", "y", "y", ""]
        outcomes = await asyncio.gather(*(call(gateway, tenant=each) for each in tenants))
        assert len(target.asked) == 3
        assert [status(each) for each in outcomes] == [
            CacheStatus.MISS,
            CacheStatus.SHARED,
            CacheStatus.MISS,
            CacheStatus.SHARED,
            CacheStatus.MISS,
        ]
        await asyncio.sleep(0.1)
        assert status(await call(gateway, tenant="x")) is CacheStatus.HIT
        assert status(await call(gateway, tenant="z")) is CacheStatus.MISS

    run_virtual(main())


def test_twenty_readers_are_one_call_upstream_and_one_in_the_accounts() -> None:
    async def main() -> None:
        target = ScriptedTarget(SLOW)
        gateway = gateway_over(target)

        async def late(number: int) -> Outcome:
            await asyncio.sleep(number * 0.14)
            return await call(gateway)

        outcomes = await asyncio.gather(*(late(number) for number in range(20)))
        assert {each.text for each in outcomes} == {"hello!"}
        assert [status(each) for each in outcomes].count(CacheStatus.SHARED) == 19
        assert len({each.answer.response_id for each in outcomes}) == 20
        assert len(target.asked) == 1
        account = gateway.accounts.totals()[Target("a", "m")]
        assert (account.answered.calls, account.wasted.calls) == (1, 0)
        # One of them pays for all.
        assert sum(each.answer.usage.cost_nano_usd or 0 for each in outcomes) == 13
        assert all(each.answer.usage.output_token_count == 5 for each in outcomes)
        await done(gateway, target)

    run_virtual(main())


def test_who_joins_late_has_what_came_before_at_once() -> None:
    async def main() -> None:
        target = ScriptedTarget(SLOW)
        gateway = gateway_over(target)
        first = asyncio.ensure_future(call(gateway))
        await asyncio.sleep(2.5)
        second = await call(gateway)
        assert (second.text, second.took) == ("hello!", 0.5)
        assert (await first).text == "hello!"
        await done(gateway, target)

    run_virtual(main())


def test_a_reader_that_goes_away_takes_nobody_with_it() -> None:
    async def main() -> None:
        target = ScriptedTarget(SLOW)
        gateway = gateway_over(target)
        leader = asyncio.ensure_future(call(gateway))
        await asyncio.sleep(0.5)
        follower = asyncio.ensure_future(call(gateway))
        await asyncio.sleep(1.0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        assert (await follower).text == "hello!"
        assert len(target.asked) == 1
        await done(gateway, target)

    run_virtual(main())


def test_the_last_reader_takes_the_call_with_it() -> None:
    async def main() -> None:
        target = ScriptedTarget(SLOW)
        gateway = gateway_over(target)
        readers = [asyncio.ensure_future(call(gateway)) for _ in range(3)]
        await asyncio.sleep(1.5)
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        await done(gateway, target)
        account = gateway.accounts.totals()[Target("a", "m")]
        assert (account.answered.calls, account.wasted.calls) == (0, 1)
        assert status(await call(gateway)) is CacheStatus.MISS

    run_virtual(main())


def test_a_failure_is_told_to_all_who_share_it_each_with_its_own_id() -> None:
    async def main() -> None:
        target = ScriptedTarget([1.0, FAULT])
        gateway = gateway_over(target)
        outcomes = await asyncio.gather(*(call(gateway) for _ in range(4)))
        assert {each.reason for each in outcomes} == {Reason.PROVIDER_ERROR}
        assert len({each.error.response_id for each in outcomes if each.error}) == 4
        # Twice: a fault is tried once more.
        assert len(target.asked) == 2
        await done(gateway, target)

    run_virtual(main())


def test_the_deadline_of_who_joins_late_moves_the_calls_own() -> None:
    async def main() -> None:
        target = ScriptedTarget([1.0, [TextDelta(0, "he")], 9.0, *answer("llo")])
        gateway = gateway_over(target)
        first = asyncio.ensure_future(call(gateway, within=4.0))
        await asyncio.sleep(2.0)
        second = await call(gateway, within=60.0)
        assert (second.text, second.took) == ("hello", 8.0)
        outcome = await first
        assert outcome.reason is Reason.DEADLINE_EXCEEDED
        assert outcome.took == pytest.approx(4.0, abs=0.1)
        assert outcome.error is not None
        assert outcome.error.partial_output_sent
        await done(gateway, target)

    run_virtual(main())


def test_a_deadline_that_joins_before_the_first_content_moves_it_too() -> None:
    async def main() -> None:
        target = ScriptedTarget([9.0, *answer()])
        gateway = gateway_over(target)
        first = asyncio.ensure_future(call(gateway, within=4.0))
        await asyncio.sleep(2.0)
        second = await call(gateway, within=60.0)
        assert (second.text, second.took) == ("hello", 7.0)
        assert (await first).reason is Reason.DEADLINE_EXCEEDED
        assert len(target.asked) == 1
        await done(gateway, target)

    run_virtual(main())


def test_calls_that_would_be_tried_otherwise_share_no_attempt_but_the_answer() -> None:
    """A caller that allows no recovery must not be given another's restart."""

    async def main() -> None:
        target = ScriptedTarget(SLOW)
        gateway = gateway_over(target)
        one_attempt = replace(ASK, routing=Routing(max_attempts=1))
        hasty = replace(ASK, routing=Routing(first_content_timeout=5.0))
        outcomes = await asyncio.gather(
            call(gateway, recovery=RecoveryMode.NONE),
            call(gateway, recovery=RecoveryMode.RESTART),
            call(gateway, one_attempt),
            call(gateway, hasty),
            call(gateway, previous_attempts=1),
        )
        assert {status(each) for each in outcomes} == {CacheStatus.MISS}
        assert len(target.asked) == 5
        await asyncio.sleep(0.1)
        assert status(await call(gateway, one_attempt)) is CacheStatus.HIT
        await done(gateway, target)

    run_virtual(main())


def test_shutting_down_ends_what_is_shared_and_waits_for_what_is_put_away() -> None:
    async def main() -> None:
        target = ScriptedTarget(answer(), SLOW)
        gateway = gateway_over(target)
        await call(gateway)
        other = replace(ASK, messages=(Message(Role.USER, (TextPart("who?"),)),))
        reader = asyncio.ensure_future(call(gateway, other))
        await asyncio.sleep(1.5)
        await gateway.shutdown()
        assert (await reader).reason is Reason.GATEWAY_DRAINING
        await done(gateway, target)

    run_virtual(main())
