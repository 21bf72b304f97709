"""The alarm: timeouts of one task, exact to the moment, and never mistaken for a cancel."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from llmgateway_server.gateway.alarm import Alarm, Deadline
from support.virtual_time import run_virtual

T = TypeVar("T")


async def bounded(alarm: Alarm, awaitable: Awaitable[T], when: float) -> T:
    with alarm.at(when):
        return await awaitable


def test_a_result_that_comes_in_time_is_returned() -> None:
    async def main() -> str:
        return await bounded(Alarm(), asyncio.sleep(1, "done"), 2.0)

    assert run_virtual(main()) == "done"


def test_it_rings_at_its_moment_and_cancels_the_awaitable() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            await bounded(Alarm(), asyncio.sleep(60), 5.0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 5.0


def test_a_later_moment_is_kept_although_the_timer_was_armed_for_an_earlier_one() -> None:
    async def main() -> float:
        alarm = Alarm()
        await bounded(alarm, asyncio.sleep(1), 2.0)
        with pytest.raises(TimeoutError):
            await bounded(alarm, asyncio.sleep(60), 10.0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 10.0


def test_an_earlier_moment_is_kept_although_the_timer_was_armed_for_a_later_one() -> None:
    async def main() -> float:
        alarm = Alarm()
        await bounded(alarm, asyncio.sleep(1), 20.0)
        with pytest.raises(TimeoutError):
            await bounded(alarm, asyncio.sleep(60), 3.0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 3.0


def test_it_does_not_ring_between_two_waits() -> None:
    async def main() -> str:
        alarm = Alarm()
        await bounded(alarm, asyncio.sleep(1), 2.0)
        await asyncio.sleep(30)
        return await bounded(alarm, asyncio.sleep(1, "done"), 40.0)

    assert run_virtual(main()) == "done"


def test_many_reads_share_one_timer() -> None:
    async def main() -> int:
        alarm = Alarm()
        loop = asyncio.get_running_loop()
        handles = set()
        for _ in range(100):
            await bounded(alarm, asyncio.sleep(0.01), loop.time() + 30)
            handles.add(id(alarm._handle))
        alarm.close()
        return len(handles)

    assert run_virtual(main()) == 1


def test_a_cancel_from_outside_stays_a_cancel() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(_waits())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def _waits() -> None:
        await bounded(Alarm(), asyncio.sleep(60), 30.0)

    run_virtual(main())


def test_a_cancel_in_the_very_turn_in_which_it_rings_wins() -> None:
    async def main() -> None:
        async def waits() -> None:
            await bounded(Alarm(), asyncio.sleep(60), 5.0)

        task = asyncio.ensure_future(waits())
        asyncio.get_running_loop().call_at(5.0, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())


def test_two_alarms_nest() -> None:
    async def main() -> float:
        inner, outer = Alarm(), Alarm()

        async def nested() -> None:
            with pytest.raises(TimeoutError):
                await bounded(inner, asyncio.sleep(60), 2.0)
            await asyncio.sleep(60)

        with pytest.raises(TimeoutError):
            await bounded(outer, nested(), 4.0)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 4.0


def test_an_awaitable_that_swallows_the_cancel_leaves_the_task_clean() -> None:
    async def main() -> str:
        async def stubborn() -> str:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "late"
            return "never"

        alarm = Alarm()
        first = await bounded(alarm, stubborn(), 1.0)
        await bounded(alarm, asyncio.sleep(1), 10.0)
        return first

    assert run_virtual(main()) == "late"


def test_a_deadline_bounds_every_stretch() -> None:
    async def main() -> float:
        alarm = Alarm(Deadline(3.0))
        await bounded(alarm, asyncio.sleep(2), 60.0)
        with pytest.raises(TimeoutError):
            await bounded(alarm, asyncio.sleep(60), 60.0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 3.0


def test_a_deadline_that_moves_on_while_something_is_awaited_holds_from_then() -> None:
    async def main() -> float:
        deadline = Deadline(5.0)
        alarm = Alarm(deadline)

        def extend() -> None:
            deadline.when = 50.0

        asyncio.get_running_loop().call_later(4, extend)
        with pytest.raises(TimeoutError):
            await bounded(alarm, asyncio.sleep(100), 100.0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 50.0


def test_a_deadline_that_passes_while_nothing_is_awaited_rings_at_the_next_stretch() -> None:
    async def main() -> float:
        alarm = Alarm(Deadline(5.0))
        await bounded(alarm, asyncio.sleep(1), 60.0)
        await asyncio.sleep(9)
        with pytest.raises(TimeoutError):
            await bounded(alarm, asyncio.sleep(60), 60.0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 10.0
