"""A clock that a test moves by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class HandClock:
    """Shows `now`; has no timers."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        raise AssertionError(f"nothing here waits: {callback} at {when}")
