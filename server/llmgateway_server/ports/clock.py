"""The clock port: all the time that the core knows of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds and timers on them. An asyncio event loop is one; so is a test's own."""

    def time(self) -> float:
        """Seconds since some moment; never goes back."""

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        """Calls back once the time has come."""
