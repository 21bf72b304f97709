"""How many retries a target that fails may cause before its calls fail fast.

Capacity and costs are those of the retry quota of AWS's SDKs (standard mode as of 2026,
https://github.com/aws/aws-sdk-java-v2/issues/6987). A provider that says "later" may be asked
more often than one that breaks.
"""

from __future__ import annotations

from typing import Final

CAPACITY: Final = 500.0
FAULT_COST: Final = 14
"""What an attempt costs that follows a fault."""
BACKPRESSURE_COST: Final = 5
"""What an attempt costs that follows a 429 or 529."""


class RetryBudget:
    """A bucket that retries empty and successes refill. It starts full; time does not fill it.

    Attributes:
        left: What may be spent, from 0 to the capacity.
    """

    __slots__ = ("_capacity", "left")

    def __init__(self, capacity: float = CAPACITY) -> None:
        self._capacity = capacity
        self.left = capacity

    def take(self, cost: float) -> bool:
        """Spends `cost`; where less is left, spends nothing and returns False."""
        if self.left < cost:
            return False
        self.left -= cost
        return True

    def give(self, amount: float) -> None:
        """Gives back, up to the capacity."""
        self.left = min(self._capacity, self.left + amount)
