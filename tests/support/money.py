"""Prices and tokens that a test can reckon with."""

from __future__ import annotations

from llmgateway_server.domain.catalog import ProviderEntry
from llmgateway_server.domain.prices import Prices
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.gateway.accounts import Accounts
from llmgateway_server.ports.tokens import TokenCount

# One nano-dollar a token in, two a token out.
PRICES = Prices(input=1_000_000, output=2_000_000)


class FixedPrices:
    """The same prices for every model, or none."""

    def __init__(self, prices: Prices | None = None) -> None:
        self.prices = prices

    def prices_of(self, vendor: str, base_url: str, model: str) -> Prices | None:
        return self.prices


class FourBytesAToken:
    """A tokenizer of the simplest kind."""

    async def count(self, request: GenerationRequest, vendor: str, model: str) -> TokenCount:
        size = sum(
            len(getattr(part, "text", "")) for message in request.messages for part in message.parts
        )
        return TokenCount(self.estimate_text(size, vendor), is_estimated=True)

    def estimate_text(self, byte_count: int, vendor: str) -> int:
        return -(-byte_count // 4)


def accounts_for(provider: str = "up", prices: Prices | None = None) -> Accounts:
    """The accounts of a gateway with one provider."""
    entry = ProviderEntry(provider, "scripted", passes_any_model=True, timers=Timers())
    return Accounts(FixedPrices(prices), FourBytesAToken(), {provider: entry})
