"""The size of a request: counted by its provider, or estimated here."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from llmgateway_server.domain.answer import Route
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.gateway.alarm import Alarm
from llmgateway_server.ports.provider import Provider
from llmgateway_server.ports.tokens import TokenCount, TokenCounter
from llmgateway_server.routing.fitting import fit
from llmgateway_server.routing.routes import Resolution

# An estimate is at hand, so nobody waits for an exact count as long as for an answer; seconds.
_PATIENCE = 5.0

# What no provider was asked for: Generate would refuse the same request with the same words.
_REFUSALS = frozenset({Reason.REQUEST_INVALID, Reason.CAPABILITY_UNSUPPORTED})


class Counting:
    """A count, made once by the one task that serves the call.

    `model` is the target whose tokens are counted. A provider that fails, is slow or cannot be
    reached costs the call its exactness and nothing else.
    """

    def __init__(
        self,
        request: GenerationRequest,
        resolution: Resolution,
        provider: Provider,
        deadline: float,
        *,
        counter: TokenCounter,
        vendor: str,
    ) -> None:
        self._target = resolution.places[0].target
        self.model = self._target.name
        self.route = Route(self._target.provider, self._target.model, attempt_count=0)
        self._request = request
        self._resolution = resolution
        self._provider = provider
        self._counter = counter
        self._vendor = vendor
        self._deadline = deadline
        self._alarm = Alarm()

    async def count(self) -> TokenCount:
        """Asks the provider, or else the counter.

        Raises:
            GatewayError: the request cannot be put into the provider's words at all, or the
                deadline passed.
        """
        try:
            tokens = await self._ask()
            if tokens is not None:
                return TokenCount(tokens, is_estimated=False)
            with self._alarm.at(self._deadline):
                model = self._target.model
                return await self._counter.count(self._request, self._vendor, model)
        except TimeoutError:
            raise GatewayError(
                Reason.DEADLINE_EXCEEDED,
                "the call's deadline passed before the tokens were counted",
            ) from None
        finally:
            self._alarm.close()

    async def _ask(self) -> int | None:
        """The provider's count; None where it has none to give."""
        timers, model = self._resolution.places[0].timers, self._target.model
        now = asyncio.get_running_loop().time()
        # The estimate is still to come before the deadline.
        patience = min(timers.first_content or _PATIENCE, _PATIENCE, (self._deadline - now) * 3 / 4)
        self.route = replace(self.route, attempt_count=1)
        try:
            with self._alarm.at(now + patience):
                tokens = await self._provider.count_tokens(self._fitted(), model, timers)
        except GatewayError as error:
            if error.reason in _REFUSALS:
                raise
            return None
        except TimeoutError:
            return None
        if tokens is None:
            self.route = replace(self.route, attempt_count=0)
        return tokens

    def _fitted(self) -> GenerationRequest:
        """What a call would send; what it would drop by its route's policy costs no tokens."""
        capabilities = self._provider.capabilities(self._target.model)
        return fit(self._request, capabilities, self._resolution.entry.unsupported).request
