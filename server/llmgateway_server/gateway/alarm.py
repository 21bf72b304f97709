"""Interrupting an await at a moment, cheaply enough for every read of a stream."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Final, Self

_SOON: Final = 5.0


class Deadline:
    """When a call ends (loop time), whatever it waits for; it only ever moves on."""

    __slots__ = ("when",)

    def __init__(self, when: float) -> None:
        self.when = when


_NEVER: Final = Deadline(math.inf)


class Alarm:
    """Bounds what the task that makes it awaits, one stretch after the other.

    What `asyncio.timeout_at` does, without a timer of its own for each stretch: an armed timer is
    left to fire early and then looks at the moment that counts by then. A stream of 10,000 reads
    costs a timer every few seconds instead of 10,000.

        with alarm.at(due):
            await something
    """

    def __init__(self, deadline: Deadline | None = None) -> None:
        """Prepares an alarm of this task.

        Args:
            deadline: Bounds every stretch besides its own moment, also where it moves meanwhile.

        Raises:
            RuntimeError: this is no task.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an Alarm belongs to a task")
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._deadline = deadline or _NEVER
        self._due = math.inf
        self._when = math.inf
        self._cancelling = 0
        self._rang = False

    def at(self, when: float) -> Self:
        """Sets the moment (loop time) for the `with` that it begins.

        The `with` raises TimeoutError if what is awaited in it has not come by then; it was
        cancelled.
        """
        self._when = when
        if self._handle is None:
            # Not later than a stretch after this one is likely to ask for: an early timer costs
            # one look, one that has to be moved forward costs another timer. And never later than
            # the deadline, so that only the timer has to look at that.
            soon = self._loop.time() + _SOON
            self._arm(min(when, soon, self._deadline.when))
        elif self._due > when:
            self._handle.cancel()
            self._arm(when)
        return self

    def __enter__(self) -> None:
        self._cancelling = self._task.cancelling()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._when = math.inf
        if self._rang:
            self._rang = False
            cancelling = self._task.uncancel()
            # Only a cancel that is ours alone is a timeout; a caller's cancel wins over it. And
            # what was awaited may have swallowed the cancel and come to its end.
            if kind is asyncio.CancelledError and cancelling <= self._cancelling:
                raise TimeoutError from None

    def close(self) -> None:
        """Drops the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, due: float) -> None:
        self._due = due
        self._handle = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._handle = None
        if self._when == math.inf:
            return  # nothing is awaited
        due = min(self._when, self._deadline.when)
        if due <= self._loop.time():
            self._rang = True
            self._task.cancel()
        else:
            self._arm(due)
