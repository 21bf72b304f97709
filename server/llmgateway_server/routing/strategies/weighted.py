"""`weighted`: by chance, in proportion to the targets' weights."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from typing import Final

from llmgateway_server.ports.strategy import Candidate, Work
from llmgateway_server.routing.strategies.health import by_health

_MOST: Final = sys.float_info.max


class Weighted:
    """Draws one after the other without putting it back.

    Weight 0 is drawn after all others; among the targets that are not healthy weights count too.
    """

    def __init__(self, random: Callable[[], float] = random.random) -> None:
        self._random = random

    def order(self, candidates: Sequence[Candidate], work: Work) -> Sequence[Candidate]:
        """See `Strategy`."""
        del work
        healthy, ill = by_health(candidates)
        return self._drawn(healthy) + self._drawn(ill)

    def _drawn(self, candidates: list[Candidate]) -> list[Candidate]:
        """One clock each rings after an exponential time, sooner for a larger weight.

        The order in which they ring is that of drawing without replacement (Efraimidis and
        Spirakis, https://doi.org/10.1016/j.ipl.2005.11.003).
        """
        largest = max((min(candidate.weight, _MOST) for candidate in candidates), default=0.0)
        rings = []
        for candidate in candidates:
            # Only ratios count; with the largest as 1 the smallest weights stay apart.
            share = min(candidate.weight, _MOST) / largest if candidate.weight > 0 else 0.0
            # 1 - x lies in (0, 1], whose logarithm exists.
            rings.append(-math.log(1.0 - self._random()) / share if share > 0 else math.inf)
        places = range(len(candidates))
        ordered = sorted(places, key=lambda place: (candidates[place].weight <= 0, rings[place]))
        return [candidates[place] for place in ordered]
