"""The composition root: a checked configuration in, a running gateway out."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence

import grpc
from pydantic import BaseModel

from llmgateway_server.config import LoadedConfig
from llmgateway_server.domain.catalog import ModelEntry, ProviderEntry, RouteEntry, Target
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.gateway.routes import RouteTable
from llmgateway_server.ports.provider import Provider
from llmgateway_server.providers.dialect import DialectPlugin, ProviderSettings
from llmgateway_server.transport.grpc.server import GatewayServer, Listener

Plugins = Mapping[str, DialectPlugin]


def option_models(plugins: Plugins) -> dict[str, type[BaseModel] | None]:
    """The models of the dialects' own configuration keys, by dialect."""
    return {name: plugin.options for name, plugin in plugins.items()}


def build_gateway(loaded: LoadedConfig, plugins: Plugins) -> Gateway:
    """Wires the core to its providers; nothing is connected yet."""
    return Gateway(_route_table(loaded), _providers(loaded, plugins))


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
        await gateway.aclose()


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


def _route_table(loaded: LoadedConfig) -> RouteTable:
    config = loaded.config
    return RouteTable(
        routes=[
            RouteEntry(name, (route.target,), config.route_timers(name))
            for name, route in config.routes.items()
        ],
        providers=[
            ProviderEntry(name, provider.dialect, provider.models is None, provider.timers)
            for name, provider in config.providers.items()
        ],
        models=[
            ModelEntry(Target(name, model), settings.display_name, streaming=settings.streaming)
            for name, provider in config.providers.items()
            for model, settings in (provider.models or {}).items()
        ],
        default_route=config.default_route or "",
    )


def _providers(loaded: LoadedConfig, plugins: Plugins) -> dict[str, Provider]:
    providers: dict[str, Provider] = {}
    for name, provider in loaded.config.providers.items():
        plugin = plugins[provider.dialect]
        key = loaded.api_keys.get(name)
        models = provider.models or {}
        providers[name] = plugin.create(
            ProviderSettings(
                name=name,
                base_url=provider.base_url,
                api_key=key.reveal if key is not None else None,
                options=provider.options if provider.options is not None else plugin.options(),
                models_without_streaming=frozenset(
                    model for model, settings in models.items() if not settings.streaming
                ),
                connections=provider.pool.connections,
                idle=provider.pool.idle,
            )
        )
    return providers
