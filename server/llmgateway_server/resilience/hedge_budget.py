"""How many calls may be hedged: asked of a second target before the first has failed."""

from __future__ import annotations

from typing import Final

MOST_SAVED: Final = 10.0
"""Hedges that can be saved up: a bad minute after a good hour does not double the load."""


class HedgeBudget:
    """Each call earns a share of a hedge. It starts empty, so hedges never exceed their share."""

    __slots__ = ("_share", "_tokens")

    def __init__(self, share: float) -> None:
        self._share = share
        self._tokens = 0.0

    def called(self) -> None:
        """A call began."""
        self._tokens = min(MOST_SAVED, self._tokens + self._share)

    def take(self) -> bool:
        """Whether one call may be hedged; it counts as hedged then."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
