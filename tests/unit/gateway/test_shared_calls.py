"""What the gateway lets calls share, and what it keeps apart."""

import asyncio

import pytest

from llmgateway_server.domain.answer import CacheStatus, Finish
from llmgateway_server.domain.catalog import RouteEntry, RouteTarget, Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.events import TextDelta
from llmgateway_server.domain.policies import CachePolicy
from llmgateway_server.domain.request import CallOptions, GenerationRequest, RecoveryMode, Routing
from llmgateway_server.gateway.gateway import Gateway
from support.planned import ROUTE, PlannedProvider, answer, gateway_between
from support.virtual_time import run_virtual

CACHED = RouteEntry(ROUTE, (RouteTarget(Target("a", "m")),), cache=CachePolicy(ttl=300.0))


def provider() -> PlannedProvider:
    return PlannedProvider(lambda number, now: answer([f"answer {number}"], first=1.0))


async def ask(
    gateway: Gateway,
    *,
    tenant: str = "",
    recovery: RecoveryMode | None = None,
    routing: Routing | None = None,
    within: float = 60.0,
) -> tuple[str, CacheStatus]:
    now = asyncio.get_running_loop().time()
    request = GenerationRequest(
        ROUTE, (Message(Role.USER, (TextPart("hi"),)),), routing=routing or Routing()
    )
    options = CallOptions(now + within, recovery, tenant=tenant)
    answering = await gateway.generate(request, options)
    text, finished = "", False
    try:
        while not finished:
            for event in await answering.read():
                if isinstance(event, TextDelta):
                    text += event.text
                finished = finished or isinstance(event, Finish)
        return text, answering.route.cache_status
    finally:
        answering.close()


def test_tenants_see_nothing_of_each_other() -> None:
    """Pain 43: answers that crossed from one tenant to another."""

    async def main() -> PlannedProvider:
        a = provider()
        gateway = gateway_between({"a": a}, route=CACHED)
        live = await asyncio.gather(*(ask(gateway, tenant=name) for name in ("x", "y", "x")))
        assert {text for text, _ in live} == {"answer 0", "answer 1"}
        assert live[0][0] == live[2][0] != live[1][0]
        assert [await ask(gateway, tenant=name) for name in ("x", "y")] == [
            (live[0][0], CacheStatus.HIT),
            (live[1][0], CacheStatus.HIT),
        ]
        assert (await ask(gateway, tenant="z"))[1] is CacheStatus.MISS
        await gateway.shutdown()
        return a

    assert len(run_virtual(main()).times) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"recovery": RecoveryMode.RESTART},
        {"routing": Routing(max_attempts=1)},
        {"routing": Routing(first_content_timeout=5.0)},
    ],
    ids=["recovery", "attempts", "timer"],
)
def test_calls_that_are_sought_in_another_way_share_no_attempt_but_the_answer(
    other: dict[str, object],
) -> None:
    async def main() -> PlannedProvider:
        a = provider()
        gateway = gateway_between({"a": a}, route=CACHED)
        live = await asyncio.gather(ask(gateway), ask(gateway, **other))  # type: ignore[arg-type]
        assert [status for _, status in live] == [CacheStatus.MISS, CacheStatus.MISS]
        assert (await ask(gateway, **other))[1] is CacheStatus.HIT  # type: ignore[arg-type]
        await gateway.shutdown()
        return a

    assert len(run_virtual(main()).times) == 2


def test_every_shared_call_has_its_place_and_gives_it_back() -> None:
    """Pain 23: places that a cache hit or a cancel never gave back."""

    async def main() -> None:
        gateway = gateway_between({"a": provider()}, route=CACHED)
        calls = [asyncio.create_task(ask(gateway)) for _ in range(5)]
        await asyncio.sleep(0.5)
        assert gateway.gate.in_flight == 5
        calls[0].cancel()
        calls[3].cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 2
        assert gateway.gate.in_flight == 0
        assert (await ask(gateway))[1] is CacheStatus.HIT
        assert gateway.gate.in_flight == 0
        assert gateway.targets.state(Target("a", "m")).in_flight == 0
        await gateway.shutdown()

    run_virtual(main())
