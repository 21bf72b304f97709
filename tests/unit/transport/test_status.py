"""The status table: codes, details, size, and when clients may repeat a call."""

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from llmgateway.v1 import errors_pb2
from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason, Violation
from llmgateway_server.transport.grpc.status import CODES, internal_error, status_of

ATTEMPT = AttemptFailure("openai", "gpt-5", 429, "rate_limit_exceeded", "req-1")


def details(error: GatewayError) -> dict[str, Message]:
    code, message, trailers = status_of(error)
    encoded = dict(trailers)["grpc-status-details-bin"]
    assert isinstance(encoded, bytes)
    status = status_pb2.Status.FromString(encoded)
    # Clients refuse a rich status that says something else than the plain one.
    assert status.code == code.value[0]
    assert status.message == message
    found: dict[str, Message] = {}
    for packed in status.details:
        kind = {
            "google.rpc.ErrorInfo": error_details_pb2.ErrorInfo,
            "google.rpc.RetryInfo": error_details_pb2.RetryInfo,
            "google.rpc.BadRequest": error_details_pb2.BadRequest,
            "google.rpc.ResourceInfo": error_details_pb2.ResourceInfo,
            "google.rpc.QuotaFailure": error_details_pb2.QuotaFailure,
            "llmgateway.v1.GenerationFailure": errors_pb2.GenerationFailure,
        }[packed.TypeName()]
        detail = kind()
        packed.Unpack(detail)
        assert packed.TypeName() not in found
        found[packed.TypeName()] = detail
    return found


@pytest.mark.parametrize("reason", list(Reason))
def test_every_error_says_its_reason_in_our_domain(reason: Reason) -> None:
    info = details(GatewayError(reason, "words"))["google.rpc.ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == (reason.value, "llmgateway")


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.REQUEST_INVALID, grpc.StatusCode.INVALID_ARGUMENT),
        (Reason.PROVIDER_REJECTED_REQUEST, grpc.StatusCode.INVALID_ARGUMENT),
        (Reason.CONTEXT_LENGTH_EXCEEDED, grpc.StatusCode.INVALID_ARGUMENT),
        (Reason.REQUEST_TOO_LARGE, grpc.StatusCode.INVALID_ARGUMENT),
        (Reason.CONTENT_BLOCKED, grpc.StatusCode.INVALID_ARGUMENT),
        (Reason.READER_TOO_SLOW, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Reason.PROVIDER_CREDENTIALS_REJECTED, grpc.StatusCode.INTERNAL),
        (Reason.PROVIDER_QUOTA_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Reason.PROVIDER_RATE_LIMITED, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Reason.NO_PROVIDER_AVAILABLE, grpc.StatusCode.UNAVAILABLE),
        (Reason.GATEWAY_OVERLOADED, grpc.StatusCode.UNAVAILABLE),
        (Reason.GATEWAY_DRAINING, grpc.StatusCode.UNAVAILABLE),
        (Reason.MODEL_NOT_FOUND, grpc.StatusCode.NOT_FOUND),
        (Reason.ROUTE_MISCONFIGURED, grpc.StatusCode.INTERNAL),
        (Reason.CAPABILITY_UNSUPPORTED, grpc.StatusCode.FAILED_PRECONDITION),
        (Reason.PROVIDER_TIMEOUT, grpc.StatusCode.UNAVAILABLE),
        (Reason.PROVIDER_ERROR, grpc.StatusCode.UNAVAILABLE),
        (Reason.PROVIDER_OVERLOADED, grpc.StatusCode.UNAVAILABLE),
        (Reason.PROVIDER_CONFLICT, grpc.StatusCode.ABORTED),
        (Reason.PROVIDER_PROTOCOL_ERROR, grpc.StatusCode.INTERNAL),
        (Reason.STREAM_INTERRUPTED, grpc.StatusCode.UNAVAILABLE),
        (Reason.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED),
        (Reason.INTERNAL, grpc.StatusCode.INTERNAL),
    ],
)
def test_the_codes_are_those_of_the_contract(reason: Reason, code: grpc.StatusCode) -> None:
    assert CODES[reason] is code


def test_violations_become_a_bad_request() -> None:
    error = GatewayError(
        Reason.REQUEST_INVALID, "no", violations=(Violation("input.model", "name one"),)
    )
    bad = details(error)["google.rpc.BadRequest"]
    assert isinstance(bad, error_details_pb2.BadRequest)
    assert bad.field_violations[0].field == "input.model"


def test_a_known_delay_becomes_retry_info() -> None:
    error = GatewayError(Reason.PROVIDER_RATE_LIMITED, "no", retry_after=1.5, attempt=ATTEMPT)
    found = details(error)
    retry = found["google.rpc.RetryInfo"]
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 1500
    quota = found["google.rpc.QuotaFailure"]
    assert isinstance(quota, error_details_pb2.QuotaFailure)
    assert quota.violations[0].subject == "provider:openai"


def test_a_model_that_is_not_there_is_named() -> None:
    error = GatewayError(Reason.MODEL_NOT_FOUND, "no", metadata=(("model", "x"),))
    resource = details(error)["google.rpc.ResourceInfo"]
    assert isinstance(resource, error_details_pb2.ResourceInfo)
    assert (resource.resource_type, resource.resource_name) == ("llmgateway.v1.Model", "x")


def test_a_generation_that_failed_tells_what_it_was() -> None:
    error = GatewayError(Reason.STREAM_INTERRUPTED, "no", attempt=ATTEMPT)
    error.response_id, error.partial_output_sent, error.usage = "01", True, Usage(3, 4)
    failure = details(error)["llmgateway.v1.GenerationFailure"]
    assert isinstance(failure, errors_pb2.GenerationFailure)
    assert failure.partial_output_sent
    assert failure.usage.output_token_count == 4
    assert failure.attempts[0].provider_request_id == "req-1"


def test_at_most_the_last_five_attempts_are_listed() -> None:
    error = GatewayError(Reason.PROVIDER_ERROR, "no")
    error.response_id = "01"
    error.attempts = tuple(AttemptFailure("p", str(n)) for n in range(9))
    failure = details(error)["llmgateway.v1.GenerationFailure"]
    assert isinstance(failure, errors_pb2.GenerationFailure)
    assert [attempt.model for attempt in failure.attempts] == ["4", "5", "6", "7", "8"]


def pushback(error: GatewayError) -> str | bytes | None:
    return dict(status_of(error)[2]).get("grpc-retry-pushback-ms")


def test_a_call_that_cost_an_attempt_is_not_to_be_repeated_by_layers_above() -> None:
    assert pushback(GatewayError(Reason.PROVIDER_ERROR, "no", attempt=ATTEMPT)) == "-1"


NOT_TAKEN = [Reason.GATEWAY_OVERLOADED, Reason.GATEWAY_DRAINING, Reason.NO_PROVIDER_AVAILABLE]


@pytest.mark.parametrize("reason", NOT_TAKEN)
@pytest.mark.parametrize(("after", "told"), [(1.5, "1500"), (0.0, "1"), (0.0004, "1")])
def test_a_call_that_was_not_taken_may_come_again_after_a_while(
    reason: Reason, after: float, told: str
) -> None:
    error = GatewayError(reason, "no", retry_after=after)
    assert pushback(error) == told
    assert "google.rpc.RetryInfo" in details(error)


@pytest.mark.parametrize("reason", NOT_TAKEN)
def test_a_call_that_found_nobody_after_an_attempt_is_not_to_be_repeated(reason: Reason) -> None:
    assert pushback(GatewayError(reason, "no", retry_after=1.5, attempt=ATTEMPT)) == "-1"


def test_a_provider_that_wants_to_be_left_alone_is_no_pushback_of_ours() -> None:
    assert pushback(GatewayError(Reason.PROVIDER_OVERLOADED, "no", retry_after=1.0)) is None


def test_an_error_of_the_callers_own_needs_no_pushback() -> None:
    assert pushback(GatewayError(Reason.REQUEST_INVALID, "no")) is None


def test_a_bug_tells_nothing_but_its_id() -> None:
    found = details(internal_error("01ID"))
    info = found["google.rpc.ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert dict(info.metadata) == {"response_id": "01ID"}


@given(
    reason=st.sampled_from(list(Reason)),
    words=st.text(max_size=5000),
    violations=st.lists(st.builds(Violation, st.text(max_size=900), st.text(max_size=900))),
    attempts=st.lists(
        st.builds(
            AttemptFailure,
            *(st.text(max_size=900), st.text(max_size=900), st.integers(0, 999)),
            *(st.text(max_size=900), st.text(max_size=900)),
        ),
        max_size=9,
    ),
)
def test_no_status_is_larger_than_4_kib(
    reason: Reason,
    words: str,
    violations: list[Violation],
    attempts: list[AttemptFailure],
) -> None:
    error = GatewayError(reason, words, violations=tuple(violations))
    error.response_id = "01"
    error.attempts = tuple(attempts)
    encoded = dict(status_of(error)[2])["grpc-status-details-bin"]
    assert len(encoded) <= 4096
    assert "google.rpc.ErrorInfo" in details(error)
