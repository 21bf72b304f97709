"""The composition root: a checked configuration in, a running gateway out."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import Callable, Mapping, Sequence

import grpc
from pydantic import BaseModel

from llmgateway_server.config import LoadedConfig
from llmgateway_server.config.schema import ProviderConfig
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import ModelEntry, ProviderEntry, Target
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.models.table import capabilities_of
from llmgateway_server.ports.pricing import PriceBook
from llmgateway_server.ports.provider import Provider, ProviderSettings
from llmgateway_server.pricing import GenaiPriceBook
from llmgateway_server.providers.dialect import DialectPlugin
from llmgateway_server.routing.routes import RouteTable
from llmgateway_server.routing.strategies import installed_strategies
from llmgateway_server.stores.memory import MemoryStore
from llmgateway_server.tokens import OfflineCounter
from llmgateway_server.transport.grpc.server import GatewayServer, Listener

Plugins = Mapping[str, DialectPlugin]


def option_models(plugins: Plugins) -> dict[str, type[BaseModel] | None]:
    """The models of the dialects' own configuration keys, by dialect."""
    return {name: plugin.options for name, plugin in plugins.items()}


def build_gateway(loaded: LoadedConfig, plugins: Plugins) -> Gateway:
    """Wires the core to its providers, in the running event loop; nothing is connected yet."""
    prices = _price_book(loaded)
    # Now, since it takes 0.2 s, which calls in flight would wait for.
    prices.load()
    clock = asyncio.get_running_loop()
    config = loaded.config
    return Gateway(
        _route_table(loaded, prices),
        _providers(loaded, plugins),
        prices,
        OfflineCounter(),
        strategies=installed_strategies(),
        store=MemoryStore(config.cache.max_bytes, clock),
        clock=clock,
        admission=config.server.limits.known(),
        health_interval=config.server.health_check,
    )


async def serve(
    loaded: LoadedConfig, plugins: Plugins, announce: Callable[[Sequence[str]], None]
) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal stops at once.

    Args:
        loaded: the configuration.
        plugins: the installed dialects.
        announce: called with the bound addresses once calls are taken.

    Raises:
        AddressInUseError: an address could not be bound.
    """
    config = loaded.config.server
    gateway = build_gateway(loaded, plugins)
    server = GatewayServer(gateway, with_reflection=config.serves_reflection)
    signals = _Signals()
    try:
        await gateway.initialize()
        announce(await server.start(_listeners(loaded)))
        await signals.first.wait()
        draining = asyncio.create_task(
            server.drain(pause=config.drain_pause, grace=config.drain.grace)
        )
        impatient = asyncio.create_task(signals.second.wait())
        await asyncio.wait({draining, impatient}, return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        impatient.cancel()
        await asyncio.gather(draining, impatient, return_exceptions=True)
    finally:
        await server.stop()
        await gateway.shutdown()


class _Signals:
    """The first and the second SIGTERM or SIGINT."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received)

    def _received(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


def _listeners(loaded: LoadedConfig) -> list[Listener]:
    credentials = None
    if loaded.tls is not None:
        chain = (loaded.tls.key.reveal().encode(), loaded.tls.certificate.encode())
        client_ca = loaded.tls.client_ca
        credentials = grpc.ssl_server_credentials(
            [chain],
            root_certificates=client_ca.encode() if client_ca else None,
            require_client_auth=client_ca is not None,
        )
    return [Listener(address, credentials) for address in loaded.config.server.listen]


def _price_book(loaded: LoadedConfig) -> GenaiPriceBook:
    return GenaiPriceBook(
        {
            (provider.vendor, provider.base_url, model): settings.prices.known()
            for provider in loaded.config.providers.values()
            for model, settings in (provider.models or {}).items()
            if settings.prices is not None
        }
    )


def _route_table(loaded: LoadedConfig, prices: PriceBook) -> RouteTable:
    config = loaded.config
    return RouteTable(
        routes=[config.route_entry(name) for name in config.routes],
        providers=[
            ProviderEntry(
                name,
                provider.dialect,
                passes_any_model=provider.models is None,
                timers=provider.timers,
                vendor=provider.vendor,
                base_url=provider.base_url,
                limits=provider.limits.known(),
                breaker=provider.breaker.known(),
            )
            for name, provider in config.providers.items()
        ],
        models=[
            ModelEntry(
                Target(name, model),
                settings.display_name,
                _capabilities(provider)(model),
                prices.prices_of(provider.vendor, provider.base_url, model),
            )
            for name, provider in config.providers.items()
            for model, settings in (provider.models or {}).items()
        ],
        default_route=config.default_route or "",
    )


def _providers(loaded: LoadedConfig, plugins: Plugins) -> dict[str, Provider]:
    return {
        name: plugins[provider.dialect].create(_settings(loaded, name, provider, plugins))
        for name, provider in loaded.config.providers.items()
    }


def _settings(
    loaded: LoadedConfig, name: str, provider: ProviderConfig, plugins: Plugins
) -> ProviderSettings:
    key = loaded.api_keys.get(name)
    options = provider.options
    return ProviderSettings(
        name=name,
        base_url=provider.base_url,
        api_key=key.reveal if key is not None else None,
        options=options if options is not None else plugins[provider.dialect].options(),
        connections=provider.pool.connections,
        idle=provider.pool.idle,
        capabilities=_capabilities(provider),
    )


def _capabilities(provider: ProviderConfig) -> Callable[[str], Capabilities]:
    """What the table knows of a provider's models, with what the configuration says of them."""

    # Callers choose the names, so the memory for them is bounded.
    @functools.lru_cache(maxsize=1024)
    def capabilities(model: str) -> Capabilities:
        return provider.overridden(model, capabilities_of(provider.vendor, model))

    return capabilities
