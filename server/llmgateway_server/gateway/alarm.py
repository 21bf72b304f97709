"""Interrupting an await at a moment, cheaply enough for every read of a stream."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Alarm:
    """Bounds awaits of the task that makes it, one after the other.

    What `asyncio.timeout_at` does, without a timer of its own for each await: an armed timer is
    left to fire early and then looks at the moment that counts by then. A stream of 10,000 reads
    costs a timer every few seconds instead of 10,000.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an Alarm belongs to a task")
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._when = math.inf
        self._rang = False

    async def wait(self, awaitable: Awaitable[T], when: float) -> T:
        """The awaitable's result.

        Raises:
            TimeoutError: it had not come by `when` (loop time); the awaitable was cancelled.
        """
        cancelling = self._task.cancelling()
        self._when = when
        if self._handle is None:
            self._handle = self._loop.call_at(when, self._ring)
        elif self._handle.when() > when:
            self._handle.cancel()
            self._handle = self._loop.call_at(when, self._ring)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if self._rang:
                self._rang = False
                # Only a cancel that is ours alone is a timeout; a caller's cancel wins over it.
                if self._task.uncancel() <= cancelling:
                    raise TimeoutError from None
            raise
        finally:
            self._when = math.inf
            if self._rang:
                # The awaitable swallowed the cancel and came to its end.
                self._rang = False
                self._task.uncancel()

    def close(self) -> None:
        """Drops the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        if self._when <= self._loop.time():
            self._rang = True
            self._task.cancel()
        elif self._when < math.inf:
            self._handle = self._loop.call_at(self._when, self._ring)
