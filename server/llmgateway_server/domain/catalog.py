"""What can be asked for: routes, targets and the models behind them."""

from __future__ import annotations

from msgspec import Struct

from llmgateway_server.domain.capabilities import Capabilities, Unsupported
from llmgateway_server.domain.prices import Prices
from llmgateway_server.domain.timers import Timers


class Target(Struct, frozen=True):
    """A model at a provider; callers write it `provider/model`."""

    provider: str
    model: str

    @property
    def name(self) -> str:
        """The target as callers write it."""
        return f"{self.provider}/{self.model}"


class RouteEntry(Struct, frozen=True):
    """A name that callers ask for, and where it leads.

    `unsupported` is what becomes of a request that says more than its model can take.
    """

    name: str
    targets: tuple[Target, ...]
    timers: Timers
    unsupported: Unsupported = Unsupported.REJECT


class ModelEntry(Struct, frozen=True):
    """A model that a provider's configuration names, and what is known of it and its prices."""

    target: Target
    display_name: str = ""
    capabilities: Capabilities = Capabilities()
    prices: Prices | None = None


class ProviderEntry(Struct, frozen=True):
    """A provider; with `passes_any_model` any name after `provider/` is passed through.

    `vendor` is who makes and bills its models, in lower case, empty where that is not known.
    """

    name: str
    dialect: str
    passes_any_model: bool
    timers: Timers
    vendor: str = ""
    base_url: str = ""
