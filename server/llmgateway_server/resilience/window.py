"""What calls came to within the last seconds, counted in buckets of time."""

from __future__ import annotations

from collections import deque
from typing import Final

BUCKETS: Final = 10
"""A result is forgotten a tenth of the window early at most."""


class _Bucket:
    __slots__ = ("calls", "failed", "index", "slow")

    def __init__(self, index: float) -> None:
        self.index = index
        self.calls = 0
        self.failed = 0
        self.slow = 0


class Window:
    """Sliding counts of calls, and of those among them that failed or were slow.

    The counts are those of the last `add`; nothing asks for them without a new result.
    """

    __slots__ = ("_buckets", "_width", "calls", "failed", "slow")

    def __init__(self, length: float) -> None:
        self._width = length / BUCKETS
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._buckets: deque[_Bucket] = deque()
        self.calls = 0
        self.failed = 0
        self.slow = 0

    def add(self, now: float, *, failed: bool = False, slow: bool = False) -> None:
        """Counts a call, and forgets those that are too old.

        Args:
            now: Monotonic seconds; never less than the time before.
            failed: It ended with a fault.
            slow: Its first content was late, or never came.
        """
        index = now // self._width
        buckets = self._buckets
        while buckets and buckets[0].index <= index - BUCKETS:
            old = buckets.popleft()
            self.calls -= old.calls
            self.failed -= old.failed
            self.slow -= old.slow
        if not buckets or buckets[-1].index != index:
            buckets.append(_Bucket(index))
        newest = buckets[-1]
        newest.calls += 1
        newest.failed += failed
        newest.slow += slow
        self.calls += 1
        self.failed += failed
        self.slow += slow
