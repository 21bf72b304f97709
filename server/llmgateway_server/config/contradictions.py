"""The rules between keys, as far as they do not follow from errors already reported."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from llmgateway_server.config.errors import KeyPath, nearest, shown
from llmgateway_server.config.reading import Document
from llmgateway_server.config.route_schema import RouteConfig
from llmgateway_server.config.schema import Config, is_loopback
from llmgateway_server.config.units import format_duration
from llmgateway_server.domain.catalog import Target


def contradictions(
    config: Config, document: Document, strategies: Collection[str]
) -> Iterator[tuple[KeyPath, str]]:
    """What does not fit together, each with the key to change.

    Args:
        config: What is sound of the configuration.
        document: Where it was written, with the errors found so far.
        strategies: The names of the installed strategies.
    """
    yield from _unguarded(config, document)
    yield from _default_route(config, document)
    for name, provider in config.providers.items():
        breaker = provider.breaker
        if breaker.open > breaker.longest_open:
            longest, got = format_duration(breaker.longest_open), format_duration(breaker.open)
            words = f"expected no more than longest_open, which is {longest}, got {got}"
            yield ("providers", name, "breaker", "open"), words
    for name, route in config.routes.items():
        path = ("routes", name)
        if route.strategy not in strategies:
            words = f"no strategy {shown((), route.strategy)} is installed"
            yield (*path, "strategy"), f"{words}{nearest(route.strategy, strategies)}"
        yield from _targets(route, path, config, document)


def _unguarded(config: Config, document: Document) -> Iterator[tuple[KeyPath, str]]:
    server = config.server
    guarded = server.insecure or (server.tls is not None and server.tls.client_ca is not None)
    broken = {error.path[:2] for error in document.errors}
    unclear = ("server", "tls") in broken or ("server", "insecure") in broken
    for index, address in enumerate(server.listen):
        if not guarded and not unclear and not is_loopback(address):
            yield (
                ("server", "listen", index),
                f"{address} can be reached from other machines; "
                "set server.tls.client_ca to ask callers for a certificate, "
                "or server.insecure: true to let everyone in",
            )


def _default_route(config: Config, document: Document) -> Iterator[tuple[KeyPath, str]]:
    routes = document.tree.get("routes") or {}
    default = config.default_route
    # Routes that are no mapping at all are an error of their own, reported already.
    if default is not None and isinstance(routes, dict) and default not in routes:
        yield ("default_route",), f"no route {shown((), default)}{nearest(default, routes)}"


def _targets(
    route: RouteConfig, path: KeyPath, config: Config, document: Document
) -> Iterator[tuple[KeyPath, str]]:
    first: dict[Target, int] = {}
    for index, place in enumerate(route.targets):
        at = (*path, "targets", index)
        earlier = first.setdefault(place.target, index)
        if earlier != index:
            words = f"the target {shown((), place.model)} is named twice"
            yield at, f"{words}, first by targets[{earlier}]; remove one"
        else:
            yield from _nowhere(place.target, at, config, document)
    if not any(place.weight for place in route.targets):
        yield (*path, "targets"), "expected a weight above 0 for one target at least, got 0 for all"
    if route.blocked_content_target:
        at = (*path, "blocked_content")
        yield from _nowhere(route.blocked_content_target, at, config, document)


def _nowhere(
    target: Target, path: KeyPath, config: Config, document: Document
) -> Iterator[tuple[KeyPath, str]]:
    """That a target's provider is not there, or does not list its model."""
    providers = document.tree["providers"]
    if target.provider not in providers:
        yield path, f"no provider {shown((), target.provider)}{nearest(target.provider, providers)}"
        return
    provider = config.providers.get(target.provider)
    models = provider.models if provider else None
    if models is not None and target.model not in models:
        listed = nearest(target.model, models)
        yield path, f"{target.provider} lists no model {shown((), target.model)}{listed}"
