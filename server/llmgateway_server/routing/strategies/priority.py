"""`priority`: the order in which the route names its targets."""

from __future__ import annotations

from collections.abc import Sequence

from llmgateway_server.ports.strategy import Candidate, Work
from llmgateway_server.routing.strategies.health import by_health


class InOrder:
    """The route's own order, the healthy ones first."""

    def order(self, candidates: Sequence[Candidate], work: Work) -> Sequence[Candidate]:
        """See `Strategy`."""
        del work
        healthy, ill = by_health(candidates)
        return healthy + ill
