"""The entry of the core: a request in, an answer that can be pulled out."""

from __future__ import annotations

from collections.abc import Mapping

from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.gateway.accounts import Accounts
from llmgateway_server.gateway.counting import Counting
from llmgateway_server.gateway.embedding import Embedding
from llmgateway_server.gateway.generation import Generation
from llmgateway_server.ports.pricing import PriceBook
from llmgateway_server.ports.provider import Provider
from llmgateway_server.ports.tokens import TokenCounter
from llmgateway_server.routing.routes import Resolution, RouteTable


class Gateway:
    """Answers calls by the providers of one configuration.

    What its methods give is used, and closed where it can be, by the calling task. They raise
    GatewayError where a request leads to no target. `deadline` is the loop time at which a call
    ends, whatever came by then.
    """

    def __init__(
        self,
        table: RouteTable,
        providers: Mapping[str, Provider],
        prices: PriceBook,
        counter: TokenCounter,
    ) -> None:
        self.table = table
        self.accounts = Accounts(prices, counter, table.providers)
        self._providers = providers
        self._counter = counter

    def generate(self, request: GenerationRequest, deadline: float) -> Generation:
        """An answer to be read, and closed in a `finally`."""
        resolution = self.table.resolve(request)
        return Generation(request, resolution, self._provider(resolution), deadline, self.accounts)

    def embed(self, request: EmbeddingRequest, deadline: float) -> Embedding:
        """The vectors of texts."""
        resolution = self.table.resolve(request)
        return Embedding(request, resolution, self._provider(resolution), deadline, self.accounts)

    def count_tokens(self, request: GenerationRequest, deadline: float) -> Counting:
        """The size of a request."""
        resolution = self.table.resolve(request)
        return Counting(
            request,
            resolution,
            self._provider(resolution),
            deadline,
            counter=self._counter,
            vendor=self.table.providers[resolution.target.provider].vendor,
        )

    async def initialize(self) -> None:
        """Prepares the providers; before the first call."""
        for provider in self._providers.values():
            await provider.initialize()

    async def shutdown(self) -> None:
        """Closes the providers; no call may be in flight."""
        for provider in self._providers.values():
            await provider.shutdown()

    def _provider(self, resolution: Resolution) -> Provider:
        return self._providers[resolution.target.provider]
