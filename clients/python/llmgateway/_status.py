"""From a gRPC status with its google.rpc details to the error that callers see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from llmgateway._errors import Failure, GatewayError, Violation, error_for
from llmgateway._response import Response
from llmgateway.v1.errors_pb2 import GenerationFailure

DOMAIN = "llmgateway"

_Detail = TypeVar("_Detail", bound=Message)
Trailers = Iterable[tuple[str, str | bytes]]


def request_id(trailers: Trailers | None) -> str:
    """The gateway's id of the call; empty if the trailers have none."""
    return next((str(value) for key, value in trailers or () if key == "x-request-id"), "")


def error_from_rpc(error: grpc.RpcError, partial: Response | None = None) -> GatewayError:
    """The error for what grpc raised, of the blocking or of the asyncio kind."""
    # Both kinds of RpcError answer these methods; only Call declares them.
    call = cast("grpc.Call", error)
    trailers = tuple(cast("Trailers", call.trailing_metadata() or ()))
    status = _status(trailers)
    info = _detail(status, ErrorInfo) or ErrorInfo()
    if info.domain != DOMAIN:
        info = ErrorInfo()
    retry = _detail(status, RetryInfo)
    fields = _detail(status, BadRequest) or BadRequest()
    work = _detail(status, GenerationFailure) or GenerationFailure()
    return error_for(
        Failure(
            code=call.code(),
            reason=info.reason,
            message=call.details() or "the status came without a message",
            retry_after=retry.retry_delay.ToTimedelta().total_seconds() if retry else None,
            violations=tuple(Violation(v.field, v.description) for v in fields.field_violations),
            attempts=tuple(work.attempts),
            partial=partial,
            usage=work.usage if work.HasField("usage") else None,
            request_id=request_id(trailers),
            response_id=work.response_id or info.metadata.get("response_id", ""),
            metadata=dict(info.metadata),
        )
    )


def _status(trailers: Trailers) -> Status:
    for key, value in trailers:
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            try:
                return Status.FromString(value)
            except DecodeError:  # whatever wrote it, the code and the text still stand
                break
    return Status()


def _detail(status: Status, kind: type[_Detail]) -> _Detail | None:
    for packed in status.details:
        if packed.TypeName() == kind.DESCRIPTOR.full_name:
            detail = kind()
            try:
                packed.Unpack(detail)
            except DecodeError:
                return None
            return detail
    return None
