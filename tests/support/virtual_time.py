"""An event loop whose clock jumps: timers are tested to the second without waiting for one.

    def test_a_minute_passes() -> None:
        async def main() -> float:
            await asyncio.sleep(60)
            return asyncio.get_running_loop().time()

        assert run_virtual(main()) == 60.0

Only for code that waits for timers, tasks and futures: while a socket or a thread is awaited the
clock would run away from it. `time.monotonic()` is untouched; code under test asks its loop.
"""

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class DeadlockError(Exception):
    """Every task waits, and no timer is left that could wake one."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that starts at 0.0 and moves on to the next timer when it would wait."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let the clock show at least `seconds` more, and at least a little more."""
        self._now = max(self._now + seconds, math.nextafter(self._now, math.inf))


class _JumpingSelector(selectors.DefaultSelector):
    """Looks without waiting, and jumps where it was asked to wait."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self._loop))
            raise DeadlockError(f"no timer is left to wake {', '.join(waiting)}")
        self._loop.jump(timeout)
        return []


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time and return its result.

    Raises:
        DeadlockError: Nothing could ever happen any more.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
