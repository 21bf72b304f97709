"""Every way in which a call can fail becomes the one error that says so."""

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo

import llmgateway
from llmgateway import (
    AsyncClient,
    Client,
    DeadlineError,
    GatewayError,
    InterruptedStreamError,
    InvalidRequestError,
    RateLimitError,
    TransportError,
    Violation,
)
from llmgateway.v1 import errors_pb2 as errors
from llmgateway.v1.usage_pb2 import Usage
from support.ports import closed_port
from support.scripted_gateway import REQUEST_ID, START, Abort, Hang, ScriptedGateway, text

Code = grpc.StatusCode


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with ScriptedGateway() as scripted:
        yield scripted


@pytest.fixture
def client(gateway: ScriptedGateway) -> Iterator[Client]:
    with Client(gateway.address, timeout=10) as made:
        yield made


CLASSES = [
    (Code.INVALID_ARGUMENT, "REQUEST_INVALID", "InvalidRequestError"),
    (Code.INVALID_ARGUMENT, "PROVIDER_REJECTED_REQUEST", "InvalidRequestError"),
    (Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED", "ContextLengthError"),
    (Code.INVALID_ARGUMENT, "REQUEST_TOO_LARGE", "InvalidRequestError"),
    (Code.INVALID_ARGUMENT, "CONTENT_BLOCKED", "ContentBlockedError"),
    (Code.RESOURCE_EXHAUSTED, "READER_TOO_SLOW", "InterruptedStreamError"),
    (Code.ABORTED, "ETAG_MISMATCH", "InvalidRequestError"),
    (Code.UNAUTHENTICATED, "CALLER_UNAUTHENTICATED", "AuthenticationError"),
    (Code.PERMISSION_DENIED, "CALLER_PERMISSION_DENIED", "PermissionDeniedError"),
    (Code.INTERNAL, "PROVIDER_CREDENTIALS_REJECTED", "ProviderError"),
    (Code.RESOURCE_EXHAUSTED, "PROVIDER_QUOTA_EXHAUSTED", "QuotaError"),
    (Code.RESOURCE_EXHAUSTED, "PROVIDER_RATE_LIMITED", "RateLimitError"),
    (Code.RESOURCE_EXHAUSTED, "TENANT_RATE_LIMITED", "RateLimitError"),
    (Code.RESOURCE_EXHAUSTED, "TENANT_BUDGET_EXHAUSTED", "QuotaError"),
    (Code.UNAVAILABLE, "GATEWAY_OVERLOADED", "UnavailableError"),
    (Code.UNAVAILABLE, "GATEWAY_DRAINING", "UnavailableError"),
    (Code.NOT_FOUND, "MODEL_NOT_FOUND", "ModelNotFoundError"),
    (Code.INTERNAL, "ROUTE_MISCONFIGURED", "ProviderError"),
    (Code.FAILED_PRECONDITION, "CAPABILITY_UNSUPPORTED", "InvalidRequestError"),
    (Code.UNAVAILABLE, "PROVIDER_TIMEOUT", "ProviderError"),
    (Code.UNAVAILABLE, "PROVIDER_ERROR", "ProviderError"),
    (Code.UNAVAILABLE, "PROVIDER_OVERLOADED", "ProviderError"),
    (Code.ABORTED, "PROVIDER_CONFLICT", "ProviderError"),
    (Code.INTERNAL, "PROVIDER_PROTOCOL_ERROR", "ProviderError"),
    (Code.UNAVAILABLE, "NO_PROVIDER_AVAILABLE", "UnavailableError"),
    (Code.UNAVAILABLE, "STREAM_INTERRUPTED", "InterruptedStreamError"),
    (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "DeadlineError"),
    (Code.INTERNAL, "INTERNAL", "InternalError"),
    # What the gateway may say one day, and what others on the way may say.
    (Code.RESOURCE_EXHAUSTED, "NEWER_THAN_THIS_CLIENT", "RateLimitError"),
    (Code.DATA_LOSS, "NEWER_THAN_THIS_CLIENT", "InternalError"),
    (Code.RESOURCE_EXHAUSTED, "", "TransportError"),
    (Code.DEADLINE_EXCEEDED, "", "DeadlineError"),
]

NO_RETRY = (("grpc-retry-pushback-ms", "-1"),)


def test_the_table_of_errors_has_every_reason_of_the_contract() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name in errors.ErrorReason.keys()}  # noqa: SIM118
    assert names - {reason for _, reason, _ in CLASSES} == {"UNSPECIFIED"}


@pytest.mark.parametrize(("code", "reason", "name"), CLASSES)
def test_the_reason_chooses_the_class(
    gateway: ScriptedGateway, client: Client, code: Code, reason: str, name: str
) -> None:
    gateway.script = [Abort(code, reason, "it failed", trailers=NO_RETRY)]
    with pytest.raises(GatewayError) as caught:
        client.generate("Hi")
    error = caught.value
    assert type(error) is getattr(llmgateway, name)
    assert (error.code, error.reason, error.message) == (code, reason, "it failed")
    assert str(error) == f"{reason or code.name}: it failed"


ATTEMPTS = (
    errors.AttemptFailure(provider="demo", http_status=429, provider_code="slow_down"),
    errors.AttemptFailure(provider="other", http_status=429),
)
RATE_LIMITED = Abort(
    Code.RESOURCE_EXHAUSTED,
    "PROVIDER_RATE_LIMITED",
    details=(
        RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000)),
        errors.GenerationFailure(
            response_id="01J", usage=Usage(input_token_count=3), attempts=ATTEMPTS
        ),
    ),
    metadata={"limit": "10"},
)


async def test_an_error_carries_all_that_the_gateway_told(
    gateway: ScriptedGateway, client: Client
) -> None:
    gateway.script = [RATE_LIMITED]
    async with AsyncClient(gateway.address) as asyncio_client:
        with pytest.raises(RateLimitError) as from_asyncio:
            await asyncio_client.generate("Hi")
    with pytest.raises(RateLimitError) as from_blocking:
        client.generate("Hi")
    for error in (from_asyncio.value, from_blocking.value):
        assert (error.retry_after, error.attempts) == (2.5, ATTEMPTS)
        assert (error.usage, error.response_id) == (Usage(input_token_count=3), "01J")
        assert (error.request_id, error.metadata) == (REQUEST_ID, {"limit": "10"})
        assert error.partial is None


def test_a_rejected_request_names_its_fields(gateway: ScriptedGateway, client: Client) -> None:
    field = BadRequest.FieldViolation(field="input.messages[0].role", description="must be set")
    detail = BadRequest(field_violations=[field])
    gateway.script = [Abort(Code.INVALID_ARGUMENT, "REQUEST_INVALID", details=(detail,))]
    with pytest.raises(InvalidRequestError) as caught:
        client.generate("Hi")
    assert caught.value.violations == (Violation("input.messages[0].role", "must be set"),)


CUT = Abort(Code.UNAVAILABLE, "STREAM_INTERRUPTED")


def test_a_broken_stream_keeps_what_came(gateway: ScriptedGateway, client: Client) -> None:
    gateway.script = [START, text("Hel"), CUT]
    stream = client.stream("Hi")
    spoken: list[str] = []
    with pytest.raises(InterruptedStreamError) as caught:
        spoken.extend(event.text for event in stream)
    assert caught.value.partial is not None
    assert (caught.value.partial.text, caught.value.partial.finish_reason) == ("Hel", None)
    assert list(stream) == []
    with pytest.raises(InterruptedStreamError):
        stream.response()


async def test_a_broken_asyncio_stream_keeps_what_came(gateway: ScriptedGateway) -> None:
    gateway.script = [START, text("Hel"), CUT]
    async with AsyncClient(gateway.address) as client:
        with pytest.raises(InterruptedStreamError) as caught:
            await client.stream("Hi").response()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"


async def test_a_stream_without_finish_is_no_short_success(
    gateway: ScriptedGateway, client: Client
) -> None:
    gateway.script = [START, text("Hel")]
    with pytest.raises(TransportError, match="without its finish"):
        client.stream("Hi").response()
    async with AsyncClient(gateway.address) as asyncio_client:
        with pytest.raises(TransportError, match="without its finish") as caught:
            await asyncio_client.stream("Hi").response()
    assert caught.value.partial is not None


def test_details_that_are_garbage_leave_the_code_and_the_text(
    gateway: ScriptedGateway, client: Client
) -> None:
    trailers = (("grpc-status-details-bin", b"\xff\xff"),)
    gateway.script = [Abort(Code.INTERNAL, trailers=trailers)]
    with pytest.raises(TransportError, match="INTERNAL: it failed"):
        client.generate("Hi")


async def test_the_deadline_is_an_error_of_its_own(
    gateway: ScriptedGateway, client: Client
) -> None:
    gateway.script = [START, text("Hel"), Hang()]
    with pytest.raises(DeadlineError) as caught:
        client.stream("Hi", timeout=0.2).response()
    assert caught.value.partial is not None
    with Client(gateway.address, timeout=0.2) as hasty, pytest.raises(DeadlineError):
        hasty.generate("Hi")
    async with AsyncClient(gateway.address, timeout=0.2) as asyncio_client:
        with pytest.raises(DeadlineError):
            await asyncio_client.generate("Hi")


def test_nobody_there_is_a_transport_error() -> None:
    with closed_port() as port, Client(f"127.0.0.1:{port}", timeout=5) as client:
        with pytest.raises(TransportError) as caught:
            client.generate("Hi")
        assert caught.value.code is Code.UNAVAILABLE
