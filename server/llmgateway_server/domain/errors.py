"""The one error that crosses the layers.

Whoever fails says *why* (`Reason`) and what is safe to tell; `transport/grpc/status.py` turns the
reason into a gRPC status. `message` always reaches the caller: no exception text, no secret.
"""

from __future__ import annotations

import enum

from msgspec import Struct

from llmgateway_server.domain.answer import Usage


class Reason(enum.Enum):
    """Why a call failed; the names are those of the contract's ErrorReason."""

    REQUEST_INVALID = "REQUEST_INVALID"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    CONTEXT_LENGTH_EXCEEDED = "CONTEXT_LENGTH_EXCEEDED"
    CONTENT_BLOCKED = "CONTENT_BLOCKED"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    CAPABILITY_UNSUPPORTED = "CAPABILITY_UNSUPPORTED"
    ROUTE_MISCONFIGURED = "ROUTE_MISCONFIGURED"
    PROVIDER_REJECTED_REQUEST = "PROVIDER_REJECTED_REQUEST"
    PROVIDER_CREDENTIALS_REJECTED = "PROVIDER_CREDENTIALS_REJECTED"
    PROVIDER_QUOTA_EXHAUSTED = "PROVIDER_QUOTA_EXHAUSTED"
    PROVIDER_RATE_LIMITED = "PROVIDER_RATE_LIMITED"
    PROVIDER_TIMEOUT = "PROVIDER_TIMEOUT"
    PROVIDER_ERROR = "PROVIDER_ERROR"
    PROVIDER_OVERLOADED = "PROVIDER_OVERLOADED"
    PROVIDER_CONFLICT = "PROVIDER_CONFLICT"
    PROVIDER_PROTOCOL_ERROR = "PROVIDER_PROTOCOL_ERROR"
    NO_PROVIDER_AVAILABLE = "NO_PROVIDER_AVAILABLE"
    STREAM_INTERRUPTED = "STREAM_INTERRUPTED"
    READER_TOO_SLOW = "READER_TOO_SLOW"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    GATEWAY_OVERLOADED = "GATEWAY_OVERLOADED"
    GATEWAY_DRAINING = "GATEWAY_DRAINING"
    INTERNAL = "INTERNAL"


class AttemptFailure(Struct, frozen=True):
    """One failed upstream attempt, as far as a caller may see it.

    `http_status` is 0 where no response came; `provider_code` is the provider's own word.
    """

    provider: str
    model: str
    http_status: int = 0
    provider_code: str = ""
    provider_request_id: str = ""


class Violation(Struct, frozen=True):
    """What is wrong with one field of a request, and what to change."""

    field: str
    description: str


class GatewayError(Exception):
    """A call's failure.

    Fields: `reason`; `message` for the caller; `retry_after` in seconds where somebody knows;
    `should_retry`, the provider's own word on whether trying again is worth it, None where it
    said nothing; `unsent` where nothing of the request reached the provider, so that sending it
    again cannot pay twice; `violations` for REQUEST_INVALID; `metadata` for ErrorInfo; `attempt`,
    the upstream attempt that failed. What the stream was when it failed (`response_id`, `usage`,
    `partial_output_sent`) is filled in by the layer that knows it.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        unsent: bool = False,
        violations: tuple[Violation, ...] = (),
        metadata: tuple[tuple[str, str], ...] = (),
        attempt: AttemptFailure | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.unsent = unsent
        self.violations = violations
        self.metadata = metadata
        self.attempts: tuple[AttemptFailure, ...] = (attempt,) if attempt else ()
        self.response_id = ""
        self.usage: Usage | None = None
        self.partial_output_sent = False
