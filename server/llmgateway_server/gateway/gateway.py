"""The entry of the core: a request in, an answer that can be pulled out."""

from __future__ import annotations

from collections.abc import Mapping

from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.gateway.generation import Generation
from llmgateway_server.gateway.routes import RouteTable
from llmgateway_server.ports.provider import Provider


class Gateway:
    """Answers generation requests by the providers of one configuration."""

    def __init__(self, table: RouteTable, providers: Mapping[str, Provider]) -> None:
        self.table = table
        self._providers = providers

    def generate(self, request: GenerationRequest, deadline: float) -> Generation:
        """An answer to be read by the calling task, closed in its `finally`.

        Args:
            request: what to ask.
            deadline: loop time at which the call ends, whatever came by then.

        Raises:
            GatewayError: the request leads to no target.
        """
        resolution = self.table.resolve(request)
        provider = self._providers[resolution.target.provider]
        return Generation(request, resolution, provider, deadline)

    async def aclose(self) -> None:
        """Closes the providers; no call may be in flight."""
        for provider in self._providers.values():
            await provider.aclose()
