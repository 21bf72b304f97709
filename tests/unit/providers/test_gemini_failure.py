"""What Google's errors mean, in every shape they come in; synthetic unless said otherwise."""

import json
from typing import Any

import pytest

from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.gemini.failure import failure_in_answer, failure_of_response
from support.gemini_stream import failed, sse


def error(
    code: int, status: str, message: str = "m", details: list[Any] | None = None
) -> dict[str, Any]:
    fields: dict[str, Any] = {"code": code, "message": message, "status": status}
    return {"error": fields if details is None else {**fields, "details": details}}


def refused(status: int, body: Any) -> Failure:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return failure_of_response(status, data)


def info(reason: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}


def quota(*ids: str, value: str = "250") -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": each, "quotaValue": value} for each in ids],
    }


def retry(delay: Any) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


PER_MINUTE = "GenerateContentPaidTierInputTokensPerModelPerMinute"
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"

STATUSES = [
    (400, "INVALID_ARGUMENT", Reason.PROVIDER_REJECTED_REQUEST),
    (400, "FAILED_PRECONDITION", Reason.PROVIDER_REJECTED_REQUEST),
    (401, "UNAUTHENTICATED", Reason.PROVIDER_CREDENTIALS_REJECTED),
    (403, "PERMISSION_DENIED", Reason.PROVIDER_CREDENTIALS_REJECTED),
    (404, "NOT_FOUND", Reason.MODEL_NOT_FOUND),
    (409, "ABORTED", Reason.PROVIDER_CONFLICT),
    (429, "RESOURCE_EXHAUSTED", Reason.PROVIDER_RATE_LIMITED),
    (499, "CANCELLED", Reason.PROVIDER_ERROR),
    (500, "INTERNAL", Reason.PROVIDER_ERROR),
    (503, "UNAVAILABLE", Reason.PROVIDER_ERROR),
    (504, "DEADLINE_EXCEEDED", Reason.PROVIDER_TIMEOUT),
]


@pytest.mark.parametrize(("status", "word", "reason"), STATUSES)
def test_an_error_fails_the_same_by_http_in_a_body_and_in_a_stream(
    status: int, word: str, reason: Reason
) -> None:
    body = error(status, word)
    expected = Failure(reason, "m", word)
    assert refused(status, body) == expected
    assert refused(status, [body]) == expected
    assert failure_in_answer(body["error"]) == expected
    assert failed(sse(body)) == expected


@pytest.mark.parametrize("status", [405, 418, 501, 599])
def test_a_status_that_the_contract_does_not_know_is_a_protocol_error(status: int) -> None:
    assert refused(status, "").reason is Reason.PROVIDER_PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            400,
            error(400, "INVALID_ARGUMENT", "m", [info("API_KEY_INVALID")]),
            Reason.PROVIDER_CREDENTIALS_REJECTED,
        ),
        (
            400,
            error(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."),
            Reason.PROVIDER_CREDENTIALS_REJECTED,
        ),
        (
            403,
            error(403, "PERMISSION_DENIED", "m", [info("API_KEY_SERVICE_BLOCKED")]),
            Reason.PROVIDER_CREDENTIALS_REJECTED,
        ),
        (
            403,
            error(403, "PERMISSION_DENIED", "m", [info("BILLING_DISABLED")]),
            Reason.PROVIDER_QUOTA_EXHAUSTED,
        ),
        # From where we call; nothing that the caller can change.
        (
            400,
            error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
            Reason.PROVIDER_CREDENTIALS_REJECTED,
        ),
        # What the caller named, not our key.
        (
            403,
            error(
                403,
                "PERMISSION_DENIED",
                "You do not have permission to access the File abc or it may not exist.",
            ),
            Reason.PROVIDER_REJECTED_REQUEST,
        ),
        (
            403,
            error(403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)"),
            Reason.PROVIDER_REJECTED_REQUEST,
        ),
        (
            400,
            error(
                400,
                "INVALID_ARGUMENT",
                "Request payload size exceeds the limit: 20971520 bytes.",
            ),
            Reason.REQUEST_TOO_LARGE,
        ),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
            Reason.PROVIDER_QUOTA_EXHAUSTED,
        ),
        (
            503,
            error(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
            Reason.PROVIDER_OVERLOADED,
        ),
        (
            503,
            error(503, "UNAVAILABLE", "This model is currently experiencing high demand."),
            Reason.PROVIDER_OVERLOADED,
        ),
        (
            400,
            error(400, "INVALID_ARGUMENT", "The word overloaded"),
            Reason.PROVIDER_REJECTED_REQUEST,
        ),
    ],
)
def test_details_and_words_go_before_the_status_where_they_say_more(
    status: int, body: dict[str, Any], reason: Reason
) -> None:
    assert refused(status, body).reason is reason
    assert failed(sse(body)).reason is reason


@pytest.mark.parametrize(
    "words",
    [
        "The input token count (200) exceeds the maximum number of tokens allowed (100).",
        "The input token count (200) exceeds the maximum number of tokens allowed 100.",
        "Unable to submit request because the input token count is 200 but the model only "
        "supports up to 100.",
    ],
)
def test_a_context_that_is_too_long_says_how_long(words: str) -> None:
    failure = refused(400, error(400, "INVALID_ARGUMENT", words))
    assert failure.reason is Reason.CONTEXT_LENGTH_EXCEEDED
    assert dict(failure.metadata) == {"limit_tokens": "100", "request_tokens": "200"}


def test_a_context_that_is_too_long_may_say_no_numbers() -> None:
    words = "The input token count exceeds the maximum number of tokens allowed."
    failure = refused(400, error(400, "INVALID_ARGUMENT", words))
    assert (failure.reason, failure.metadata) == (Reason.CONTEXT_LENGTH_EXCEEDED, ())


@pytest.mark.parametrize(
    ("details", "reason", "seconds"),
    [
        ([quota(PER_MINUTE), retry("48s")], Reason.PROVIDER_RATE_LIMITED, 48.0),
        # No waiting that anyone would do cures these, whatever Google asks.
        ([quota(PER_DAY), retry("20s")], Reason.PROVIDER_QUOTA_EXHAUSTED, None),
        ([retry("20s"), quota(PER_MINUTE, PER_DAY)], Reason.PROVIDER_QUOTA_EXHAUSTED, None),
        ([quota(PER_MINUTE, value="0"), retry("20s")], Reason.PROVIDER_QUOTA_EXHAUSTED, None),
        ([retry("0.5s")], Reason.PROVIDER_RATE_LIMITED, 0.5),
        ([retry("1.203608125s")], Reason.PROVIDER_RATE_LIMITED, 1.203608125),
        ([retry("0s")], Reason.PROVIDER_RATE_LIMITED, None),
        ([retry("-3s")], Reason.PROVIDER_RATE_LIMITED, None),
        ([retry("soon")], Reason.PROVIDER_RATE_LIMITED, None),
        ([retry("9" * 400 + "s")], Reason.PROVIDER_RATE_LIMITED, None),
        ([retry(48)], Reason.PROVIDER_RATE_LIMITED, None),
        ([7, None, {"violations": [7, {}]}, {"violations": 7}], Reason.PROVIDER_RATE_LIMITED, None),
    ],
)
def test_a_quota_says_for_how_long_it_is_used_up(
    details: list[Any], reason: Reason, seconds: float | None
) -> None:
    failure = refused(429, error(429, "RESOURCE_EXHAUSTED", "m", details))
    assert (failure.reason, failure.retry_after) == (reason, seconds)


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (400, error(400, "INVALID_ARGUMENT", "m", [info("BAD")]), "BAD", "m"),
        (400, {"error": {"code": 400, "message": "m"}}, "400", "m"),
        (400, {"code": 400, "message": "m"}, "400", "m"),
        (400, {"error": "m"}, "", "m"),
        (502, "upstream connect error", "", "upstream connect error"),
        (502, "<html><body>Bad gateway</body></html>", "", ""),
        (500, "", "", ""),
        (500, "null", "", ""),
        (500, "[]", "", ""),
        (500, "[7]", "", ""),
        (500, {}, "", ""),
        (500, {"error": {"code": True, "message": 7, "status": [], "details": {}}}, "", ""),
        (500, '{"error": {"code": ' + "9" * 40 + ', "message": "m"}}', "", "m"),
        (500, "[" * 100_000, "", "[" * 4096),
    ],
)
def test_every_shape_gives_its_code_and_words(
    status: int, body: Any, code: str, message: str
) -> None:
    failure = refused(status, body)
    assert (failure.code, failure.message) == (code, message)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    body = b"\xef\xbb\xbf" + json.dumps(error(400, "INVALID_ARGUMENT")).encode()
    assert failure_of_response(400, body).code == "INVALID_ARGUMENT"
