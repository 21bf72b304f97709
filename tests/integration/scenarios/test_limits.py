"""Limits: of a target, and of the gateway itself; what is shed costs nothing and is told when."""

import asyncio
import statistics
from typing import Any

import grpc
import pytest

from llmgateway.v1 import generation_service_pb2 as pb
from support.gateway import Running, ask, first_of, gateway_to, question, rest_of, until
from support.openai import FAULTS, stream_text
from support.recorder import Recorder, after
from support.two_targets import two_targets
from support.upstream import Upstream

HELLO = stream_text(["hel", "lo"])
SILENT = FAULTS["stall_mid_stream"]
BATCH = pb.PRIORITY_BATCH


async def test_a_target_at_its_limit_leaves_the_call_to_the_other() -> None:
    limits = {"limits": {"in_flight": 1}}
    async with two_targets(SILENT, HELLO, provider_a=limits) as pair:
        held = pair.running.generation.GenerateStream(ask(model="words"))
        await first_of(held)
        answered = await pair.ask()
        assert (answered.provider, answered.attempts, pair.a.count) == ("b", 1, 1)
        held.cancel()
        await until(lambda: pair.is_idle)
        pair.up_a.script = HELLO
        assert (await pair.ask()).provider == "a"


async def test_targets_that_are_all_full_are_our_limit_and_not_the_providers() -> None:
    limits = {"limits": {"in_flight": 1}}
    async with two_targets(SILENT, SILENT, provider=limits) as pair:
        held = [pair.running.generation.GenerateStream(ask(model="words")) for _ in range(2)]
        for call in held:
            await first_of(call)
        failed = await pair.fail()
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "GATEWAY_OVERLOADED")
        assert int(failed.trailers["grpc-retry-pushback-ms"]) > 0
        for call in held:
            call.cancel()


async def test_a_slot_is_given_back_whatever_ends_the_call() -> None:
    """Pains 23 and 24: slots that leak on a cancel or a timeout, until nobody is let in."""
    limits = {"limits": {"in_flight": 1}}
    breaker = {"breaker": {"consecutive": 1000, "minimum_calls": 1000}}
    async with two_targets(SILENT, HELLO, provider_a={**limits, **breaker}) as pair:
        plain: dict[str, Any] = {"model": "a/one"}
        for number in range(12):
            script = [SILENT, FAULTS["reset_mid_stream"], FAULTS["http_502"]][number % 3]
            pair.up_a.script = script
            if script is SILENT:
                held = pair.running.generation.GenerateStream(ask(**plain))
                await first_of(held)
                held.cancel()
                await until(lambda: pair.is_idle)
            else:
                await pair.fail(**plain)
        pair.up_a.script = SILENT
        failed = await pair.fail(timeout=0.3, **plain)
        assert failed.code is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: pair.is_idle)
        pair.up_a.script = HELLO
        assert (await pair.ask(**plain)).text == "hello"


async def test_requests_a_minute_are_kept_at_one_target_and_go_on_at_the_other() -> None:
    limits = {"limits": {"requests_per_minute": 3}}
    async with two_targets(HELLO, HELLO, provider_a=limits) as pair:
        answers = [(await pair.ask()).provider for _ in range(6)]
        assert answers == ["a"] * 3 + ["b"] * 3


async def test_tokens_a_minute_are_settled_with_what_was_used() -> None:
    limits = {"limits": {"tokens_per_minute": 400}}
    async with two_targets(HELLO, HELLO, provider_a=limits) as pair:
        # The estimate of an answer that nobody knows is 256; what it took was 17 in all.
        answers = [(await pair.ask()).provider for _ in range(5)]
        assert answers == ["a"] * 5


async def test_calls_at_the_same_time_cannot_pass_a_limit_together() -> None:
    """Pain 39: checks that pass before anybody's use is counted."""
    limits = {"limits": {"requests_per_minute": 5, "in_flight": 3}}
    async with two_targets(after(0.2, HELLO), HELLO, provider_a=limits) as pair:
        answers = await asyncio.gather(*(pair.ask() for _ in range(20)))
        assert sum(answered.provider == "a" for answered in answers) == 3
        assert pair.a.count == 3


async def _hold(running: Running, count: int, **fields: Any) -> list[Any]:
    calls = [running.generation.GenerateStream(ask(**fields)) for _ in range(count)]
    for call in calls:
        await first_of(call)
    return calls


ADMISSION = {"server": {"limits": {"in_flight": 5, "queue": "50ms", "adaptive": False}}}


async def test_the_gateways_limit_sheds_with_a_word_when_to_come_again() -> None:
    async with two_targets(SILENT, SILENT, **ADMISSION) as pair:
        held = await _hold(pair.running, 5, model="words")
        loop = asyncio.get_running_loop()
        began = loop.time()
        failed = await pair.fail()
        assert 0.04 <= loop.time() - began < 0.3
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "GATEWAY_OVERLOADED")
        assert 0 < int(failed.trailers["grpc-retry-pushback-ms"]) < 2000
        assert pair.a.count == 5
        # A place that gets free within the queue's time is the next one's.
        waiting = asyncio.ensure_future(_hold(pair.running, 1, model="words"))
        await asyncio.sleep(0.02)
        held.pop().cancel()
        held += await waiting
        for call in held:
            call.cancel()


async def test_batch_is_shed_first() -> None:
    async with two_targets(SILENT, SILENT, **ADMISSION) as pair:
        held = await _hold(pair.running, 4, model="words", routing={"priority": BATCH})
        failed = await pair.fail(routing={"priority": BATCH})
        assert failed.reason == "GATEWAY_OVERLOADED"
        held += await _hold(pair.running, 1, model="words")
        assert pair.a.count == 5
        for call in held:
            call.cancel()


async def test_a_shed_call_costs_less_than_five_milliseconds() -> None:
    server = {"limits": {"in_flight": 1, "queue": "0s", "adaptive": False}}
    async with two_targets(SILENT, SILENT, server=server) as pair:
        (held,) = await _hold(pair.running, 1, model="words")
        loop = asyncio.get_running_loop()
        took = []
        for streams in [True, False] * 100:
            began = loop.time()
            failed = await pair.fail(streams=streams)
            took.append(loop.time() - began)
            assert failed.reason == "GATEWAY_OVERLOADED"
            assert "grpc-retry-pushback-ms" in failed.trailers
        assert statistics.median(took) < 0.005
        assert pair.a.count == 1
        held.cancel()


async def test_one_dead_backend_holds_up_nobody_else() -> None:
    """Pain 17: a backend that hangs blocks the calls to healthy ones."""
    async with two_targets(SILENT, HELLO) as pair:
        held = await _hold(pair.running, 50, model="a/one")
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(10):
            assert (await pair.ask(model="b/two")).text == "hello"
        assert loop.time() - began < 1.0
        for call in held:
            call.cancel()


@pytest.mark.parametrize("streams", [True, False])
async def test_callers_who_go_away_say_nothing_against_a_target(streams: bool) -> None:
    """Pain 25: aborts of clients that opened the breaker."""
    async with two_targets(Recorder(FAULTS["stall_before_headers"]), HELLO) as pair:
        for number in range(30):
            if streams:
                call: Any = pair.running.generation.GenerateStream(ask(model="words"))
            else:
                request = pb.GenerateRequest(input=question(model="words"))
                call = pair.running.generation.Generate(request)
            await pair.up_a.wait_requests(number + 1)
            call.cancel()
        await until(lambda: pair.is_idle)
        pair.up_a.script = HELLO
        assert (await pair.ask()).provider == "a"
        assert pair.b.count == 0


async def test_a_slow_reader_slows_only_its_own_stream() -> None:
    """Pain 22: one stream that owns the worker."""
    big = stream_text(["x" * 10_000] * 200)
    async with Upstream(big) as upstream, gateway_to(upstream.base_url) as running:
        stuck = running.generation.GenerateStream(ask())
        await first_of(stuck)
        upstream.script = HELLO
        for _ in range(20):
            call = running.generation.GenerateStream(ask())
            assert await rest_of(call) == "hello"
        stuck.cancel()
