"""What a call costs: whole nano-dollars, from token counts and prices per million tokens.

The contract's convention: cached and written tokens are parts of the input, reasoning is one of the
output, and a tier is entered by the length of the input. It then prices the whole call, as the
vendors' long-context prices do (https://ai.google.dev/gemini-api/docs/pricing).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from msgspec import Struct

from llmgateway_server.domain.answer import Usage

_PRICED_TOKENS: Final = 1_000_000
# The contract's field is an int64; what does not fit is no cost that anyone has.
_MAX: Final = 2**63 - 1


class Rates(Struct, frozen=True):
    """Nano-dollars (1e-9 USD) for a million tokens of each kind.

    None: not known for `input` and `output`, and as the input for the two others.
    """

    input: int | None = None
    output: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None


class PriceTier(Rates, frozen=True, kw_only=True):
    """What a call costs whose input is longer than `above` tokens, instead of the base rates."""

    above: int


class Prices(Rates, frozen=True):
    """A model's prices; `tiers` in ascending order, each complete in itself."""

    tiers: tuple[PriceTier, ...] = ()

    def cost(self, usage: Usage) -> int | None:
        """Nano-dollars, rounded once for the whole call, halves up.

        None where the price of something used is not known. Never raises: a count below zero is
        taken for zero, and parts that exceed their whole are cut down to it.
        """
        rates = self._rates(usage.input_token_count)
        if rates.input is None:
            return None
        total = max(usage.input_token_count, 0)
        written = min(max(usage.cache_write_input_token_count, 0), total)
        cached = min(max(usage.cached_input_token_count, 0), total - written)
        amount = (total - written - cached) * rates.input
        amount += written * (rates.input if rates.cache_write is None else rates.cache_write)
        amount += cached * (rates.input if rates.cached_input is None else rates.cached_input)
        if usage.output_token_count > 0:
            if rates.output is None:
                return None
            amount += usage.output_token_count * rates.output
        nano_dollars = (amount + _PRICED_TOKENS // 2) // _PRICED_TOKENS
        return nano_dollars if nano_dollars <= _MAX else None

    def _rates(self, input_token_count: int) -> Rates:
        rates: Rates = self
        for tier in self.tiers:
            if input_token_count <= tier.above:
                break
            rates = tier
        return rates


def nano_dollars(dollars: Decimal) -> int:
    """An amount in USD, which is finite, in nano-dollars; halves go up."""
    return int(dollars.scaleb(9).to_integral_value(ROUND_HALF_UP))
