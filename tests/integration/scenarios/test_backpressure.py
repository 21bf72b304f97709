"""A provider that asks for less: 429 and 529, on a route of two targets."""

import asyncio

import grpc
import pytest

from support.gateway import KEY
from support.openai import error, stream_text
from support.openai.errors import HTTP_ERRORS
from support.recorder import Recorder
from support.two_targets import two_targets
from support.upstream import Script

HELLO = stream_text(["hel", "lo"])
LIMITED = HTTP_ERRORS["http_429_rate_limit_exceeded"]


def limited(**headers: str) -> Script:
    """A 429 with these headers, written with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error(429, LIMITED.body, {**LIMITED.headers, **named})


@pytest.mark.parametrize("streams", [True, False])
async def test_a_short_wait_is_waited_out_where_the_route_prefers_its_first_target(
    streams: bool,
) -> None:
    """Pain 31: a Retry-After of 2 s that was answered by a retry after 0.6 s."""
    async with two_targets(Recorder(limited(retry_after="2"), HELLO), HELLO) as pair:
        answered = await pair.ask(streams=streams)
    assert (answered.text, answered.provider, answered.attempts) == ("hello", "a", 2)
    assert answered.failures == "a/one=PROVIDER_RATE_LIMITED;429"
    assert 1.8 <= pair.a.gaps[0] <= 3.0
    assert (pair.a.count, pair.b.count) == (2, 0)


@pytest.mark.parametrize(
    "route", [{"retry": {"patience": "0s"}}, {"strategy": "round_robin"}], ids=["told", "strategy"]
)
async def test_a_route_without_patience_asks_the_other_at_once(route: dict[str, object]) -> None:
    """Pain 31: Retry-After is honoured by leaving the target alone for that long."""
    loop = asyncio.get_running_loop()
    async with two_targets(Recorder(limited(retry_after="2"), HELLO), HELLO, route=route) as pair:
        began = loop.time()
        answered = await pair.ask()
        assert loop.time() - began < 0.5
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 2)
        while loop.time() - began < 1.8:
            assert (await pair.ask()).attempts == 1
            await asyncio.sleep(0.1)
        assert pair.a.count == 1
        await asyncio.sleep(0.5)
        # With round_robin the first of the two may be the other's turn.
        assert "a" in {(await pair.ask()).provider, (await pair.ask()).provider}
    assert pair.a.gaps[0] >= 1.8


async def test_a_long_wait_is_left_to_others_and_the_target_alone() -> None:
    async with two_targets(Recorder(limited(retry_after="60")), HELLO) as pair:
        answers = [await pair.ask() for _ in range(5)]
    assert [answered.provider for answered in answers] == ["b"] * 5
    assert [answered.attempts for answered in answers] == [2, 1, 1, 1, 1]
    assert pair.a.count == 1


async def test_patience_does_not_use_up_the_attempts_that_others_could_answer() -> None:
    async with two_targets(Recorder(limited(retry_after_ms="200")), HELLO) as pair:
        answered = await pair.ask()
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 3)
        assert pair.a.gaps[0] >= 0.2
        await asyncio.sleep(0.3)
        answered = await pair.ask(routing={"max_attempts": 2})
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 2)
    assert pair.a.count == 3


@pytest.mark.parametrize("streams", [True, False])
async def test_429_for_ever_is_told_after_few_attempts_and_none_in_a_tight_loop(
    streams: bool,
) -> None:
    async with two_targets(Recorder(limited()), Recorder(limited())) as pair:
        failed = await pair.fail(streams=streams)
    assert failed.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failed.reason == "PROVIDER_RATE_LIMITED"
    assert failed.trailers["grpc-retry-pushback-ms"] == "-1"
    assert failed.failure is not None
    told = [attempt.provider for attempt in failed.failure.attempts]
    assert told == ["a", "b", *told[2:]]
    assert pair.a.count + pair.b.count == len(told) == 3
    assert all(gap >= 0.9 for gap in (*pair.a.gaps, *pair.b.gaps))
    assert KEY not in failed.everything


async def test_many_calls_against_429_for_ever_ask_no_more_than_the_cool_down_lets_them() -> None:
    """Pain 33: every call of an outage asked upstream again, whatever the others had seen."""
    async with two_targets(
        Recorder(limited(retry_after="5")), Recorder(limited(retry_after="5"))
    ) as pair:
        for _ in range(20):
            failed = await pair.fail(timeout=1.0)
            assert failed.reason == "PROVIDER_RATE_LIMITED"
        assert (pair.a.count, pair.b.count) == (1, 1)
        # Nobody was asked, so that the caller may come again, and is told when.
        assert failed.failure is not None
        assert not failed.failure.attempts


async def test_529_is_backpressure_too() -> None:
    overloaded = HTTP_ERRORS["http_529"]
    async with two_targets(
        Recorder(error(529, overloaded.body, {"retry-after": "30"})), HELLO
    ) as pair:
        assert [(await pair.ask()).provider for _ in range(8)] == ["b"] * 8
        # It is no failure: the breaker has nothing against the target.
        assert pair.running.gateway.route_is_open("words")
    assert pair.a.count == 1
