"""Hedging: a second target beside one that lets its caller wait."""

import asyncio
from typing import Any

import pytest

from support.openai import FAULTS, stream_text
from support.recorder import Recorder, after
from support.two_targets import Pair, model, two_targets

HELLO = stream_text(["hel", "lo"])
SLOW = after(1.5, stream_text(["slow"]))
PRICED = model("two", prices={"input": 1, "output": 2})
HEDGED: dict[str, Any] = {"hedge": {"after": "150ms", "budget": 1.0}}


async def warm(pair: Pair) -> None:
    """One call that earns its route a hedge; `a` is asked quickly for it."""
    script, pair.up_a.script = pair.up_a.script, HELLO
    await pair.ask()
    pair.up_a.script = script


@pytest.mark.parametrize("streams", [True, False])
async def test_a_slow_first_is_overtaken_and_its_connection_closed(streams: bool) -> None:
    loop = asyncio.get_running_loop()
    async with two_targets(SLOW, HELLO, route=HEDGED, provider_b=PRICED) as pair:
        began = loop.time()
        answered = await pair.ask(streams=streams)
        assert 0.15 <= loop.time() - began < 0.6
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 2)
        # The loser did nothing wrong.
        assert answered.failures == ""
        assert await pair.up_a.wait_closed() - began < 0.7
        assert pair.running.gateway.route_is_open("words")


async def test_a_first_that_answers_in_time_is_not_doubled() -> None:
    async with two_targets(HELLO, HELLO, route=HEDGED, provider_b=PRICED) as pair:
        for _ in range(5):
            assert (await pair.ask()).provider == "a"
        assert pair.b.count == 0


async def test_the_first_may_still_win() -> None:
    async with two_targets(
        after(0.4, HELLO), after(2.0, HELLO), route=HEDGED, provider_b=PRICED
    ) as pair:
        answered = await pair.ask()
        assert (answered.provider, answered.attempts) == ("a", 2)
        await pair.up_b.wait_closed()


async def test_a_first_that_fails_while_both_are_asked_is_noted() -> None:
    async with two_targets(
        after(0.3, FAULTS["http_502"]), after(0.5, HELLO), route=HEDGED, provider_b=PRICED
    ) as pair:
        answered = await pair.ask()
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 2)
        assert answered.failures == "a/one=PROVIDER_ERROR;502"


async def test_a_hedge_that_fails_does_not_take_the_first_with_it() -> None:
    async with two_targets(
        after(0.5, HELLO), FAULTS["http_502"], route=HEDGED, provider_b=PRICED
    ) as pair:
        answered = await pair.ask()
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "a", 2)


async def test_both_failing_leaves_the_rest_of_the_attempts() -> None:
    async with two_targets(
        Recorder(after(0.3, FAULTS["http_502"]), HELLO),
        FAULTS["http_502"],
        route=HEDGED,
        provider_b=PRICED,
    ) as pair:
        answered = await pair.ask()
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "a", 3)


async def test_hedges_keep_to_their_budget() -> None:
    route = {"hedge": {"after": "50ms", "budget": 0.25}}
    async with two_targets(after(0.15, HELLO), HELLO, route=route, provider_b=PRICED) as pair:
        for _ in range(20):
            await pair.ask()
        assert pair.b.count == 5


async def test_a_target_of_unknown_price_is_not_hedged_to() -> None:
    async with two_targets(after(0.4, HELLO), HELLO, route=HEDGED) as pair:
        assert (await pair.ask()).provider == "a"
        assert pair.b.count == 0


async def test_a_target_that_is_too_dear_is_not_hedged_to() -> None:
    dear = model("two", prices={"input": 1000, "output": 200_000})
    async with two_targets(after(0.4, HELLO), HELLO, route=HEDGED, provider_b=dear) as pair:
        assert (await pair.ask()).provider == "a"
        assert pair.b.count == 0


async def test_without_a_time_the_targets_own_p95_decides() -> None:
    route = {"hedge": {"budget": 1.0}}
    async with two_targets(SLOW, HELLO, route=route, provider_b=PRICED) as pair:
        for _ in range(20):
            await warm(pair)
        assert pair.b.count == 0
        began = asyncio.get_running_loop().time()
        assert (await pair.ask()).provider == "b"
        assert asyncio.get_running_loop().time() - began < 0.5


async def test_what_the_loser_had_begun_is_accounted_as_wasted() -> None:
    """Both billed, one answered."""
    async with two_targets(
        FAULTS["role_chunk_then_stall"], HELLO, route=HEDGED, provider_b=PRICED
    ) as pair:
        assert (await pair.ask()).provider == "b"
        await pair.up_a.wait_closed()
        assert pair.totals("a")[1].calls == 1
        assert pair.totals("b")[0].calls == 1
