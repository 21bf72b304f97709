"""`cost`: the cheapest for this call."""

from __future__ import annotations

from collections.abc import Sequence

from llmgateway_server.domain.answer import Usage
from llmgateway_server.ports.strategy import Candidate, Work
from llmgateway_server.routing.strategies.health import by_health


class Cost:
    """By what the call is expected to cost; the route's order where it costs the same.

    What has no known price is never taken for free: it comes after all prices, however high.
    """

    def order(self, candidates: Sequence[Candidate], work: Work) -> Sequence[Candidate]:
        """See `Strategy`."""

        def key(candidate: Candidate) -> tuple[bool, int]:
            cost = expected_cost(candidate, work)
            return cost is None, cost or 0

        healthy, ill = by_health(candidates)
        return sorted(healthy, key=key) + sorted(ill, key=key)


def expected_cost(candidate: Candidate, work: Work) -> int | None:
    """Nano-dollars that the work costs there; None where a price is not known."""
    if candidate.prices is None:
        return None
    usage = Usage(
        input_token_count=work.input_tokens,
        output_token_count=work.output_tokens,
        cached_input_token_count=int(work.input_tokens * min(candidate.cached_share, 1.0)),
    )
    return candidate.prices.cost(usage)
