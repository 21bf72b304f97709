"""How a provider stands: its key, its last check. Shared by all of its targets."""

from __future__ import annotations

from typing import Final

from llmgateway_server.ports.provider import ProviderHealth

# A refused key is tried again after this long, where no check has found it good before.
_KEY_REST: Final = 300.0


class ProviderStanding:
    """What is known of a provider beyond single calls; times are seconds of the caller's clock."""

    def __init__(self) -> None:
        self.is_healthy = True
        """What the last check said; True before the first."""
        self._shut_until = 0.0

    def refused_key(self, now: float) -> None:
        """The provider refused the gateway's key, or its account is empty: nobody else is sent."""
        self._shut_until = now + _KEY_REST

    def shut_until(self, now: float) -> float:
        """When the key may be tried again; `now` or earlier where it may be now."""
        return max(now, self._shut_until)

    def checked(self, health: ProviderHealth) -> None:
        """Takes the result of a check; one that went well opens what a refused key had shut."""
        self.is_healthy = health.is_healthy
        if health.is_healthy:
            self._shut_until = 0.0
