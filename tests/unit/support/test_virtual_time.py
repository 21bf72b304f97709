"""Virtual time passes as real time would, only sooner."""

import asyncio
import time

import pytest

from support.virtual_time import DeadlockError, run_virtual


def test_an_hour_of_sleep_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run_virtual(main()) == 3600.0
    assert time.monotonic() - began < 1


def test_a_month_of_sleep_takes_no_time_either() -> None:
    async def main() -> float:
        await asyncio.sleep(30 * 86400)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 30 * 86400


def test_timers_fire_in_order_and_at_their_time() -> None:
    fired: list[tuple[str, float]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def note(name: str) -> None:
            fired.append((name, loop.time()))

        for name, when in (("late", 9.0), ("early", 1.5), ("between", 3.0)):
            loop.call_at(when, note, name)
        await asyncio.sleep(10)

    run_virtual(main())
    assert fired == [("early", 1.5), ("between", 3.0), ("late", 9.0)]


def test_time_stands_still_while_something_can_run() -> None:
    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0.0


def test_a_timeout_ends_a_wait_at_its_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 30.0


def test_tasks_share_one_clock() -> None:
    async def main() -> tuple[float, float]:
        async def wake_after(seconds: float) -> float:
            await asyncio.sleep(seconds)
            return asyncio.get_running_loop().time()

        early, late = await asyncio.gather(wake_after(0.25), wake_after(5))
        return early, late

    assert run_virtual(main()) == (0.25, 5.0)


def test_a_deadlock_is_named_instead_of_waited_for() -> None:
    async def main() -> None:
        waiter = asyncio.create_task(asyncio.Event().wait(), name="the waiter")
        await waiter

    with pytest.raises(DeadlockError, match="the waiter"):
        run_virtual(main())


def test_an_exception_reaches_the_caller() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise LookupError("absent")

    with pytest.raises(LookupError, match="absent"):
        run_virtual(main())
