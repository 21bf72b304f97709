"""How strategies are found: by their entry points, the built-in ones like any other."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from llmgateway_server.ports.strategy import Strategy

ENTRY_POINT_GROUP = "llmgateway.strategies"


class StrategyLoadError(Exception):
    """An installed strategy cannot be used; the message says which one, and why."""


def installed_strategies() -> dict[str, Callable[[], Strategy]]:
    """What makes a strategy, for every one that an installed distribution registers, by name.

    Raises:
        StrategyLoadError: one cannot be imported or made, is no strategy, or two share a name.
    """
    entries = entry_points(group=ENTRY_POINT_GROUP)
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise StrategyLoadError(
                f"two installed distributions register the strategy {name!r}; remove one"
            )
    return {entry.name: _load(entry) for entry in entries}


def _load(entry: EntryPoint) -> Callable[[], Strategy]:
    owner = entry.dist.name if entry.dist else "an unknown distribution"
    origin = f"strategy {entry.name!r} ({entry.value}, from {owner})"
    try:
        make = entry.load()
    except Exception as error:
        raise StrategyLoadError(f"{origin} cannot be imported: {error!r}") from error
    try:
        # Only what it makes can show what it is, and better now than at a route's first call.
        made = make()
    except Exception as error:
        raise StrategyLoadError(
            f"{origin} cannot be made by a call without arguments: {error!r}"
        ) from error
    if not callable(getattr(made, "order", None)):
        raise StrategyLoadError(f"{origin} is no strategy: it needs `order(candidates, work)`")
    return cast("Callable[[], Strategy]", make)
