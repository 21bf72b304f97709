"""A primary that is down for a while: served throughout, few probes, and back soon.

At a twentieth of the real times, which `test_availability.py` plays in virtual time.
"""

import asyncio
import math
import time
from typing import Any

import grpc
import pytest

from llmgateway_server.domain.catalog import ProviderState
from support.openai import FAULTS, stream_text
from support.recorder import Recorder, after, until_then
from support.two_targets import Pair, two_targets

HELLO = stream_text(["hel", "lo"])
# A twentieth of the defaults.
BREAKER: dict[str, Any] = {
    "breaker": {"window": "1500ms", "open": "250ms", "longest_open": "1500ms", "ramp": "500ms"}
}
RATE = 40.0


async def traffic(pair: Pair, until: float) -> list[tuple[float, str]]:
    """Calls at a rate until a moment; when each began and who answered it."""
    loop = asyncio.get_running_loop()

    async def one() -> tuple[float, str]:
        began = loop.time()
        answered = await pair.ask()
        assert answered.text == "hello"
        return began, answered.provider

    tasks = []
    while loop.time() < until:
        tasks.append(asyncio.ensure_future(one()))
        await asyncio.sleep(1 / RATE)
    return await asyncio.gather(*tasks)


@pytest.mark.parametrize("fault", ["http_502", "reset_before_headers"])
async def test_served_throughout_few_probes_and_back(fault: str) -> None:
    """Pains 29, 33 and 34."""
    loop = asyncio.get_running_loop()
    healthy_at = math.inf
    a = Recorder(until_then(lambda: loop.time() < healthy_at, FAULTS[fault], HELLO))
    async with two_targets(a, HELLO, provider_a=BREAKER) as pair:
        healthy_at = loop.time() + 3.0
        status = pair.running.gateway.provider_status
        first = await traffic(pair, healthy_at)
        assert {provider for _, provider in first} == {"b"}
        assert status("a").state in {ProviderState.CIRCUIT_OPEN, ProviderState.DEGRADED}
        # Those that open it (what is in flight by then comes on top), then probes at
        # 0.25, 0.75, 1.75 s or so.
        while_down = [moment for moment in a.times if moment < healthy_at]
        assert len(while_down) <= 20
        assert sum(moment > a.times[0] + 0.4 for moment in while_down) <= 5
        later = await traffic(pair, healthy_at + 3.0)
        back = min(moment for moment, provider in later if provider == "a")
        assert back - healthy_at <= 1.75
        settled = [provider for moment, provider in later if moment > back + 0.7]
        assert set(settled) == {"a"}
        assert status("a").state is ProviderState.ACTIVE


async def test_both_down_fails_fast_and_asks_little() -> None:
    """Pain 33."""
    dead = FAULTS["http_502"]
    async with two_targets(dead, dead) as pair:
        for _ in range(20):
            await pair.fail()
        spent = pair.a.count + pair.b.count
        assert spent <= 20
        took = []
        began = time.perf_counter()
        calls = 200
        for number in range(calls):
            start = time.perf_counter()
            failed = await pair.fail(streams=bool(number % 2))
            took.append(time.perf_counter() - start)
            assert failed.code is grpc.StatusCode.UNAVAILABLE
            if failed.reason == "NO_PROVIDER_AVAILABLE":
                assert 0 < int(failed.trailers["grpc-retry-pushback-ms"]) <= 7000
        elapsed = time.perf_counter() - began
        assert sorted(took)[calls // 2] < 0.010
        # One last resort a second and a target.
        assert pair.a.count + pair.b.count - spent <= 2 * (elapsed + 1)


async def test_a_half_open_breaker_lets_one_probe_in_at_a_time() -> None:
    """What others get wrong: half-open lets everybody in, or the cool-down ends for all at once."""
    breaker = {"breaker": {"consecutive": 2, "open": "200ms", "ramp": "0s"}}
    async with two_targets(FAULTS["http_502"], HELLO, provider_a=breaker) as pair:
        await pair.ask()
        await asyncio.sleep(0.3)
        pair.up_a.script = Recorder(after(0.3, HELLO))
        asked = len(pair.up_a.requests)
        answers = await asyncio.gather(*(pair.ask() for _ in range(20)))
        assert [answered.provider for answered in answers].count("a") == 1
        assert len(pair.up_a.requests) - asked == 1


async def test_a_worker_that_was_busy_is_back_once_it_is_idle() -> None:
    """Pain 28: a single busy worker's 503s kept its breaker open after it had become idle."""
    async with two_targets(FAULTS["http_503"], HELLO) as pair:
        answers = await asyncio.gather(*(pair.ask() for _ in range(30)))
        assert {answered.provider for answered in answers} == {"b"}
        pair.up_a.script = HELLO
        await asyncio.sleep(1.2)
        assert (await pair.ask()).provider == "a"
