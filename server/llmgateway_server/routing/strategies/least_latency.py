"""`least_latency`: the sooner done of two that are picked by chance.

Everybody's best target would get all calls at once, before its latency tells of them; the better
one of two picks spreads them and still avoids the slow (Mitzenmacher, The Power of Two Choices in
Randomized Load Balancing, https://doi.org/10.1109/71.963420).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from llmgateway_server.ports.strategy import Candidate, Work
from llmgateway_server.routing.strategies.health import by_health

# Seconds. What is faster, or not known yet, is taken for this, so that calls in flight count.
_LEAST: Final = 0.001
# Seconds. Above it averages mean nothing, and their sums and products might be no numbers.
_MOST: Final = 1e6


class LeastLatency:
    """Power of two choices on (time to first token + output x time per token) x calls there.

    A target that has not answered yet counts as fast, or it would never be tried; and as slow while
    it has still to give its first answer, or everybody would wait for it.
    """

    def __init__(self, random: Callable[[], float] = random.random) -> None:
        self._random = random

    def order(self, candidates: Sequence[Candidate], work: Work) -> Sequence[Candidate]:
        """See `Strategy`."""
        healthy, ill = by_health(candidates)
        return self._chosen(healthy, work) + self._chosen(ill, work)

    def _chosen(self, candidates: list[Candidate], work: Work) -> list[Candidate]:
        if len(candidates) < 2:
            return candidates
        scores = [_score(candidate, work) for candidate in candidates]
        one = int(self._random() * len(candidates))
        other = int(self._random() * (len(candidates) - 1))
        other += other >= one
        first = one if scores[one] <= scores[other] else other
        places = sorted(range(len(candidates)), key=lambda place: (place != first, scores[place]))
        return [candidates[place] for place in places]


def _score(candidate: Candidate, work: Work) -> float:
    if candidate.time_to_first_token is None and candidate.in_flight:
        return _MOST * candidate.in_flight
    first = min(candidate.time_to_first_token or 0.0, _MOST)
    each = min(candidate.time_per_token or 0.0, _MOST)
    return max(first + work.output_tokens * each, _LEAST) * (candidate.in_flight + 1)
