"""The gRPC server: options, services, health and drain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection
from msgspec import Struct

from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.transport.grpc import catalog, embedding, generation
from llmgateway_server.transport.grpc.boundary import MAX_REQUEST_BYTES, Boundary
from llmgateway_server.transport.grpc.call import LiveCalls

logger = logging.getLogger(__name__)

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
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
        reflection: whether grpcurl and its like can list the services.
    """

    def __init__(self, gateway: Gateway, *, with_reflection: bool) -> None:
        self.calls = LiveCalls()
        self._server = grpc.aio.server(options=OPTIONS)
        self._health = health_aio.HealthServicer()
        boundary = Boundary(self.calls)
        services = {
            generation.SERVICE: generation.GenerationHandlers(gateway).methods(boundary),
            embedding.SERVICE: embedding.EmbeddingHandlers(gateway).methods(boundary),
            catalog.SERVICE: catalog.CatalogHandlers(gateway.table).methods(boundary),
        }
        for name, methods in services.items():
            handler = grpc.method_handlers_generic_handler(name, methods)
            self._server.add_generic_rpc_handlers((handler,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._ready_names = ["", *services]
        self._route_names = [f"route/{name}" for name in gateway.table.routes]
        if with_reflection:
            names = (*services, _HEALTH, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)

    async def start(self, listeners: Sequence[Listener]) -> list[str]:
        """Binds and serves; returns the bound addresses, ports filled in.

        Raises:
            AddressInUseError: an address could not be bound.
        """
        bound = [self._bind(listener) for listener in listeners]
        await self._server.start()
        for name in (*self._ready_names, *self._route_names, _LIVENESS):
            await self._health.set(name, _SERVING)
        return bound

    async def drain(self, *, pause: float, grace: float) -> None:
        """Takes no new calls, lets those in flight end, then stops.

        Args:
            pause: seconds in which health says NOT_SERVING and calls are still taken, so that
                load balancers look elsewhere first.
            grace: seconds for calls in flight; those that outlive it end with GATEWAY_DRAINING.
        """
        for name in (*self._ready_names, *self._route_names):
            await self._health.set(name, _NOT_SERVING)
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
        await self._server.stop(0)

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
