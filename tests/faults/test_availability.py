"""Targets that come and go, and refusals that depend on the target, by whole calls in sequence."""

import asyncio
import logging
from itertools import count

import grpc
import pytest

from support.gateway import KEY
from support.openai import CONTENT, FAULTS, stream_text
from support.recorder import Recorder, after, until_then
from support.two_targets import Answered, Pair, model, two_targets
from support.upstream import Conn

FINE = stream_text(["fine"])
DEAD = FAULTS["http_500"]
# What opens a breaker: five failures in a row.
CONSECUTIVE = 5


async def asked(pair: Pair, calls: int) -> list[Answered]:
    """So many calls, one after the other; all of them answered."""
    answers = [await pair.ask() for _ in range(calls)]
    assert {answer.text for answer in answers} == {"fine"}
    return answers


@pytest.mark.fault("U30")
async def test_flapping() -> None:
    """Every second answer is a failure: nobody notices, and attempts stay few."""
    numbers = count()

    async def flapping(conn: Conn) -> None:
        await (FINE if next(numbers) % 2 else DEAD)(conn)

    async with two_targets(flapping, FINE) as pair:
        await asked(pair, 60)
        # Once more on the same target does it, until the breaker has seen half of 20 fail.
        assert (pair.a.count, pair.b.count) == (20, 50)


@pytest.mark.fault("U30")
async def test_one_of_two_is_dead() -> None:
    async with two_targets(DEAD, FINE) as pair:
        await asked(pair, 30)
        assert (pair.a.count, pair.b.count) == (CONSECUTIVE, 30)


@pytest.mark.fault("U30")
async def test_all_are_dead(caplog: pytest.LogCaptureFixture) -> None:
    """Then failing is cheap: the provider is left alone but for a probe a second."""
    caplog.set_level(logging.DEBUG)
    async with two_targets(DEAD, DEAD) as pair:
        failures = [await pair.fail() for _ in range(30)]
        assert {failure.code for failure in failures} == {grpc.StatusCode.UNAVAILABLE}
        assert failures[0].reason == "PROVIDER_ERROR"
        assert failures[-1].reason == "NO_PROVIDER_AVAILABLE"
        # One last resort each at the most, as a second has hardly passed.
        assert CONSECUTIVE <= pair.a.count <= CONSECUTIVE + 1
        assert CONSECUTIVE <= pair.b.count <= CONSECUTIVE + 1
    assert KEY not in caplog.text + "".join(failure.everything for failure in failures)


@pytest.mark.fault("U30")
async def test_ten_times_slower_than_its_timer() -> None:
    """Each late answer costs one timer; five in a row shut the target."""
    slow = Recorder(after(1.0, FINE))
    timeouts = {"timeouts": {"first_content": "100ms"}}
    async with two_targets(slow, FINE, provider_a=timeouts) as pair:
        answers = await asked(pair, 12)
        assert {answer.provider for answer in answers} == {"b"}
        assert (pair.a.count, pair.b.count) == (CONSECUTIVE, 12)


@pytest.mark.fault("U30")
async def test_dead_and_back() -> None:
    """Probes find it, and it has its place again; nobody was kept waiting."""
    is_dead = True
    broken = until_then(lambda: is_dead, DEAD, FINE)
    breaker = {"breaker": {"open": "100ms", "longest_open": "100ms", "ramp": "0s"}}
    async with two_targets(broken, FINE, provider_a=breaker) as pair:
        answers = await asked(pair, 10)
        assert {answer.provider for answer in answers} == {"b"}
        is_dead = False
        await asyncio.sleep(0.15)
        answers = await asked(pair, 10)
        assert {answer.provider for answer in answers} == {"a"}


@pytest.mark.fault("U24")
@pytest.mark.parametrize(("window", "is_answered"), [(32_768, True), (4_096, False)])
async def test_a_prompt_too_long_goes_only_to_a_larger_model(
    window: int, *, is_answered: bool
) -> None:
    async with two_targets(
        FAULTS["http_400_context_length_exceeded"],
        FINE,
        provider_a=model("one", context_window=8_192),
        provider_b=model("two", context_window=window),
    ) as pair:
        if is_answered:
            assert (await pair.ask()).text == "fine"
        else:
            failure = await pair.fail()
            assert failure.reason == "CONTEXT_LENGTH_EXCEEDED"
        assert (pair.a.count, pair.b.count) == (1, int(is_answered))


@pytest.mark.fault("U24")
async def test_a_refusal_by_policy_goes_where_the_route_says() -> None:
    route = {"targets": ["a/one"], "blocked_content": "b/two"}
    async with two_targets(FAULTS["http_400_content_policy"], FINE, route=route) as pair:
        assert (await pair.ask()).text == "fine"
        assert (pair.a.count, pair.b.count) == (1, 1)


@pytest.mark.fault("U25")
@pytest.mark.parametrize("name", ["http_401", "http_402", "http_404_model_not_found"])
async def test_a_target_that_refuses_key_or_model_is_left_alone(name: str) -> None:
    async with two_targets(FAULTS[name], FINE) as pair:
        await asked(pair, 3)
        assert (pair.a.count, pair.b.count) == (1, 3)


@pytest.mark.fault("U21")
async def test_a_target_that_pushed_back_is_left_alone_for_as_long_as_it_said() -> None:
    async with two_targets(FAULTS["http_429_retry_after_seconds"], FINE) as pair:
        await asked(pair, 3)
        assert (pair.a.count, pair.b.count) == (1, 3)


@pytest.mark.fault("U8")
@pytest.mark.parametrize(
    "route", [{"recovery": "none"}, {"targets": ["a/one"]}], ids=["no_recovery", "nobody_else"]
)
async def test_silence_in_mid_stream_interrupts_where_nobody_may_go_on(
    route: dict[str, object],
) -> None:
    timeouts = {"timeouts": {"idle_bytes": "200ms"}}
    same = {**model("one"), **timeouts}
    async with two_targets(FAULTS["stall_mid_stream"], FINE, route=route, provider_a=same) as pair:
        failure = await pair.fail()
        assert failure.reason == "STREAM_INTERRUPTED"
        assert failure.failure is not None
        assert failure.failure.usage.output_token_count > 0
        assert failure.failure.usage.is_estimated
        assert (pair.a.count, pair.b.count) == (1, 0)
    assert CONTENT not in failure.everything
