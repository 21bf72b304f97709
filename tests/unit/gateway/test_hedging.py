"""Two that are asked beside each other: who wins, and what becomes of the other."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.gateway.hedging import hedged
from support.scripted_targets import failure
from support.virtual_time import run_virtual

Made = Coroutine[Any, Any, str]


class Hedge:
    """One hedged pair: a result or an error a candidate, each after its time."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.cancelled: list[str] = []
        self.seconds = 0

    def candidate(self, name: str, takes: float, error: Exception | None = None) -> Made:
        async def run() -> str:
            try:
                await asyncio.sleep(takes)
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
            if error is not None:
                raise error
            return name

        return run()

    async def run(self, first: Made, second: Made | None, after: float | None = 1.0) -> str:
        def ask_second() -> Awaitable[str] | None:
            self.seconds += 1
            return second

        try:
            return await hedged(lambda: first, after, ask_second, self.dropped.append)
        finally:
            if not self.seconds and second is not None:
                second.close()


def hedging(body: Callable[[Hedge], Awaitable[None]]) -> None:
    """Runs a body; no task may be left, and no error unseen."""

    async def main() -> None:
        unseen: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: unseen.append(told))
        await body(Hedge())
        for _ in range(4):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        gc.collect()
        await asyncio.sleep(0)
        assert unseen == []

    run_virtual(main())


def now() -> float:
    return asyncio.get_running_loop().time()


NO = failure(Reason.PROVIDER_ERROR)
NEITHER = failure(Reason.PROVIDER_OVERLOADED)


def test_who_comes_in_time_is_alone() -> None:
    async def body(hedge: Hedge) -> None:
        won = await hedge.run(hedge.candidate("a", 0.5), hedge.candidate("b", 0.0))
        assert (won, now(), hedge.seconds, hedge.dropped) == ("a", 0.5, 0, [])

    hedging(body)


def test_without_a_time_nobody_is_asked_beside_it() -> None:
    async def body(hedge: Hedge) -> None:
        won = await hedge.run(hedge.candidate("a", 50.0), hedge.candidate("b", 0.0), None)
        assert (won, now(), hedge.seconds) == ("a", 50.0, 0)

    hedging(body)


def test_the_first_may_still_win() -> None:
    async def body(hedge: Hedge) -> None:
        won = await hedge.run(hedge.candidate("a", 2.0), hedge.candidate("b", 5.0))
        await asyncio.sleep(0)
        assert (won, now(), hedge.cancelled, hedge.dropped) == ("a", 2.0, ["b"], [])

    hedging(body)


def test_the_second_may_win() -> None:
    async def body(hedge: Hedge) -> None:
        won = await hedge.run(hedge.candidate("a", 9.0), hedge.candidate("b", 5.0))
        await asyncio.sleep(0)
        assert (won, now(), hedge.cancelled, hedge.dropped) == ("b", 6.0, ["a"], [])

    hedging(body)


def test_of_two_that_come_together_the_first_is_taken_and_the_other_given_back() -> None:
    async def body(hedge: Hedge) -> None:
        loop = asyncio.get_running_loop()
        gates = [loop.create_future() for _ in "ab"]

        async def wait(name: str, gate: asyncio.Future[None]) -> str:
            await gate
            return name

        loop.call_later(3.0, lambda: [gate.set_result(None) for gate in reversed(gates)])
        won = await hedge.run(wait("a", gates[0]), wait("b", gates[1]))
        assert (won, hedge.dropped) == ("a", ["b"])

    hedging(body)


def test_where_nobody_may_be_asked_the_first_is_waited_for() -> None:
    async def body(hedge: Hedge) -> None:
        assert await hedge.run(hedge.candidate("a", 7.0), None) == "a"
        assert (now(), hedge.seconds) == (7.0, 1)

    hedging(body)


def test_the_first_fails_and_the_second_wins() -> None:
    async def body(hedge: Hedge) -> None:
        won = await hedge.run(hedge.candidate("a", 2.0, NO), hedge.candidate("b", 5.0))
        assert (won, now()) == ("b", 6.0)

    hedging(body)


def test_the_second_fails_and_the_first_wins() -> None:
    async def body(hedge: Hedge) -> None:
        won = await hedge.run(hedge.candidate("a", 6.0), hedge.candidate("b", 1.0, NO))
        assert (won, now()) == ("a", 6.0)

    hedging(body)


@pytest.mark.parametrize(("first", "second"), [(2.0, 5.0), (6.0, 1.0)])
def test_where_both_fail_the_first_ones_error_is_told(first: float, second: float) -> None:
    async def body(hedge: Hedge) -> None:
        with pytest.raises(GatewayError) as caught:
            await hedge.run(hedge.candidate("a", first, NO), hedge.candidate("b", second, NEITHER))
        assert (caught.value, now()) == (NO, 6.0)

    hedging(body)


def test_a_first_that_fails_early_is_not_hedged_but_retried_by_others() -> None:
    async def body(hedge: Hedge) -> None:
        with pytest.raises(GatewayError):
            await hedge.run(hedge.candidate("a", 0.5, NO), hedge.candidate("b", 0.0))
        assert (now(), hedge.seconds) == (0.5, 0)

    hedging(body)


@pytest.mark.parametrize("slow", ["a", "b"])
def test_a_bug_ends_both(slow: str) -> None:
    async def body(hedge: Hedge) -> None:
        with pytest.raises(ZeroDivisionError):
            await hedge.run(
                hedge.candidate("a", 9.0 if slow == "a" else 2.0, ZeroDivisionError()),
                hedge.candidate("b", 9.0 if slow == "b" else 2.0, ZeroDivisionError()),
            )
        await asyncio.sleep(0)
        assert hedge.cancelled == [slow]

    hedging(body)


@pytest.mark.parametrize(("moment", "cut_off"), [(0.5, ["a"]), (1.0, ["a"]), (4.0, ["a", "b"])])
def test_a_caller_that_goes_away_cuts_off_whoever_was_asked(
    moment: float, cut_off: list[str]
) -> None:
    async def body(hedge: Hedge) -> None:
        task = asyncio.ensure_future(
            hedge.run(hedge.candidate("a", 60.0), hedge.candidate("b", 60.0))
        )
        await asyncio.sleep(moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert hedge.cancelled[: len(cut_off)] == cut_off
        assert hedge.dropped == []

    hedging(body)


def test_a_result_that_comes_as_its_caller_goes_is_given_back() -> None:
    async def body(hedge: Hedge) -> None:
        loop = asyncio.get_running_loop()
        gate = loop.create_future()

        async def wait() -> str:
            await gate
            return "a"

        task = asyncio.ensure_future(hedge.run(wait(), hedge.candidate("b", 60.0)))
        await asyncio.sleep(3.0)
        gate.set_result(None)
        # One step for the candidate, one for the news of it; the caller has not run yet.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert hedge.dropped == ["a"]

    hedging(body)


@pytest.mark.parametrize("ending", ["result", "error"])
def test_what_a_loser_comes_to_although_it_was_cancelled_is_given_back(ending: str) -> None:
    """A provider may come to its end in the very step in which it is cut off."""

    async def body(hedge: Hedge) -> None:
        async def stubborn() -> str:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if ending == "error":
                    raise failure(Reason.PROVIDER_ERROR) from None
            return "a"

        assert await hedge.run(stubborn(), hedge.candidate("b", 1.0)) == "b"
        for _ in range(4):
            await asyncio.sleep(0)
        assert hedge.dropped == (["a"] if ending == "result" else [])

    hedging(body)
