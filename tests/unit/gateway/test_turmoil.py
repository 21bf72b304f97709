"""Everything at once: whatever fails whenever, answers are whole and exactly once, or they fail.

And nothing is left behind: no place, no probe's slot, no stream, no task.
"""

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.catalog import Target
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.resilience.breaker import BreakerState
from support.planned import PlannedProvider
from support.turmoil import MODELS, WHOLE, Caller, gateway_before, providers
from support.virtual_time import run_virtual


@given(seed=st.integers(0, 2**32))
def test_answers_are_whole_or_fail_and_nothing_is_left_behind(seed: int) -> None:
    """Pains 5, 7, 23, 24 and 29."""

    async def main() -> None:
        dice = random.Random(seed)
        behind = providers(dice)
        gateway = gateway_before(dice, behind)
        callers = [Caller(dice, gateway) for _ in range(dice.randint(1, 25))]
        await run_all(dice, callers)
        for caller in callers:
            assert not caller.is_whole or caller.has_tool or caller.text in WHOLE
        # A hedge's loser ends in the turn after it was cancelled.
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        await gateway.shutdown()
        check_nothing_is_left(gateway, behind)
        assert len(asyncio.all_tasks()) == 1

    random.seed(seed)
    run_virtual(main())


async def run_all(dice: random.Random, callers: list[Caller]) -> None:
    """Runs them, some of them at the same time, and cancels some."""
    loop = asyncio.get_running_loop()
    tasks = []
    for caller in callers:
        tasks.append(asyncio.create_task(caller.run()))
        if dice.random() < 0.15:
            loop.call_later(dice.choice([0.0, 0.1, 0.2, 0.3, 1.0, 3.0]), tasks[-1].cancel)
        await asyncio.sleep(dice.choice([0.0, 0.0, 0.05, 0.5, 2.0]))
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome


def check_nothing_is_left(gateway: Gateway, behind: dict[str, PlannedProvider]) -> None:
    """Every place is free, and every stream was read to its end or closed."""
    assert (gateway.gate.in_flight, gateway.gate.waiting) == (0, 0)
    much_later = asyncio.get_running_loop().time() + 1000.0
    for name, provider in behind.items():
        for model in MODELS:
            state = gateway.targets.state(Target(name, model))
            assert state.in_flight == 0
            assert state.breaker.state(much_later) is not BreakerState.OPEN
            assert state.breaker.admits(much_later), "a probe's slot was never given back"
        assert all(stream.closed or stream.is_over for stream in provider.streams)
