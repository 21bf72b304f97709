"""The standard gRPC health service."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

UNKNOWN = "SERVICE_UNKNOWN"
"""The health of a service that the gateway does not know; its status is NOT_FOUND."""


def check_method(channel: grpc.Channel | grpc.aio.Channel) -> Any:
    """The health service's Check on this channel."""
    return HealthStub(channel).Check


def check_request(service: str) -> Any:
    """The request of a check of one service; "" is the gateway as a whole."""
    return HealthCheckRequest(service=service)


def status_name(response: Any) -> str:
    """The name of a check's answer, such as SERVING."""
    return str(HealthCheckResponse.ServingStatus.Name(response.status))
