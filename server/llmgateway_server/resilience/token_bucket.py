"""A limit of requests or tokens a minute: reserved by estimate, settled with what was used."""

from __future__ import annotations

import math
from typing import Final

_ROUNDING: Final = 1e-6
"""Seconds; what refills in them may be missing, for the times that callers wait for are rounded."""


class TokenBucket:
    """Holds a minute's worth, refills continuously, and starts full.

    It may owe up to another minute's worth: calls that used more than was reserved for them, or
    one that is larger than the whole bucket, are paid by those that come later. Time that goes
    backwards stands still.
    """

    __slots__ = ("_capacity", "_left", "_now", "_rate")

    def __init__(self, per_minute: float) -> None:
        self._capacity = per_minute
        self._rate = per_minute / 60
        self._left = per_minute
        self._now = -math.inf

    def try_reserve(self, amount: float, now: float) -> bool:
        """Takes `amount` if that much is there; else takes nothing and returns False.

        More than the capacity is granted when the bucket is full, since it could never pass
        otherwise.
        """
        self._refill(now)
        if not self._suffices(amount, self._left):
            return False
        self._add(-self._charge(amount))
        return True

    def available_at(self, amount: float, now: float) -> float:
        """The earliest time at which `amount` could be reserved; `now` if it can be at once."""
        since = max(self._now, now)
        left = self._left_at(since)
        if self._suffices(amount, left):
            return now
        return since + (min(amount, self._capacity) - left) / self._rate

    def settle(self, reserved: float, used: float, now: float) -> None:
        """Gives back what was reserved and not used, or takes what was used beyond it."""
        self._refill(now)
        self._add(self._charge(reserved) - self._charge(used))

    def refund(self, amount: float, now: float) -> None:
        """Gives back a reservation of which nothing was used."""
        self.settle(amount, 0, now)

    def _suffices(self, amount: float, left: float) -> bool:
        return left >= min(amount, self._capacity) - self._rate * _ROUNDING

    def _charge(self, amount: float) -> float:
        # From full to the deepest debt: no more can be taken, so no more can be given back.
        return min(amount, 2 * self._capacity)

    def _add(self, amount: float) -> None:
        self._left = max(-self._capacity, min(self._capacity, self._left + amount))

    def _left_at(self, now: float) -> float:
        return min(self._capacity, self._left + self._rate * (now - self._now))

    def _refill(self, now: float) -> None:
        now = max(self._now, now)
        self._left = self._left_at(now)
        self._now = now
