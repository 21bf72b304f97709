"""Reads the price list that genai-prices ships."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Final

from genai_prices.data import providers
from genai_prices.types import ModelPrice, Provider, TieredPrices

from llmgateway_server.domain.prices import Prices, PriceTier, nano_dollars
from llmgateway_server.pricing.names import spells_out

_RATES: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
}
# Charged for what `Usage` does not count, or counts together with the rest.
_NOT_COUNTED: Final = frozenset(
    {
        "cache_audio_read_mtok",
        "cache_image_read_mtok",
        "cache_write_1h_mtok",
        "input_audio_mtok",
        "input_image_mtok",
        "input_video_mtok",
        "storage_searches_kcount",
        "web_searches_kcount",
    }
)


def find_prices(vendor: str, base_url: str, model: str, at: datetime) -> Prices | None:
    """The prices of a model at a time; None where the list has none, or only a relative's."""
    provider = _find_provider(vendor.lower(), base_url)
    if provider is None:
        return None
    name = model.lower()
    if provider.id == "google":
        # models/gemini-..., publishers/google/models/gemini-...
        name = name.rpartition("/")[2]
    found = provider.find_model(name, all_providers=providers)
    if found is None or not spells_out(found.id, found.match, name):
        return None
    return read_prices(found.get_prices(at))


def _find_provider(vendor: str, base_url: str) -> Provider | None:
    for provider in providers:
        if provider.id == vendor:
            return provider
    for provider in providers:
        logic = provider.provider_match
        if logic is not None and logic.is_match(vendor) and spells_out("", logic, vendor):
            return provider
    for provider in providers:
        if re.match(provider.api_pattern, base_url):
            return provider
    return None


def read_prices(listed: ModelPrice) -> Prices | None:
    """A model's prices in our form; None where they hold more than a price for each token.

    A fee for each request, or prices by the hour, the page or the image, cannot be told from
    `Usage`: without them a cost would be wrong, not rounded.
    """
    by_key = {key: price for key, price in vars(listed).items() if price is not None}
    if "input_mtok" not in by_key or by_key.keys() - _RATES.keys() - _NOT_COUNTED:
        return None
    rates = {field: by_key[key] for key, field in _RATES.items() if key in by_key}
    starts = {
        tier.start
        for price in rates.values()
        if isinstance(price, TieredPrices)
        for tier in price.tiers
    }
    return Prices(
        **{field: _rate(price, 0) for field, price in rates.items()},
        tiers=tuple(
            PriceTier(
                above=start,
                **{field: _rate(price, start + 1) for field, price in rates.items()},
            )
            for start in sorted(starts)
        ),
    )


def _rate(price: Decimal | TieredPrices, input_token_count: int) -> int:
    if isinstance(price, TieredPrices):
        applicable = price.base
        for tier in price.tiers:
            if input_token_count > tier.start:
                applicable = tier.price
        return nano_dollars(applicable)
    return nano_dollars(price)
