"""The price book: the price list that genai-prices ships, looked up once for each model.

Source: https://github.com/pydantic/genai-prices. Only its bundled data is read; its updates from
the net are never started, so prices are as old as the installed release.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from llmgateway_server.domain.prices import Prices

# Prices that depend on the time change on the hour or the half hour, UTC; seconds.
_PERIOD: Final = 900
# Callers choose model names, so neither their number nor their length may fill the memory.
_REMEMBERED: Final = 4096
_LONGEST_NAME: Final = 256

PricedModel = tuple[str, str, str]
"""Vendor, base URL and model, as `prices_of` is asked for them."""


class GenaiPriceBook:
    """A `PriceBook` over genai-prices.

    `overrides` are taken as they are, whole, for exactly what they name. `clock` gives Unix time.
    """

    def __init__(
        self, overrides: Mapping[PricedModel, Prices], clock: Callable[[], float] = time.time
    ) -> None:
        self._overrides = dict(overrides)
        self._clock = clock
        # Without a lock, and a hit is a dictionary lookup: 0.2 us instead of 20 to 600 us.
        self._remembered = lru_cache(_REMEMBERED)(self._look_up)

    def load(self) -> None:
        """Reads the price list, which takes 0.1 to 0.2 s: call it in a thread before serving.

        Otherwise the first lookup does it.
        """
        self._look_up("", "", "", 0)

    def prices_of(self, vendor: str, base_url: str, model: str) -> Prices | None:
        """The prices that hold now; see `PriceBook`.

        The standard tier's: batch, flex and priority calls are priced as standard ones. Writes to
        a cache are priced as those of five minutes, and audio or images in a prompt as text, since
        `Usage` does not tell them apart.
        """
        if len(model) > _LONGEST_NAME:
            return None
        period = int(self._clock()) // _PERIOD
        return self._remembered(vendor, base_url, model, period)

    def _look_up(self, vendor: str, base_url: str, model: str, period: int) -> Prices | None:
        overridden = self._overrides.get((vendor, base_url, model))
        if overridden is not None:
            return overridden
        # Imported by those who ask: it brings an HTTP client along.
        from llmgateway_server.pricing import bundled  # noqa: PLC0415

        at = datetime.fromtimestamp(period * _PERIOD, UTC)
        return bundled.find_prices(vendor, base_url, model, at)
