"""The price port: what a model costs, as far as anyone here knows."""

from __future__ import annotations

from typing import Protocol

from llmgateway_server.domain.prices import Prices


class PriceBook(Protocol):
    """Looks prices up; cheap enough for every answer."""

    def prices_of(self, vendor: str, base_url: str, model: str) -> Prices | None:
        """The prices that hold now, or None where nobody knows them; never raises.

        Args:
            vendor: Who sends the bill, in lower case, such as `openai`, `anthropic`, `google`,
                `groq`; empty or unknown to the book: it is told by the base URL.
            base_url: The provider's, such as https://api.openai.com/v1.
            model: The name that the provider is asked for.
        """
