"""One table: what a failure's reason is as a gRPC status.

The codes and details are those of the contract (`errors.proto`); every error of ours carries an
ErrorInfo of our domain, so an error without one came from a proxy or from the transport.
"""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from llmgateway.v1 import errors_pb2
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.transport.grpc.call import Metadata
from llmgateway_server.transport.grpc.mapping.response import attempt_to, usage_to

DOMAIN = "llmgateway"

CODES = {
    Reason.REQUEST_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.REQUEST_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.CONTEXT_LENGTH_EXCEEDED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.CONTENT_BLOCKED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.MODEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.CAPABILITY_UNSUPPORTED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.ROUTE_MISCONFIGURED: grpc.StatusCode.INTERNAL,
    Reason.PROVIDER_REJECTED_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.PROVIDER_CREDENTIALS_REJECTED: grpc.StatusCode.INTERNAL,
    Reason.PROVIDER_QUOTA_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.PROVIDER_RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.PROVIDER_TIMEOUT: grpc.StatusCode.UNAVAILABLE,
    Reason.PROVIDER_ERROR: grpc.StatusCode.UNAVAILABLE,
    Reason.PROVIDER_OVERLOADED: grpc.StatusCode.UNAVAILABLE,
    Reason.PROVIDER_CONFLICT: grpc.StatusCode.ABORTED,
    Reason.PROVIDER_PROTOCOL_ERROR: grpc.StatusCode.INTERNAL,
    Reason.NO_PROVIDER_AVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.STREAM_INTERRUPTED: grpc.StatusCode.UNAVAILABLE,
    Reason.READER_TOO_SLOW: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.GATEWAY_OVERLOADED: grpc.StatusCode.UNAVAILABLE,
    Reason.GATEWAY_DRAINING: grpc.StatusCode.UNAVAILABLE,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}

# The gateway could not take the call at all: a client may send it again, but not at once.
_NOT_TAKEN = frozenset(
    {Reason.NO_PROVIDER_AVAILABLE, Reason.GATEWAY_OVERLOADED, Reason.GATEWAY_DRAINING}
)

# grpc's own limit for all trailers is 8 KiB; past it a client sees another status altogether.
_MOST_BYTES = 4096
_MOST_TEXT = 512
_MOST_ATTEMPTS = 5


def status_of(error: GatewayError) -> tuple[grpc.StatusCode, str, Metadata]:
    """Code, message and trailers of a failed call; the rich status is at most 4 KiB."""
    code = CODES[error.reason]
    message = error.message[:_MOST_TEXT]
    details = [detail for detail in _details(error) if detail is not None]
    encoded = _encode(code, message, details)
    while len(encoded) > _MOST_BYTES and len(details) > 1:
        # The later a detail stands, the more a caller can do without it.
        details.pop()
        encoded = _encode(code, message, details)
    trailers: Metadata = (("grpc-status-details-bin", encoded),)
    pushback = _pushback(error)
    if pushback is not None:
        trailers = (*trailers, ("grpc-retry-pushback-ms", str(pushback)))
    return code, message, trailers


def internal_error(response_id: str) -> GatewayError:
    """What a caller learns of a bug: nothing but the id under which it was logged."""
    return GatewayError(
        Reason.INTERNAL,
        "internal error; the gateway's log has it under this response_id",
        metadata=(("response_id", response_id),),
    )


def _encode(code: grpc.StatusCode, message: str, details: list[Message]) -> bytes:
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status.SerializeToString()


def _pushback(error: GatewayError) -> int | None:
    """Milliseconds; -1 where paid attempts were made, so that no layer above repeats them."""
    if error.attempts or error.partial_output_sent:
        return -1
    if error.reason in _NOT_TAKEN and error.retry_after is not None:
        return max(1, int(error.retry_after * 1000))
    return None


def _details(error: GatewayError) -> list[Message | None]:
    """In falling order of use to the caller; None where a detail does not apply."""
    return [
        error_details_pb2.ErrorInfo(
            reason=error.reason.value,
            domain=DOMAIN,
            metadata={key: value[:_MOST_TEXT] for key, value in error.metadata},
        ),
        _retry_info(error),
        _bad_request(error),
        _resource_info(error),
        _quota_failure(error),
        _generation_failure(error),
    ]


def _retry_info(error: GatewayError) -> Message | None:
    if error.retry_after is None:
        return None
    delay = Duration()
    delay.FromMilliseconds(int(error.retry_after * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def _bad_request(error: GatewayError) -> Message | None:
    bad = error_details_pb2.BadRequest()
    for violation in error.violations:
        bad.field_violations.add(field=violation.field, description=violation.description)
    if error.reason is Reason.REQUEST_TOO_LARGE and not error.violations:
        bad.field_violations.add(field="input", description=error.message[:_MOST_TEXT])
    return bad if bad.field_violations else None


def _resource_info(error: GatewayError) -> Message | None:
    if error.reason is not Reason.MODEL_NOT_FOUND:
        return None
    metadata = dict(error.metadata)
    kind, name = ("provider", metadata["provider"]) if "provider" in metadata else ("model", "")
    return error_details_pb2.ResourceInfo(
        resource_type=f"llmgateway.v1.{kind.capitalize()}",
        resource_name=(name or metadata.get("model", ""))[:_MOST_TEXT],
        description=error.message[:_MOST_TEXT],
    )


def _quota_failure(error: GatewayError) -> Message | None:
    if error.reason not in {Reason.PROVIDER_QUOTA_EXHAUSTED, Reason.PROVIDER_RATE_LIMITED}:
        return None
    failure = error_details_pb2.QuotaFailure()
    for attempt in error.attempts[:1]:
        failure.violations.add(
            subject=f"provider:{attempt.provider}", description=error.message[:_MOST_TEXT]
        )
    return failure


def _generation_failure(error: GatewayError) -> Message | None:
    if not error.response_id:
        return None
    return errors_pb2.GenerationFailure(
        response_id=error.response_id,
        partial_output_sent=error.partial_output_sent,
        usage=usage_to(error.usage) if error.usage else None,
        attempts=[attempt_to(attempt) for attempt in error.attempts[-_MOST_ATTEMPTS:]],
    )
