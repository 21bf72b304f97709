"""Identical calls: shared while they are in flight, replayed after that."""

import asyncio
from typing import Any

import grpc
import pytest

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway.v1 import usage_pb2
from support.gateway import Running, ask, first_of, rest_of, text_of, until
from support.openai import FAULTS, reasoning_chunk, stream_chunks, stream_text, text_chunk
from support.recorder import Recorder, after
from support.two_targets import ROUTE, model, two_targets

CACHED: dict[str, Any] = {"cache": {"ttl": "5m"}}
# With another one in reserve a short deadline would be shared between the two.
ALONE: dict[str, Any] = {**CACHED, "targets": "a/one"}
HELLO = stream_text(["hel", "lo"])
SLOW = stream_text(["one ", "two ", "three ", "four"], delay=0.15)
WHOLE = "one two three four"
HIT = usage_pb2.CACHE_STATUS_HIT
MISS = usage_pb2.CACHE_STATUS_MISS
SHARED = usage_pb2.CACHE_STATUS_SHARED
BYPASS = usage_pb2.CACHE_STATUS_BYPASS


@pytest.mark.parametrize("streams", [True, False])
async def test_an_answer_is_kept_and_replayed(streams: bool) -> None:
    async with two_targets(HELLO, HELLO, route=CACHED) as pair:
        first = await pair.ask(streams=streams)
        assert (first.route.cache_status, first.trailers["x-llmgateway-cache"]) == (MISS, "miss")
        for again in (streams, not streams):
            hit = await pair.ask(streams=again)
            assert (hit.text, hit.provider, hit.attempts) == ("hello", "a", 0)
            assert (hit.route.cache_status, hit.trailers["x-llmgateway-cache"]) == (HIT, "hit")
            assert hit.finish.reason == first.finish.reason
        assert pair.a.count == 1
        assert (await pair.ask(text="another question")).route.cache_status == MISS


async def test_a_replay_holds_the_reasoning_and_comes_in_few_messages() -> None:
    """Pain 42: cached streams lose their reasoning, or come as they never were."""
    chunks = [
        reasoning_chunk("let me "),
        reasoning_chunk("think"),
        text_chunk("do"),
        text_chunk("ne"),
    ]
    shown: dict[str, Any] = {"output": pb.OutputOptions(include_reasoning=True)}
    async with two_targets(stream_chunks(chunks), HELLO, route=CACHED) as pair:
        live = await pair.running.stream(ask(model=ROUTE, **shown))
        replayed = await pair.running.stream(ask(model=ROUTE, **shown))
        for messages in (live, replayed):
            reasoning = "".join(d.reasoning for m in messages for d in m.deltas)
            assert (reasoning, text_of(messages)) == ("let me think", "done")
        assert len(replayed) <= 2
        assert pair.a.count == 1


async def test_only_a_cached_answer_where_no_other_is_wanted() -> None:
    only: dict[str, Any] = {"routing": {"cache_mode": pb.CACHE_MODE_ONLY}}
    async with two_targets(HELLO, HELLO, route=CACHED) as pair:
        failed = await pair.fail(**only)
        assert failed.code is grpc.StatusCode.FAILED_PRECONDITION
        assert failed.reason == "CAPABILITY_UNSUPPORTED"
        assert pair.a.count == 0
        await pair.ask()
        assert (await pair.ask(**only)).route.cache_status == HIT


@pytest.mark.parametrize("wants", ["bypass", "variety", "no cache"])
async def test_who_wants_a_new_answer_gets_one(wants: str) -> None:
    fields: dict[str, Any] = {}
    if wants == "bypass":
        fields = {"routing": {"cache_mode": pb.CACHE_MODE_BYPASS}}
    elif wants == "variety":
        fields = {"sampling": {"temperature": 0.9}}
    route = {} if wants == "no cache" else CACHED
    async with two_targets(HELLO, HELLO, route=route) as pair:
        for _ in range(2):
            assert (await pair.ask(**fields)).route.cache_status == BYPASS
        assert pair.a.count == 2


async def test_what_failed_or_was_cut_is_not_kept() -> None:
    async with two_targets(
        Recorder(FAULTS["http_422"], FAULTS["reset_mid_stream"], HELLO), HELLO, route=CACHED
    ) as pair:
        await pair.fail()
        await pair.fail(recovery=pb.RECOVERY_MODE_NONE)
        assert (await pair.ask()).route.cache_status == MISS
        assert (await pair.ask()).route.cache_status == HIT


async def test_an_answer_that_two_attempts_made_is_kept_whole() -> None:
    whole = stream_text(["Once upon a time", " there was"])
    async with two_targets(
        FAULTS["reset_mid_stream"], whole, route=CACHED, provider_b=model("two", prefill=False)
    ) as pair:
        first = await pair.ask(sampling={"temperature": 0})
        hit = await pair.ask(sampling={"temperature": 0})
        assert first.text == hit.text == "Once upon a time there was"
        assert (hit.route.cache_status, hit.recovered) == (HIT, [])


async def test_twenty_identical_calls_are_one_upstream_and_who_comes_late_gets_all() -> None:
    async with two_targets(SLOW, HELLO, route=CACHED) as pair:
        early = [asyncio.ensure_future(pair.ask()) for _ in range(10)]
        await pair.up_a.wait_requests(1)
        await asyncio.sleep(0.35)
        late = [asyncio.ensure_future(pair.ask()) for _ in range(10)]
        answers = [await call for call in (*early, *late)]
        assert [answered.text for answered in answers] == [WHOLE] * 20
        assert pair.a.count == 1
        statuses = [answered.route.cache_status for answered in answers]
        assert sorted(statuses) == sorted([MISS] + [SHARED] * 19)
        assert (await pair.ask()).route.cache_status == HIT


async def test_who_comes_late_gets_at_once_what_was_there_and_the_rest_as_it_comes() -> None:
    async with two_targets(SLOW, HELLO, route=CACHED) as pair:
        leader = asyncio.ensure_future(pair.ask())
        await pair.up_a.wait_requests(1)
        await asyncio.sleep(0.4)
        loop = asyncio.get_running_loop()
        began = loop.time()
        call = pair.running.generation.GenerateStream(ask(model=ROUTE))
        first = await first_of(call)
        assert loop.time() - began < 0.1
        assert text_of([first]).startswith("one two")
        assert WHOLE not in text_of([first])
        assert text_of([first]) + await rest_of(call) == WHOLE
        await leader


async def test_one_who_leaves_takes_nobody_along_and_the_last_closes_the_upstream() -> None:
    """Pain 19 and 20: calls that go on upstream with nobody left to read."""
    endless = stream_text(["tick "] * 200, delay=0.05)
    async with two_targets(endless, HELLO, route=CACHED) as pair:
        calls = [_call(pair.running) for _ in range(3)]
        for call in calls:
            await first_of(call)
        assert pair.a.count == 1
        calls[0].cancel()
        for call in calls[1:]:
            await first_of(call)
        calls[1].cancel()
        await first_of(calls[2])
        assert pair.up_a.connections_open == 1
        calls[2].cancel()
        await pair.up_a.wait_closed()
        await until(lambda: pair.is_idle)


async def test_a_shared_failure_reaches_everyone_and_is_one_attempt() -> None:
    async with two_targets(after(0.2, FAULTS["http_422"]), HELLO, route=CACHED) as pair:
        failures = await asyncio.gather(*(pair.fail() for _ in range(5)))
        assert {failed.reason for failed in failures} == {"PROVIDER_REJECTED_REQUEST"}
        assert len({failed.failure.response_id for failed in failures if failed.failure}) == 5
        assert pair.a.count == 1


async def test_of_shared_calls_one_pays() -> None:
    prices = model("one", prices={"input": 1, "output": 2})
    async with two_targets(SLOW, HELLO, route=CACHED, provider_a=prices) as pair:
        answers = await asyncio.gather(*(pair.ask() for _ in range(4)))
        costs = sorted(answered.usage.cost_nano_usd for answered in answers)
        assert costs == [0, 0, 0, 12 * 1000 + 5 * 2000]
        assert pair.totals("a")[0].calls == 1


async def test_shared_calls_have_deadlines_of_their_own() -> None:
    async with two_targets(SLOW, HELLO, route=ALONE) as pair:
        short = asyncio.ensure_future(pair.fail(timeout=0.4))
        long = asyncio.ensure_future(pair.ask(timeout=5.0))
        assert (await short).code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await long).text == WHOLE
        assert pair.a.count == 1


async def test_a_short_deadline_that_joins_a_long_call_does_not_shorten_it() -> None:
    async with two_targets(SLOW, HELLO, route=ALONE) as pair:
        long = asyncio.ensure_future(pair.ask(timeout=5.0))
        await pair.up_a.wait_requests(1)
        assert (await pair.fail(timeout=0.2)).code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await long).text == WHOLE


def _call(running: Running) -> Any:
    return running.generation.GenerateStream(ask(model=ROUTE))
