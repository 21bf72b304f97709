"""The strategy port: in which order the candidates of a call are asked.

Third parties add strategies through the entry-point group `llmgateway.strategies`; the built-in
ones register the same way. An entry point names a callable without arguments that makes a
`Strategy`; each route has one of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.prices import Prices


class Work(Struct, frozen=True):
    """What a call is expected to take, in tokens.

    `input_tokens` are estimated from the request; `output_tokens` are what the route's answers
    usually have, within the request's own limit.
    """

    input_tokens: int
    output_tokens: int


class Candidate(Struct, frozen=True):
    """What a strategy may know of a target that could answer.

    `time_to_first_token` and `time_per_token` are peak-sensitive moving averages in seconds, None
    before the first answer. `cached_share` is the usual share of input tokens that the provider
    reads from its own prompt cache, 0 to 1. `is_healthy`: its last calls and its last check went
    well.
    """

    target: Target
    weight: float = 1.0
    in_flight: int = 0
    time_to_first_token: float | None = None
    time_per_token: float | None = None
    prices: Prices | None = None
    cached_share: float = 0.0
    is_healthy: bool = True


class Strategy(Protocol):
    """Orders candidates. Called by one event loop, and never waits."""

    def order(self, candidates: Sequence[Candidate], work: Work) -> Sequence[Candidate]:
        """All the candidates, the one to be asked first at the front.

        Args:
            candidates: At least one, in the route's own order; all of them can answer the call.
            work: What the call is expected to take.
        """
