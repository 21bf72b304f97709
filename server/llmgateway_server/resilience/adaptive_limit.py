"""How many calls the gateway works on at the same time while its providers are under strain."""

from __future__ import annotations

import math
from typing import Final

DECREASE_EVERY: Final = 1.0
"""Seconds between two decreases: many calls suffer from one cause at the same time."""
LATE: Final = 1.0
"""Seconds within which no first token is late."""
LATE_FACTOR: Final = 4.0
"""How many times the usual a late first token takes at least."""


class AdaptiveLimit:
    """Additive increase, multiplicative decrease, between two bounds; starts at the upper one.

    The upper bound wins where it is below the lower one. Total times are no sign of strain, since
    they depend on how long the answers are. The increase is Netflix's: only when the limit is in
    use (https://github.com/Netflix/concurrency-limits, AIMDLimit).
    Time that goes backwards stands still.

    Attributes:
        value: The limit.
    """

    __slots__ = ("_decreased_at", "_least", "_most", "value")

    def __init__(self, most: int, least: int) -> None:
        self._most = most
        self._least = min(least, most)
        self._decreased_at = -math.inf
        self.value = most

    def pushed_back(self, now: float) -> None:
        """A call ended on a 429 or 529, whichever target was asked."""
        self._decrease(now)

    def first_token(self, seconds: float, usual: float | None, now: float) -> None:
        """A call's first token came.

        Args:
            seconds: How long it took.
            usual: How long it usually takes there; None, not known, tells nothing.
            now: Monotonic seconds.
        """
        if usual is not None and seconds > max(LATE, LATE_FACTOR * usual):
            self._decrease(now)

    def succeeded(self, in_flight: int) -> None:
        """A call went well.

        Args:
            in_flight: Calls at work at that time; a limit that is not half used is not raised.
        """
        if 2 * in_flight >= self.value:
            self.value = min(self._most, self.value + 1)

    def _decrease(self, now: float) -> None:
        if now - self._decreased_at >= DECREASE_EVERY:
            self._decreased_at = now
            self.value = max(self._least, self.value * 9 // 10)
