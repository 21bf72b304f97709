"""What is told of several failures, and that telling it changes none of them."""

from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.gateway.verdict import verdict, with_all_attempts


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
