"""All targets that this process has asked, and how each of them is."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from llmgateway_server.domain.catalog import ProviderEntry, ProviderState, ProviderStatus, Target
from llmgateway_server.ports.clock import Clock
from llmgateway_server.ports.pricing import PriceBook
from llmgateway_server.ports.provider import Provider
from llmgateway_server.routing.standing import ProviderStanding
from llmgateway_server.routing.target_state import TargetState

# Callers may name any model of some providers, so the memory for them is bounded.
_MOST_TARGETS: Final = 4096


class _Known(Struct):
    """What was last told of a provider, and since when (Unix seconds)."""

    state: ProviderState
    since: float


class Targets:
    """The states of targets, made as they are first asked for."""

    def __init__(
        self,
        entries: Mapping[str, ProviderEntry],
        providers: Mapping[str, Provider],
        prices: PriceBook,
        clock: Clock,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.standings = {name: ProviderStanding() for name in entries}
        self.providers = providers
        self._entries = entries
        self._prices = prices
        self._clock = clock
        self._wall = wall
        self._states: OrderedDict[Target, TargetState] = OrderedDict()
        self._known = {name: _Known(ProviderState.ACTIVE, wall()) for name in entries}

    def state(self, target: Target) -> TargetState:
        """The state of a target of a known provider."""
        state = self._states.get(target)
        if state is None:
            state = self._made(target)
        else:
            self._states.move_to_end(target)
        return state

    def is_any_open(self, targets: Iterable[Target]) -> bool:
        """Whether at least one of them is not shut."""
        now = self._clock.time()
        return any(not self.state(target).is_shut(now) for target in targets)

    def status(self, provider: str) -> ProviderStatus:
        """How a provider is, by its targets that were asked so far."""
        now = self._clock.time()
        states = [state for target, state in self._states.items() if target.provider == provider]
        is_shut = self.standings[provider].shut_until(now) > now or (
            bool(states) and all(state.is_shut(now) for state in states)
        )
        is_degraded = not self.standings[provider].is_healthy or any(
            state.is_degraded(now) for state in states
        )
        current = ProviderState.ACTIVE
        if is_shut:
            current = ProviderState.CIRCUIT_OPEN
        elif is_degraded:
            current = ProviderState.DEGRADED
        known = self._known[provider]
        if known.state is not current:
            known = self._known[provider] = _Known(current, self._wall())
        return ProviderStatus(current, known.since, sum(state.in_flight for state in states))

    def _made(self, target: Target) -> TargetState:
        while len(self._states) >= _MOST_TARGETS:
            idle = next((t for t, state in self._states.items() if not state.in_flight), None)
            if idle is None:
                break
            del self._states[idle]
        entry = self._entries[target.provider]
        state = self._states[target] = TargetState(
            target,
            self.providers[target.provider],
            entry,
            standing=self.standings[target.provider],
            prices=lambda: self._prices.prices_of(entry.vendor, entry.base_url, target.model),
        )
        return state
