"""The target with the fewest calls in flight, for machines of one's own that are all alike.

A larger machine takes more at once: with weight 2 it counts as half as busy.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmgateway_server.ports.strategy import Candidate, Work


class LeastBusy:
    """See `Strategy`; it remembers nothing from call to call."""

    def order(self, candidates: Sequence[Candidate], work: Work) -> Sequence[Candidate]:
        """The healthy ones first, each group by its calls in flight."""
        del work
        return sorted(candidates, key=lambda each: (not each.is_healthy, _load(each)))


def _load(candidate: Candidate) -> float:
    # The call that is about to be made counts, or all idle machines would be alike.
    return (candidate.in_flight + 1) / max(candidate.weight, 1e-9)
