"""Hedged requests: a second candidate beside one that lets its caller wait.

Source: Dean and Barroso, "The Tail at Scale" (CACM 56:2, 2013).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from llmgateway_server.domain.errors import GatewayError

T = TypeVar("T")


async def hedged(
    first: Callable[[], Awaitable[T]],
    after: float | None,
    second: Callable[[], Awaitable[T] | None],
    drop: Callable[[T], None],
) -> T:
    """The result of whichever comes first; the other is cancelled.

    Args:
        first: what is asked at once.
        after: seconds until the second is asked beside it; None: it never is.
        second: gives what is asked then, or None where nothing may be.
        drop: gives back a result that nobody takes.

    Raises:
        GatewayError: the first failed, and the second too, if it was asked.
    """
    tasks = [asyncio.ensure_future(first())]
    try:
        done, _ = await asyncio.wait(tasks, timeout=after)
        if not done:
            other = second()
            if other is not None:
                tasks.append(asyncio.ensure_future(other))
        return await _first_good(tasks)
    finally:
        for task in tasks:
            _dismiss(task, drop)


async def _first_good(tasks: list[asyncio.Task[T]]) -> T:
    waiting = list(tasks)
    while waiting:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        # In the order of asking, so that of two that came together the first is taken.
        for task in [each for each in waiting if each in done]:
            waiting.remove(task)
            if not isinstance(task.exception(), GatewayError):
                tasks.remove(task)
                return task.result()
    return tasks[0].result()


def _dismiss(task: asyncio.Task[T], drop: Callable[[T], None]) -> None:
    if task.done():
        _give_back(task, drop)
    else:
        task.cancel()
        # What is cut off may still come to its end.
        task.add_done_callback(lambda ended: _give_back(ended, drop))


def _give_back(task: asyncio.Task[T], drop: Callable[[T], None]) -> None:
    if not task.cancelled() and task.exception() is None:
        drop(task.result())
