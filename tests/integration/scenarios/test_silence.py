"""Targets that say nothing, or say it late: timers, and how a deadline is shared."""

import asyncio

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from support.openai import FAULTS, role_chunk, start_stream, stream_text, text_chunk
from support.recorder import Recorder, after
from support.two_targets import model, two_targets
from support.upstream import Conn

HELLO = stream_text(["hel", "lo"])
SILENT = FAULTS["stall_before_headers"]
# A tenth of a real one: 1 s stands for 10 s.
TENTH = {"timeouts": {"first_content": "1s", "idle_bytes": "1500ms", "idle_content": "3s"}}


@pytest.mark.parametrize("fault", ["stall_before_headers", "headers_then_stall", "drip_bytes"])
@pytest.mark.parametrize("streams", [True, False])
async def test_silence_is_left_for_the_other_after_one_attempt(fault: str, streams: bool) -> None:
    """Pains 16, 17 and 32: no hang where a target takes the request and never answers."""
    loop = asyncio.get_running_loop()
    async with two_targets(FAULTS[fault], HELLO, provider_a=TENTH) as pair:
        began = loop.time()
        answered = await pair.ask(streams=streams)
        assert 1.0 <= loop.time() - began < 1.5
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 2)
        assert answered.failures == "a/one=PROVIDER_TIMEOUT"
        assert pair.a.count == 1
        await pair.up_a.wait_closed()


async def test_a_first_token_that_comes_late_is_not_waited_for() -> None:
    """Pain 14: the timer fires when it is due, not once the late chunk has come."""
    loop = asyncio.get_running_loop()
    async with two_targets(after(2.0, HELLO), HELLO, provider_a=TENTH) as pair:
        began = loop.time()
        assert (await pair.ask()).provider == "b"
        assert loop.time() - began < 1.5
        assert pair.a.count == 1


@pytest.mark.long
async def test_real_timers_silence_for_two_minutes() -> None:
    """As above, with the timers as they are."""
    loop = asyncio.get_running_loop()
    async with two_targets(Recorder(after(120.0, HELLO)), HELLO) as pair:
        began = loop.time()
        answered = await pair.ask()
        assert loop.time() - began < 15.0
        assert (answered.provider, answered.attempts, pair.a.count) == ("b", 2, 1)


@pytest.mark.long
async def test_real_timers_first_token_after_twenty_seconds() -> None:
    async def late(conn: Conn) -> None:
        await start_stream(conn)
        await conn.event(role_chunk())
        await conn.sleep(20.0)
        await conn.event(text_chunk("late"))

    loop = asyncio.get_running_loop()
    async with two_targets(late, HELLO) as pair:
        began = loop.time()
        assert (await pair.ask()).provider == "b"
        assert loop.time() - began < 15.0


async def test_a_deadline_is_shared_so_that_the_second_can_still_answer() -> None:
    loop = asyncio.get_running_loop()
    async with two_targets(SILENT, HELLO) as pair:
        began = loop.time()
        answered = await pair.ask(timeout=2.0)
        assert loop.time() - began < 1.5
        assert (answered.text, answered.provider, pair.a.count) == ("hello", "b", 1)


async def test_a_deadline_is_shared_under_timers_that_are_longer_than_it() -> None:
    timers = {"timeouts": {"first_content": "20s"}}
    async with two_targets(SILENT, HELLO, provider=timers) as pair:
        assert (await pair.ask(timeout=2.0)).provider == "b"


async def test_two_silent_targets_end_by_the_deadline_with_our_own_status() -> None:
    loop = asyncio.get_running_loop()
    async with two_targets(SILENT, SILENT) as pair:
        began = loop.time()
        failed = await pair.fail(timeout=1.5)
        assert loop.time() - began < 1.6
        assert failed.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert failed.reason == "DEADLINE_EXCEEDED"
        assert failed.failure is not None
        assert [attempt.provider for attempt in failed.failure.attempts][:1] == ["a"]
        assert (pair.a.count, pair.b.count) == (1, 1)


async def test_a_request_may_set_its_own_timer() -> None:
    loop = asyncio.get_running_loop()
    async with two_targets(SILENT, HELLO) as pair:
        began = loop.time()
        timeout = Duration()
        timeout.FromMilliseconds(300)
        answered = await pair.ask(routing={"first_content_timeout": timeout})
        assert (answered.provider, answered.attempts) == ("b", 2)
        assert loop.time() - began < 0.8


@pytest.mark.parametrize("fault", ["stall_mid_stream", "comments_forever_after_content"])
async def test_silence_after_content_is_left_for_the_other(fault: str) -> None:
    """Pain 16: no timer between chunks, so that streams hang for hours."""
    timers = {"timeouts": {"idle_bytes": "300ms", "idle_content": "500ms"}}
    whole = stream_text(["Once upon a time", " there was"])
    async with two_targets(
        FAULTS[fault],
        whole,
        provider_a=timers,
        provider_b=model("two", prefill=False),
    ) as pair:
        answered = await pair.ask(sampling={"temperature": 0})
        assert answered.passed_on == "Once upon a time there was"
        assert (answered.provider, answered.recovered) == ("b", ["CONTINUED"])
        assert pair.a.count == 1
        await pair.up_a.wait_closed()
