"""The token port: how large a request or an answer is, where no provider says so."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from llmgateway_server.domain.request import GenerationRequest


class TokenCount(Struct, frozen=True):
    """A number of tokens; `is_estimated` says that the provider may count otherwise."""

    tokens: int
    is_estimated: bool


class TokenCounter(Protocol):
    """Counts without asking anyone. `vendor` names who makes the model, see `PriceBook`."""

    async def count(self, request: GenerationRequest, vendor: str, model: str) -> TokenCount:
        """The input tokens of a request, as the vendor would count them; never raises.

        Awaited because a large text takes its time, and takes it away from the event loop.
        """

    def estimate_text(self, byte_count: int, vendor: str) -> int:
        """The tokens of a text of that many UTF-8 bytes: always an estimate, and as cheap as one.

        For streams that broke off before their provider told the usage.
        """
