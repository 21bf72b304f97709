"""Failures inside a Responses stream mean what they would mean as an HTTP status."""

import pytest

from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import TextDelta
from llmgateway_server.providers.dialect import Failure
from support.responses_stream import Json, event, failed, fed, response, sse, text

ERRORS = [
    ({"code": "rate_limit_exceeded", "type": "tokens"}, Reason.PROVIDER_RATE_LIMITED),
    ({"code": "insufficient_quota"}, Reason.PROVIDER_QUOTA_EXHAUSTED),
    ({"code": "server_error"}, Reason.PROVIDER_ERROR),
    ({"code": "server_is_overloaded", "type": "overloaded_error"}, Reason.PROVIDER_OVERLOADED),
    ({"code": "context_length_exceeded"}, Reason.CONTEXT_LENGTH_EXCEEDED),
    ({"code": "model_not_found"}, Reason.MODEL_NOT_FOUND),
    ({"code": "invalid_prompt"}, Reason.PROVIDER_REJECTED_REQUEST),
    ({"code": "invalid_image_url"}, Reason.PROVIDER_REJECTED_REQUEST),
    ({"code": "image_content_policy_violation"}, Reason.CONTENT_BLOCKED),
    ({"code": "bio_policy"}, Reason.CONTENT_BLOCKED),
    ({"code": None}, Reason.PROVIDER_ERROR),
]


@pytest.mark.parametrize(("error", "reason"), ERRORS)
@pytest.mark.parametrize("name", ["", "event: error\n"])
def test_an_error_is_classified_in_every_shape(error: Json, reason: Reason, name: str) -> None:
    told: Json = {"message": "No.", "param": None, **error}
    flat: Json = {"sequence_number": 2, **told, "type": "error"}
    nested: Json = {"type": "error", "sequence_number": 2, "error": told}
    bare: Json = {"error": told}
    shapes = [nested, bare]
    if error.get("type") is None:
        shapes.append(flat)
    for shape in shapes:
        failure = failed(name.encode() + sse(shape))
        assert (failure.reason, failure.message) == (reason, "No.")
        assert failure.code == (error["code"] or error.get("type") or "")


@pytest.mark.parametrize(("error", "reason"), ERRORS)
def test_a_failed_answer_is_classified_by_its_error(error: Json, reason: Reason) -> None:
    told = {"message": "No.", **error}
    last = event("failed", response=response(status="failed", error=told))
    failure = failed(sse(text("a"), last))
    assert (failure.reason, failure.message) == (reason, "No.")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_failed_answer_without_an_error_is_the_providers_trouble(status: str) -> None:
    failure = failed(sse(event(status, response=response(status=status))))
    assert (failure.reason, failure.code) == (Reason.PROVIDER_ERROR, status)


def test_what_came_before_a_failure_is_kept() -> None:
    events, failure = fed(sse(text("Hi"), {"type": "error", "message": "m"}), sse(text("no")))
    assert events == [TextDelta(0, "Hi")]
    assert failure == Failure(Reason.PROVIDER_ERROR, "m")


def test_an_error_event_that_is_no_json_is_an_error() -> None:
    failure = failed(b"event: error\ndata: engine died\n\n")
    assert failure == Failure(Reason.PROVIDER_ERROR, "engine died")


def test_an_error_that_the_end_cut_open_counts() -> None:
    failure = failed(sse(text("Hi")) + b'data: {"type": "error", "code": "insufficient_quota"}')
    assert failure.reason is Reason.PROVIDER_QUOTA_EXHAUSTED


def test_a_completed_answer_with_an_error_failed() -> None:
    last = event("completed", response=response(error={"code": 503, "message": "m"}))
    assert failed(sse(text("a"), last)).reason is Reason.PROVIDER_ERROR
