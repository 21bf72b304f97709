"""What one provider does to the calls of others, and one burst of calls to its own target."""

import asyncio
from collections.abc import Sequence

import pytest

from llmgateway_server.domain.catalog import ProviderEntry, RouteEntry, RouteTarget, Target
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.timers import Timers
from llmgateway_server.routing.routes import RouteTable
from support.planned import ROUTE, PlannedProvider, answer, call, gateway_between, traffic
from support.provider import Step, gateway_of
from support.virtual_time import run_virtual


def limited(number: int, now: float) -> Sequence[Step]:
    del number, now
    attempt = AttemptFailure("a", "m", 429)
    return [0.02, GatewayError(Reason.PROVIDER_RATE_LIMITED, "slow down", attempt=attempt)]


def test_a_provider_that_pushes_back_shuts_the_gate_for_nobody_else() -> None:
    """Two calls a second to it lowered the limit of all to 64, and 336 of 400 others were shed."""

    async def main() -> list[bool]:
        a = PlannedProvider(limited)
        b = PlannedProvider(lambda number, now: answer(["well"], first=1.0))
        table = RouteTable(
            [
                RouteEntry(ROUTE, (RouteTarget(Target("a", "m")),)),
                RouteEntry("well", (RouteTarget(Target("b", "m")),)),
            ],
            [
                ProviderEntry(name, "scripted", passes_any_model=True, timers=Timers())
                for name in "ab"
            ],
            [],
        )
        gateway = gateway_of(table, {"a": a, "b": b})
        await traffic(gateway, 240, rate=2.0)
        others = [call(gateway, route="well") for _ in range(400)]
        return [outcome.is_whole for outcome in await asyncio.gather(*others)]

    assert all(run_virtual(main()))


def test_calls_that_are_turned_away_together_are_one_sign() -> None:
    """Ten of them made the target rest for 8 s, as ten one after the other would."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        gateway = gateway_between({"a": PlannedProvider(limited)})
        target = gateway.targets.state(Target("a", "m"))
        rests = []
        for _ in range(4):
            await asyncio.gather(*(call(gateway, within=0.3) for _ in range(10)))
            rests.append(target.rest_until - loop.time())
            await asyncio.sleep(target.rest_until - loop.time())
        return rests

    assert run_virtual(main()) == pytest.approx([1.0, 2.0, 4.0, 8.0])
