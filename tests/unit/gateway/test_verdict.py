"""What is told of several failures, and that telling it changes none of them."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.gateway.verdict import unavailable, verdict, with_all_attempts
from llmgateway_server.resilience.failure import RULES, FirstContentTimeoutError, class_of
from llmgateway_server.routing.target_state import Bar, Shut
from llmgateway_server.transport.grpc.status import CODES

# The order of the contract; what fails over has one of these codes, or says whose fault it is.
ORDER = [
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
]
REASONS = [
    Reason.PROVIDER_REJECTED_REQUEST,
    Reason.REQUEST_TOO_LARGE,
    Reason.CONTENT_BLOCKED,
    Reason.CONTEXT_LENGTH_EXCEEDED,
    Reason.PROVIDER_RATE_LIMITED,
    Reason.PROVIDER_QUOTA_EXHAUSTED,
    Reason.PROVIDER_OVERLOADED,
    Reason.PROVIDER_ERROR,
    Reason.PROVIDER_TIMEOUT,
    Reason.PROVIDER_PROTOCOL_ERROR,
    Reason.PROVIDER_CREDENTIALS_REJECTED,
]


def failure(reason: Reason, provider: str) -> GatewayError:
    return GatewayError(reason, provider, attempt=AttemptFailure(provider, "m"))


def test_the_one_that_the_caller_can_act_on_is_told_with_the_attempts_of_all() -> None:
    failures = [
        failure(Reason.PROVIDER_RATE_LIMITED, "a"),
        failure(Reason.PROVIDER_ERROR, "b"),
    ]
    told = verdict(failures, failures[-1])
    assert told.reason is Reason.PROVIDER_RATE_LIMITED
    assert [attempt.provider for attempt in told.attempts] == ["a", "b"]
    # The trailers name each failure's own attempt.
    assert [each.attempts[-1].provider for each in failures] == ["a", "b"]
    assert with_all_attempts(failures[1], failures).attempts == told.attempts


def test_of_equals_the_last_is_told() -> None:
    failures = [failure(Reason.PROVIDER_ERROR, "a"), failure(Reason.PROVIDER_TIMEOUT, "b")]
    assert verdict(failures, failures[0]).message == "b"


def test_what_ended_a_call_without_attempts_is_told_as_it_is() -> None:
    error = GatewayError(Reason.NO_PROVIDER_AVAILABLE, "shut")
    assert verdict([], error) is error


@given(st.lists(st.sampled_from(REASONS), min_size=1, max_size=5))
def test_codes_are_told_in_the_order_of_the_contract(reasons: list[Reason]) -> None:
    failures = [failure(reason, str(number)) for number, reason in enumerate(reasons)]
    told = verdict(failures, failures[-1])
    code = min((CODES[reason] for reason in reasons), key=ORDER.index)
    assert CODES[told.reason] is code
    # Of several with that code it is one that happened, and every attempt is listed in its order.
    assert told.reason in reasons
    assert [attempt.provider for attempt in told.attempts] == [
        str(number) for number in range(len(reasons))
    ]


@pytest.mark.parametrize("other", REASONS)
def test_what_no_attempt_would_help_is_told_before_all(other: Reason) -> None:
    deadline = GatewayError(Reason.DEADLINE_EXCEEDED, "late")
    for failures in ([failure(other, "a"), deadline], [deadline, failure(other, "a")]):
        told = verdict(failures, failures[-1])
        assert told.reason is Reason.DEADLINE_EXCEEDED
        assert [attempt.provider for attempt in told.attempts] == ["a"]


@pytest.mark.parametrize("other", REASONS)
def test_a_target_that_has_no_words_for_the_request_is_told_last(other: Reason) -> None:
    incapable = GatewayError(Reason.CAPABILITY_UNSUPPORTED, "no images")
    failures = [failure(other, "a"), incapable]
    assert verdict(failures, incapable).reason is other
    assert verdict([incapable], incapable).reason is Reason.CAPABILITY_UNSUPPORTED


def test_a_late_first_content_is_a_fault_like_others() -> None:
    late = FirstContentTimeoutError(Reason.PROVIDER_TIMEOUT, "late")
    limited = failure(Reason.PROVIDER_RATE_LIMITED, "a")
    assert verdict([limited, late], late).reason is Reason.PROVIDER_RATE_LIMITED
    refused = failure(Reason.PROVIDER_CREDENTIALS_REJECTED, "a")
    assert verdict([late, refused], refused).reason is Reason.PROVIDER_TIMEOUT


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_can_be_judged(reason: Reason) -> None:
    error = failure(reason, "a")
    assert class_of(error) in RULES
    told = verdict([error], error)
    assert told.reason is reason


def test_what_is_told_keeps_all_that_the_failure_says() -> None:
    error = GatewayError(
        Reason.PROVIDER_RATE_LIMITED,
        "slowly",
        retry_after=7.0,
        should_retry=False,
        metadata=(("key", "value"),),
        attempt=AttemptFailure("b", "m", 429),
    )
    error.usage = Usage(3, 4)
    told = verdict([failure(Reason.PROVIDER_ERROR, "a"), error], error)
    assert told is not error
    assert vars(told) == {**vars(error), "attempts": told.attempts}


SOON = Bar(Shut.COOLING, 12.0)
LATER = Bar(Shut.BREAKER, 20.0)


@pytest.mark.parametrize(
    ("bars", "reason", "seconds"),
    [
        ([SOON], Reason.PROVIDER_RATE_LIMITED, 2.0),
        ([SOON, LATER], Reason.NO_PROVIDER_AVAILABLE, 2.0),
        ([LATER], Reason.NO_PROVIDER_AVAILABLE, 10.0),
        ([Bar(Shut.FULL, 10.0)], Reason.GATEWAY_OVERLOADED, 1.0),
        ([Bar(Shut.FULL, 11.5), SOON], Reason.GATEWAY_OVERLOADED, 1.5),
        ([Bar(Shut.DISABLED, 70.0)], Reason.NO_PROVIDER_AVAILABLE, 60.0),
        ([], Reason.NO_PROVIDER_AVAILABLE, 1.0),
    ],
)
def test_who_comes_when_nobody_can_be_asked_is_told_when_to_come_again(
    bars: list[Bar], reason: Reason, seconds: float
) -> None:
    for spread, factor in [(0.0, 1.0), (1.0, 1.25)]:
        error = unavailable(bars, 10.0, spread)
        assert error.reason is reason
        assert error.retry_after == pytest.approx(seconds * factor)
        assert error.attempts == ()
