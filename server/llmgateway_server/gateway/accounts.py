"""What calls cost: priced as they end, estimated where they end badly, added up per target."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.catalog import ProviderEntry, Target
from llmgateway_server.ports.pricing import PriceBook
from llmgateway_server.ports.tokens import TokenCounter

# Callers may name any model of some providers; what comes after this many is counted together.
_MOST_TARGETS = 1000
_OTHERS = Target("*", "*")


class Totals(Struct):
    """Calls of one ending, their tokens and nano-USD; `unpriced` ones have no part in the cost."""

    calls: int = 0
    input_token_count: int = 0
    output_token_count: int = 0
    cost_nano_usd: int = 0
    unpriced: int = 0

    def add(self, usage: Usage) -> None:
        """Counts one call."""
        self.calls += 1
        self.input_token_count += usage.input_token_count
        self.output_token_count += usage.output_token_count
        if usage.cost_nano_usd is None:
            self.unpriced += 1
        else:
            self.cost_nano_usd += usage.cost_nano_usd


class Account(Struct):
    """What one target's calls came to: those that were answered, and those that were not."""

    answered: Totals
    wasted: Totals


class Accounts:
    """Prices calls and keeps their totals, off the way of their chunks."""

    def __init__(
        self, prices: PriceBook, tokens: TokenCounter, providers: Mapping[str, ProviderEntry]
    ) -> None:
        self._prices = prices
        self._tokens = tokens
        self._providers = providers
        self._accounts: dict[Target, Account] = {}

    def priced(self, target: Target, usage: Usage) -> Usage:
        """The usage with its cost; without one where no price is known."""
        provider = self._providers[target.provider]
        prices = self._prices.prices_of(provider.vendor, provider.base_url, target.model)
        return replace(usage, cost_nano_usd=prices.cost(usage) if prices is not None else None)

    def estimated(self, target: Target, input_bytes: int, output_bytes: int) -> Usage:
        """What a call used whose provider never said, from the sizes of what was said."""
        vendor = self._providers[target.provider].vendor
        usage = Usage(
            input_token_count=self._tokens.estimate_text(input_bytes, vendor),
            output_token_count=self._tokens.estimate_text(output_bytes, vendor),
            is_estimated=True,
        )
        return self.priced(target, usage)

    def broken_off(
        self, target: Target, reported: Usage | None, input_bytes: int, output_bytes: int
    ) -> Usage:
        """What a call used that did not come to its end.

        As reported, but no less output than was sent: Anthropic tells the input before the answer
        and the output only behind it, so that what it says in between is next to nothing.
        """
        guess = self.estimated(target, input_bytes, output_bytes)
        if reported is None:
            return guess
        sent = guess.output_token_count
        if reported.output_token_count < sent:
            reported = replace(reported, output_token_count=sent, is_estimated=True)
        return self.priced(target, reported)

    def answered(self, target: Target, usage: Usage) -> None:
        """Adds a call that came to its end."""
        self._account(target).answered.add(usage)

    def wasted(self, target: Target, usage: Usage) -> None:
        """Adds a call that was paid for and came to nothing: failed on the way, or cancelled."""
        self._account(target).wasted.add(usage)

    def totals(self) -> Mapping[Target, Account]:
        """All accounts since the start; those beyond the first thousand targets as `*/*`."""
        return self._accounts

    def _account(self, target: Target) -> Account:
        account = self._accounts.get(target)
        if account is None:
            if len(self._accounts) >= _MOST_TARGETS:
                target = _OTHERS
            account = self._accounts.setdefault(target, Account(Totals(), Totals()))
        return account
