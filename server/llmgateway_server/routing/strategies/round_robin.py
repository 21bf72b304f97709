"""`round_robin`: everyone in turn."""

from __future__ import annotations

from collections.abc import Sequence

from llmgateway_server.domain.catalog import Target
from llmgateway_server.ports.strategy import Candidate, Work
from llmgateway_server.routing.strategies.health import by_health


class RoundRobin:
    """Who has waited longest for a turn is first.

    Turns belong to targets and not to places in the list: while one is missing or not healthy the
    others go on in turn, and when it comes back it has one turn, not all that it missed.
    """

    def __init__(self) -> None:
        self._calls = 0
        # The call at which a target had its last turn; as many as the route has targets.
        self._turns: dict[Target, int] = {}

    def order(self, candidates: Sequence[Candidate], work: Work) -> Sequence[Candidate]:
        """See `Strategy`."""
        del work
        healthy, ill = by_health(candidates)
        # Sorting keeps the route's order among those that never had one.
        ordered = sorted(healthy, key=self._last_turn) + sorted(ill, key=self._last_turn)
        self._calls += 1
        self._turns[ordered[0].target] = self._calls
        return ordered

    def _last_turn(self, candidate: Candidate) -> int:
        return self._turns.get(candidate.target, 0)
