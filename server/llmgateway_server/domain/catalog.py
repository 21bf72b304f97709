"""What can be asked for: routes, targets and the models behind them."""

from __future__ import annotations

import enum

from msgspec import Struct

from llmgateway_server.domain.capabilities import Capabilities, Unsupported
from llmgateway_server.domain.policies import (
    BreakerSettings,
    CachePolicy,
    HedgePolicy,
    RetryPolicy,
    TargetLimits,
)
from llmgateway_server.domain.prices import Prices
from llmgateway_server.domain.request import RecoveryMode
from llmgateway_server.domain.timers import Timers


class Target(Struct, frozen=True):
    """A model at a provider; callers write it `provider/model`."""

    provider: str
    model: str

    @property
    def name(self) -> str:
        """The target as callers write it."""
        return f"{self.provider}/{self.model}"


class RouteTarget(Struct, frozen=True):
    """One target of a route, with the timers of its calls there; `weight` is for `weighted`."""

    target: Target
    timers: Timers = Timers()
    weight: float = 1.0


class RouteEntry(Struct, frozen=True):
    """A name that callers ask for, and where it leads.

    `strategy` names one of the installed strategies. `unsupported` is what becomes of a request
    that says more than its model can take, `recovery` what may follow a failure after content
    where the caller does not say (NONE or CONTINUE). `blocked_content` is asked where a target's
    content policy refuses a request; None: nobody is.
    """

    name: str
    targets: tuple[RouteTarget, ...]
    strategy: str = "priority"
    unsupported: Unsupported = Unsupported.REJECT
    recovery: RecoveryMode = RecoveryMode.CONTINUE
    retry: RetryPolicy = RetryPolicy()
    hedge: HedgePolicy | None = None
    cache: CachePolicy | None = None
    blocked_content: RouteTarget | None = None


class ModelEntry(Struct, frozen=True):
    """A model that a provider's configuration names, and what is known of it and its prices."""

    target: Target
    display_name: str = ""
    capabilities: Capabilities = Capabilities()
    prices: Prices | None = None


class ProviderEntry(Struct, frozen=True):
    """A provider; with `passes_any_model` any name after `provider/` is passed through.

    `vendor` is who makes and bills its models, in lower case, empty where that is not known.
    `limits` and `breaker` hold for each of its targets.
    """

    name: str
    dialect: str
    passes_any_model: bool
    timers: Timers
    vendor: str = ""
    base_url: str = ""
    limits: TargetLimits = TargetLimits()
    breaker: BreakerSettings = BreakerSettings()


class ProviderState(enum.Enum):
    """How a provider is; the names are those of the contract's ProviderState."""

    ACTIVE = "active"
    DEGRADED = "degraded"
    CIRCUIT_OPEN = "circuit_open"
    DRAINING = "draining"
    DISABLED = "disabled"


class ProviderStatus(Struct, frozen=True):
    """How a provider is as this replica sees it.

    `since` is when it came into its state, in Unix seconds; `in_flight` counts its open requests.
    """

    state: ProviderState
    since: float
    in_flight: int
