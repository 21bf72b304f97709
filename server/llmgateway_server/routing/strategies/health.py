"""What all strategies hold to: who is not healthy is asked after those who are."""

from __future__ import annotations

from collections.abc import Sequence

from llmgateway_server.ports.strategy import Candidate


def by_health(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """The healthy ones and the others, each in the order in which they came."""
    healthy = [candidate for candidate in candidates if candidate.is_healthy]
    ill = [candidate for candidate in candidates if not candidate.is_healthy]
    return healthy, ill
