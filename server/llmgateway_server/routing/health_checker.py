"""Asks providers how they are, so that routing and the catalogue know before a call finds out."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import Provider, ProviderHealth
from llmgateway_server.routing.targets import Targets

# So that the replicas of a gateway do not ask in the same moment.
_SPREAD: Final = 0.2
_TIMERS: Final = Timers(first_content=10.0)
# For a provider that keeps no timer; those that do end before it.
_LONGEST_CHECK: Final = 15.0

logger = logging.getLogger(__name__)


class HealthChecker:
    """Validates each provider again and again, each in a task of its own.

    Args:
        targets: whose providers are asked, and told how they stand.
        interval: seconds between two checks of one provider, give or take 20 %.
        rng: spreads the checks.
    """

    def __init__(
        self, targets: Targets, interval: float, rng: Callable[[], float] = random.random
    ) -> None:
        self._targets = targets
        self._interval = interval
        self._rng = rng
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to ask."""
        for name in self._targets.standings:
            self._tasks.append(asyncio.create_task(self._check(name), name=f"health of {name}"))

    async def stop(self) -> None:
        """Asks no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _check(self, name: str) -> None:
        provider, standing = self._targets.providers[name], self._targets.standings[name]
        while True:
            await asyncio.sleep(self._interval * (1 - _SPREAD + 2 * _SPREAD * self._rng()))
            standing.checked(await _health(name, provider))


async def _health(name: str, provider: Provider) -> ProviderHealth:
    """How a provider is; one that breaks its promise not to raise, or hangs, is not healthy."""
    try:
        async with asyncio.timeout(_LONGEST_CHECK):
            return await provider.validate(_TIMERS)
    except TimeoutError:
        return ProviderHealth(False, _LONGEST_CHECK, Reason.PROVIDER_TIMEOUT, "did not answer")
    except Exception as error:  # a plug-in's bug must not end the checks
        # Its type alone: its text may hold a key.
        logger.warning("the check of %s raised %s", name, type(error).__name__)
        return ProviderHealth(False, 0.0, Reason.INTERNAL, "its check failed")
