"""The response cache of a gateway: what is kept, for whom, and who is answered by it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.answer import CacheStatus, Finish, FinishReason, Usage
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import Recovery, RecoveryKind, TextDelta
from llmgateway_server.domain.policies import CachePolicy
from llmgateway_server.domain.request import (
    CacheMode,
    GenerationRequest,
    RecoveryMode,
)
from support.cached_calls import FAULT, KEPT, SLOW, asking, done, gateway_over, status
from support.scripted_targets import (
    ASK,
    Outcome,
    Script,
    ScriptedTarget,
    answer,
    call,
)
from support.virtual_time import run_virtual


async def both(
    target: ScriptedTarget,
    first: GenerationRequest,
    second: GenerationRequest,
    cache: CachePolicy | None = KEPT,
) -> list[Outcome]:
    """Two calls, one after the other."""
    gateway = gateway_over(target, cache)
    outcomes = []
    for request in (first, second):
        outcomes.append(await call(gateway, request))
        # Answers are put away beside the call.
        await asyncio.sleep(0.1)
    await done(gateway, target)
    return outcomes


def test_the_second_of_two_is_a_hit_that_costs_nothing_and_asks_nobody() -> None:
    async def main() -> None:
        target = ScriptedTarget(SLOW)
        miss, hit = await both(target, ASK, ASK)
        assert (status(miss), status(hit)) == (CacheStatus.MISS, CacheStatus.HIT)
        assert miss.text == hit.text == "hello!"
        assert (miss.took, hit.took) == (3.0, 0.0)
        assert miss.answer.usage == Usage(3, 5, cost_nano_usd=13)
        assert hit.answer.usage == Usage(3, 5, cost_nano_usd=0)
        assert hit.answer.route.attempt_count == 0
        assert hit.answer.response_id != miss.answer.response_id
        assert len(target.asked) == 1

    run_virtual(main())


def test_an_answer_is_kept_for_its_time() -> None:
    async def main() -> None:
        target = ScriptedTarget(answer())
        gateway = gateway_over(target)
        await call(gateway)
        await asyncio.sleep(299.0)
        assert status(await call(gateway)) is CacheStatus.HIT
        await asyncio.sleep(2.0)
        assert status(await call(gateway)) is CacheStatus.MISS
        assert len(target.asked) == 2

    run_virtual(main())


BYPASSING = [
    pytest.param(asking(CacheMode.BYPASS), KEPT, id="the caller's wish"),
    pytest.param(ASK, None, id="a route without a cache"),
    pytest.param(asking(temperature=0.7), KEPT, id="a temperature"),
    pytest.param(asking(top_p=0.9), KEPT, id="top_p"),
]


@pytest.mark.parametrize(("request_", "cache"), BYPASSING)
def test_who_bypasses_the_cache_is_neither_answered_by_it_nor_kept(
    request_: GenerationRequest, cache: CachePolicy | None
) -> None:
    async def main() -> None:
        target = ScriptedTarget(answer())
        outcomes = await both(target, request_, request_, cache)
        assert [status(each) for each in outcomes] == [CacheStatus.BYPASS] * 2
        assert len(target.asked) == 2

    run_virtual(main())


@pytest.mark.parametrize(
    ("request_", "cache"),
    [
        pytest.param(asking(temperature=0.0), KEPT, id="temperature 0"),
        pytest.param(asking(temperature=0.7, seed=7), KEPT, id="a seed"),
        pytest.param(
            asking(temperature=0.7), CachePolicy(300.0, include_sampled=True), id="the route's word"
        ),
    ],
)
def test_sampling_that_leaves_no_choice_is_kept(
    request_: GenerationRequest, cache: CachePolicy
) -> None:
    async def main() -> None:
        _, second = await both(ScriptedTarget(answer()), request_, request_, cache)
        assert status(second) is CacheStatus.HIT

    run_virtual(main())


@pytest.mark.parametrize("cache", [KEPT, None])
def test_only_asks_nobody_where_nothing_is_kept(cache: CachePolicy | None) -> None:
    async def main() -> None:
        target = ScriptedTarget(answer())
        gateway = gateway_over(target, cache)
        outcome = await call(gateway, asking(CacheMode.ONLY))
        assert outcome.reason is Reason.CAPABILITY_UNSUPPORTED
        assert target.asked == []
        await done(gateway, target)

    run_virtual(main())


def test_only_is_answered_by_what_another_call_left() -> None:
    async def main() -> None:
        target = ScriptedTarget(answer())
        _, only = await both(target, ASK, asking(CacheMode.ONLY))
        assert status(only) is CacheStatus.HIT
        assert len(target.asked) == 1

    run_virtual(main())


def test_another_question_is_another_call() -> None:
    async def main() -> None:
        other = replace(ASK, messages=(Message(Role.USER, (TextPart("who?"),)),))
        target = ScriptedTarget(answer())
        outcomes = await both(target, ASK, other)
        assert [status(each) for each in outcomes] == [CacheStatus.MISS] * 2

    run_virtual(main())


def ending(reason: FinishReason) -> Script:
    return [[TextDelta(0, "no")], [Usage(3, 1), Finish(reason)]]


@pytest.mark.parametrize(
    "scripts",
    [
        pytest.param([FAULT, FAULT, answer()], id="a failure"),
        pytest.param([[[TextDelta(0, "he")], FAULT], answer()], id="a cut stream"),
        pytest.param([ending(FinishReason.REFUSAL), answer()], id="a refusal"),
        pytest.param([ending(FinishReason.CONTENT_FILTER), answer()], id="filtered content"),
        pytest.param([ending(FinishReason.OTHER), answer()], id="an end without a name"),
    ],
)
def test_what_is_no_whole_answer_is_not_kept(scripts: Sequence[Script]) -> None:
    async def main() -> None:
        target = ScriptedTarget(*scripts)
        gateway = gateway_over(target)
        await call(gateway, recovery=RecoveryMode.NONE)
        await asyncio.sleep(0.1)
        again = await call(gateway, recovery=RecoveryMode.NONE)
        assert (status(again), again.text) == (CacheStatus.MISS, "hello")
        await done(gateway, target)

    run_virtual(main())


def test_an_answer_that_was_restarted_is_kept_as_it_ended() -> None:
    async def main() -> None:
        target = ScriptedTarget([[TextDelta(0, "wro")], 0.5, FAULT], answer("right"))
        gateway = gateway_over(target)
        first = await call(gateway, recovery=RecoveryMode.RESTART)
        kinds = [each.kind for each in first.events if isinstance(each, Recovery)]
        assert (kinds, first.text) == ([RecoveryKind.RESTARTED], "right")
        await asyncio.sleep(0.1)
        hit = await call(gateway)
        assert (status(hit), hit.text) == (CacheStatus.HIT, "right")
        assert not any(isinstance(each, Recovery) for each in hit.events)
        await done(gateway, target)

    run_virtual(main())
