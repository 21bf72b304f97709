"""The built-in strategies, one a module, and the look-up of all that are installed."""

from llmgateway_server.routing.strategies.installed import (
    ENTRY_POINT_GROUP,
    StrategyLoadError,
    installed_strategies,
)

__all__ = ["ENTRY_POINT_GROUP", "StrategyLoadError", "installed_strategies"]
