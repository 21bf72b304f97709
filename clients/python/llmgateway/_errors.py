"""What a call can raise: one tree, in which the gateway's `reason` chooses the class.

GatewayError
├── InvalidRequestError       REQUEST_INVALID, REQUEST_TOO_LARGE, PROVIDER_REJECTED_REQUEST,
│   │                         CAPABILITY_UNSUPPORTED, ETAG_MISMATCH: change the request
│   ├── ModelNotFoundError    MODEL_NOT_FOUND
│   ├── ContextLengthError    CONTEXT_LENGTH_EXCEEDED
│   └── ContentBlockedError   CONTENT_BLOCKED
├── AuthenticationError       CALLER_UNAUTHENTICATED
├── PermissionDeniedError     CALLER_PERMISSION_DENIED
├── RateLimitError            PROVIDER_RATE_LIMITED, TENANT_RATE_LIMITED: wait `retry_after`
├── QuotaError                PROVIDER_QUOTA_EXHAUSTED, TENANT_BUDGET_EXHAUSTED
├── UnavailableError          GATEWAY_OVERLOADED, GATEWAY_DRAINING, NO_PROVIDER_AVAILABLE
├── ProviderError             PROVIDER_ERROR, PROVIDER_OVERLOADED, PROVIDER_TIMEOUT,
│                             PROVIDER_CONFLICT, PROVIDER_PROTOCOL_ERROR,
│                             PROVIDER_CREDENTIALS_REJECTED, ROUTE_MISCONFIGURED
├── InterruptedStreamError    STREAM_INTERRUPTED, READER_TOO_SLOW: `partial` has what came
├── DeadlineError             DEADLINE_EXCEEDED, and the deadline passing on this side
├── InternalError             INTERNAL: a bug in the gateway
└── TransportError            no reason: a proxy or the transport answered, not the gateway

A reason newer than this client gets the class of its gRPC code. A cancelled task still raises
`asyncio.CancelledError`: that is no error of the gateway's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from llmgateway._response import Response
    from llmgateway.v1.errors_pb2 import AttemptFailure
    from llmgateway.v1.usage_pb2 import Usage


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field of the request, such as `input.messages[1].role`."""

    field: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """All that is known about a failed call; every attribute is also one of the error itself.

    Attributes:
        code: The gRPC status code.
        reason: The contract's ErrorReason without its prefix; empty if the gateway did not speak.
        message: What happened, for people.
        retry_after: Seconds after which a retry makes sense; None: nobody said.
        violations: The fields of the request that are wrong.
        attempts: How the attempts at providers failed, in order; the last 5 at most.
        partial: What had come of the answer; None: nothing.
        usage: What was used up to the failure; None: nothing, or not known.
        request_id: The id under which the gateway logged the call.
        response_id: The id of the answer that failed.
        metadata: More about the reason, such as a limit.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    retry_after: float | None = None
    violations: tuple[Violation, ...] = ()
    attempts: tuple[AttemptFailure, ...] = ()
    partial: Response | None = None
    usage: Usage | None = None
    request_id: str = ""
    response_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class GatewayError(Exception):
    """A call failed. `failure` has all that is known; its attributes are the error's own too."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure
        self.code = failure.code
        self.reason = failure.reason
        self.message = failure.message
        self.retry_after = failure.retry_after
        self.violations = failure.violations
        self.attempts = failure.attempts
        self.partial = failure.partial
        self.usage = failure.usage
        self.request_id = failure.request_id
        self.response_id = failure.response_id
        self.metadata = failure.metadata

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {self.message}"


class InvalidRequestError(GatewayError):
    """The request must change; `violations` names the fields where the gateway knows them."""


class ModelNotFoundError(InvalidRequestError):
    """The gateway knows no such model, route or provider."""


class ContextLengthError(InvalidRequestError):
    """The prompt does not fit into the model's context."""


class ContentBlockedError(InvalidRequestError):
    """A content policy blocked the request; `metadata` says whose."""


class AuthenticationError(GatewayError):
    """The caller's credential is missing or wrong."""


class PermissionDeniedError(GatewayError):
    """The caller's credential does not allow this."""


class RateLimitError(GatewayError):
    """A rate limit, the provider's or the caller's own, is used up; wait `retry_after` seconds."""


class QuotaError(GatewayError):
    """A quota or a budget is used up; waiting a little does not help."""


class UnavailableError(GatewayError):
    """The gateway cannot take the call now; retry after `retry_after` seconds."""


class ProviderError(GatewayError):
    """The providers failed, or would not do what the gateway asked; see `attempts`."""


class InterruptedStreamError(GatewayError):
    """The stream broke after content had come; `partial` has it. A retry is a new answer."""


class DeadlineError(GatewayError):
    """The call's deadline passed; allow more time or ask for less."""


class InternalError(GatewayError):
    """The gateway itself failed; report `request_id`."""


class TransportError(GatewayError):
    """The call failed on its way: a proxy or the transport answered, not the gateway."""


_BY_REASON: Mapping[str, type[GatewayError]] = {
    "REQUEST_INVALID": InvalidRequestError,
    "REQUEST_TOO_LARGE": InvalidRequestError,
    "PROVIDER_REJECTED_REQUEST": InvalidRequestError,
    "CAPABILITY_UNSUPPORTED": InvalidRequestError,
    "ETAG_MISMATCH": InvalidRequestError,
    "MODEL_NOT_FOUND": ModelNotFoundError,
    "CONTEXT_LENGTH_EXCEEDED": ContextLengthError,
    "CONTENT_BLOCKED": ContentBlockedError,
    "CALLER_UNAUTHENTICATED": AuthenticationError,
    "CALLER_PERMISSION_DENIED": PermissionDeniedError,
    "PROVIDER_RATE_LIMITED": RateLimitError,
    "TENANT_RATE_LIMITED": RateLimitError,
    "PROVIDER_QUOTA_EXHAUSTED": QuotaError,
    "TENANT_BUDGET_EXHAUSTED": QuotaError,
    "GATEWAY_OVERLOADED": UnavailableError,
    "GATEWAY_DRAINING": UnavailableError,
    "NO_PROVIDER_AVAILABLE": UnavailableError,
    "PROVIDER_ERROR": ProviderError,
    "PROVIDER_OVERLOADED": ProviderError,
    "PROVIDER_TIMEOUT": ProviderError,
    "PROVIDER_CONFLICT": ProviderError,
    "PROVIDER_PROTOCOL_ERROR": ProviderError,
    "PROVIDER_CREDENTIALS_REJECTED": ProviderError,
    "ROUTE_MISCONFIGURED": ProviderError,
    "STREAM_INTERRUPTED": InterruptedStreamError,
    "READER_TOO_SLOW": InterruptedStreamError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "INTERNAL": InternalError,
}

_BY_CODE: Mapping[grpc.StatusCode, type[GatewayError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.FAILED_PRECONDITION: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: ModelNotFoundError,
    grpc.StatusCode.UNAUTHENTICATED: AuthenticationError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimitError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
}


def error_for(failure: Failure) -> GatewayError:
    """The error of the class that the failure's reason, or else its code, asks for."""
    if failure.reason:
        by_code = _BY_CODE.get(failure.code, InternalError)
        return _BY_REASON.get(failure.reason, by_code)(failure)
    # The deadline is the caller's own, whoever noticed first that it passed.
    if failure.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError(failure)
    return TransportError(failure)
