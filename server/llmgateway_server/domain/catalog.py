"""What can be asked for: routes, targets and the models behind them."""

from __future__ import annotations

from msgspec import Struct

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
    """A name that callers ask for, and where it leads."""

    name: str
    targets: tuple[Target, ...]
    timers: Timers


class ModelEntry(Struct, frozen=True):
    """A model that a provider's configuration names; None = not known."""

    target: Target
    display_name: str = ""
    streaming: bool = True
    context_window_token_count: int | None = None
    max_output_token_count: int | None = None


class ProviderEntry(Struct, frozen=True):
    """A provider; with `passes_any_model` any name after `provider/` is passed through."""

    name: str
    dialect: str
    passes_any_model: bool
    timers: Timers
