"""The standard health service, https://grpc.io/docs/guides/health-checking/.

Not the one of grpc's own package: that one holds a lock while it writes to a watcher, so a single
watcher that does not read would keep a drain from ever saying NOT_SERVING.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from llmgateway_server.transport.grpc.boundary import Method

SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

_Reply = health_pb2.HealthCheckResponse
_Request = health_pb2.HealthCheckRequest


class Health:
    """What can be asked for by name, and whether it serves."""

    def __init__(self) -> None:
        self._serving: dict[str, bool] = {}
        self._changed = asyncio.Event()

    def set(self, name: str, *, serving: bool) -> None:
        """Says how one of them is, from now on; watchers are told of changes only."""
        if self._serving.get(name) is serving:
            return
        self._serving[name] = serving
        # Whoever waits has the old one.
        self._changed.set()
        self._changed = asyncio.Event()

    def methods(self) -> dict[str, Method]:
        """The grpc handlers by method name."""
        encode = _Reply.SerializeToString
        return {
            "Check": grpc.unary_unary_rpc_method_handler(self._check, _Request.FromString, encode),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch, _Request.FromString, encode),
        }

    async def _check(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        serving = self._serving.get(request.service)
        if serving is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "nothing of this name is served")
        return _Reply(status=_status(serving))

    async def _watch(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        told = None
        while True:
            status = _status(self._serving.get(request.service))
            if status == told:
                await self._changed.wait()
                continue
            await context.write(_Reply(status=status))
            told = status


def _status(serving: bool | None) -> Any:
    if serving is None:
        return _Reply.SERVICE_UNKNOWN
    return _Reply.SERVING if serving else _Reply.NOT_SERVING
