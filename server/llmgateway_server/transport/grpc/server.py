"""The gRPC server: options, services, health and drain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import grpc
from grpc_reflection.v1alpha import reflection
from msgspec import Struct

from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.transport.grpc import catalog, embedding, generation, health
from llmgateway_server.transport.grpc.boundary import MAX_REQUEST_BYTES, Boundary
from llmgateway_server.transport.grpc.call import LiveCalls

logger = logging.getLogger(__name__)

# The process works, whether or not it wants traffic: what a liveness probe asks for.
_LIVENESS = "liveness"

# https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
OPTIONS: tuple[tuple[str, int], ...] = (
    # A little above our own limit, whose error says what was too large (boundary.py).
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES + 4 * 1024 * 1024),
    ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
    # Beyond it a client's calls queue on its side, unseen.
    ("grpc.max_concurrent_streams", 4096),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
    # Connections end now and then so that clients spread over new replicas; no stream is cut.
    ("grpc.max_connection_age_ms", 1_800_000),
    ("grpc.max_connection_age_grace_ms", int(generation.LONGEST_CALL * 1000) + 60_000),
    # Otherwise two servers share a port in silence.
    ("grpc.so_reuseport", 0),
)


class Listener(Struct, frozen=True):
    """An address, with credentials where it speaks TLS."""

    address: str
    credentials: grpc.ServerCredentials | None = None


class AddressInUseError(Exception):
    """A listener could not be bound; says which."""


class GatewayServer:
    """One gateway behind gRPC.

    Args:
        gateway: answers the calls.
        with_reflection: whether grpcurl and its like can list the services.
        health_interval: seconds between two looks at whether the routes are open.
    """

    def __init__(
        self, gateway: Gateway, *, with_reflection: bool, health_interval: float = 1.0
    ) -> None:
        self.calls = LiveCalls()
        self._gateway = gateway
        self._server = grpc.aio.server(options=OPTIONS)
        self._health = health.Health()
        self._health_interval = health_interval
        self._following: asyncio.Task[None] | None = None
        boundary = Boundary(self.calls)
        services = {
            generation.SERVICE: generation.GenerationHandlers(gateway).methods(boundary),
            embedding.SERVICE: embedding.EmbeddingHandlers(gateway).methods(boundary),
            catalog.SERVICE: catalog.CatalogHandlers(
                gateway.table, gateway.provider_status
            ).methods(boundary),
        }
        self._ready_names = ["", *services]
        services[health.SERVICE] = self._health.methods()
        for name, methods in services.items():
            handler = grpc.method_handlers_generic_handler(name, methods)
            self._server.add_generic_rpc_handlers((handler,))
        if with_reflection:
            names = (*services, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)

    async def start(self, listeners: Sequence[Listener]) -> list[str]:
        """Binds and serves; returns the bound addresses, ports filled in.

        Raises:
            AddressInUseError: an address could not be bound.
        """
        bound = [self._bind(listener) for listener in listeners]
        await self._server.start()
        for name in (*self._ready_names, _LIVENESS):
            self._health.set(name, serving=True)
        self._tell_routes()
        self._following = asyncio.create_task(self._follow_routes())
        return bound

    async def drain(self, *, pause: float, grace: float) -> None:
        """Takes no new calls, lets those in flight end, then stops.

        Args:
            pause: seconds in which health says NOT_SERVING and calls are still taken, so that
                load balancers look elsewhere first.
            grace: seconds for calls in flight; those that outlive it end with GATEWAY_DRAINING.
        """
        self._stop_following()
        for name in (*self._ready_names, *map(_health_name, self._gateway.table.routes)):
            self._health.set(name, serving=False)
        await asyncio.sleep(pause)
        self.calls.draining = True
        # Sends GOAWAY. Its own end of the grace would cancel calls without a word, so ours comes
        # first; and an open health Watch would hold it for the whole grace.
        stopping = asyncio.create_task(self._server.stop(grace + 5.0))
        try:
            async with asyncio.timeout(grace):
                await self.calls.wait_idle()
        except TimeoutError:
            logger.warning("ending %d calls that outlived the drain", len(self.calls))
            self.calls.interrupt_all(
                GatewayError(
                    Reason.GATEWAY_DRAINING,
                    "this gateway shut down before the answer ended",
                    retry_after=1.0,
                )
            )
            await self.calls.wait_idle()
        await self._server.stop(0)
        await stopping

    async def stop(self) -> None:
        """Stops at once; calls in flight are cut off."""
        self._stop_following()
        await self._server.stop(0)

    def _tell_routes(self) -> None:
        for name in self._gateway.table.routes:
            self._health.set(_health_name(name), serving=self._gateway.route_is_open(name))

    async def _follow_routes(self) -> None:
        while True:
            await asyncio.sleep(self._health_interval)
            self._tell_routes()

    def _stop_following(self) -> None:
        if self._following is not None:
            self._following.cancel()

    def _bind(self, listener: Listener) -> str:
        try:
            if listener.credentials is None:
                port = self._server.add_insecure_port(listener.address)
            else:
                port = self._server.add_secure_port(listener.address, listener.credentials)
        except RuntimeError:
            port = 0
        if not port:
            raise AddressInUseError(
                f"cannot listen on {listener.address}: another process has the port, or the "
                "address is not one of this machine"
            )
        if listener.address.startswith("unix:"):
            return listener.address
        return f"{listener.address.rpartition(':')[0]}:{port}"


def _health_name(route: str) -> str:
    return f"route/{route}"
