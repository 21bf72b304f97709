"""What a route remembers from call to call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from llmgateway_server.domain.catalog import RouteEntry
from llmgateway_server.ports.strategy import Strategy
from llmgateway_server.resilience.hedge_budget import HedgeBudget

# Tokens of an answer before a route has had any.
_FIRST_GUESS: Final = 256.0
_STEP: Final = 0.05


class RouteState:
    """A route's strategy, its hedge budget, and how long its answers usually are."""

    def __init__(self, strategy: Strategy, entry: RouteEntry) -> None:
        self.strategy = strategy
        self.hedges = HedgeBudget(entry.hedge.budget) if entry.hedge is not None else None
        self._output_tokens = _FIRST_GUESS

    def expected_output(self, limit: int | None) -> int:
        """The tokens that an answer will have, as far as the answers before it tell."""
        expected = round(self._output_tokens)
        return expected if limit is None else min(expected, limit)

    def answered(self, output_tokens: int) -> None:
        """Learns from an answer."""
        self._output_tokens += _STEP * (output_tokens - self._output_tokens)


class RouteStates:
    """The states of a configuration's routes; plain targets share one that learns from all."""

    def __init__(
        self, routes: Mapping[str, RouteEntry], strategies: Mapping[str, Callable[[], Strategy]]
    ) -> None:
        self._strategies = strategies
        self._states = {name: self._made(entry) for name, entry in routes.items()}
        self._plain = self._made(RouteEntry("", ()))

    def of(self, entry: RouteEntry) -> RouteState:
        """The state of a route; implicit routes and plain targets have the common one."""
        return self._states.get(entry.name, self._plain)

    def _made(self, entry: RouteEntry) -> RouteState:
        return RouteState(self._strategies[entry.strategy](), entry)
